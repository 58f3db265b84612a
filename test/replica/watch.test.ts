import assert from "node:assert/strict";
import { test } from "node:test";
import type { Refusal, Revision } from "#kernel";
import type { WatchOutput, WatchSpec } from "#replica";
import { TestCluster, type TestNode, ask } from "../consensus/cluster.ts";
import { enqueue, openSession } from "./operations.ts";

test("a watch from now on gets every later change once, in order, one revision at a time", async () => {
  const { cluster, leader } = await started();
  const watch = follow(leader, {});
  await enqueueMany(cluster, leader, 50);
  assert.equal(keysOf(watch.outputs).length, 50);
  assert.equal(new Set(keysOf(watch.outputs)).size, 50);
  assertRising(watch.outputs);
  watch.stop();
  await enqueueMany(cluster, leader, 1);
  assert.equal(keysOf(watch.outputs).length, 50);
});

test("a watch resumed from a past revision on another voter continues without gap or repetition", async () => {
  const { cluster, leader } = await started();
  const whole = follow(leader, {});
  await enqueueMany(cluster, leader, 20);
  const middle = whole.outputs[9]!.revision;
  await cluster.kill(leader.id);
  const next = await cluster.leader();
  const resumed = follow(next, { fromRevision: (middle + 1) as Revision });
  await enqueueMany(cluster, next, 5);
  const keys = [...keysOf(whole.outputs.slice(0, 10)), ...keysOf(resumed.outputs)];
  assert.equal(keys.length, 25);
  assert.equal(new Set(keys).size, 25);
  assertRising(resumed.outputs);
});

test("snapshot, then follow: every object is in the snapshot or in a later change, never in both", async () => {
  const { cluster, leader } = await started();
  await enqueueMany(cluster, leader, 1_200);
  const watch = follow(leader, { snapshot: true });
  await enqueueMany(cluster, leader, 10);
  const snapshots = watch.outputs.filter(({ snapshot }) => snapshot !== null);
  assert.deepEqual(
    snapshots.map(({ snapshot, snapshotEnd }) => [snapshot!.length, snapshotEnd]),
    [
      [500, false],
      [500, false],
      [200, true],
    ],
  );
  assert.equal(new Set(snapshots.map(({ revision }) => revision)).size, 1);
  const keys = [...snapshots.flatMap(({ snapshot }) => snapshot!.map(({ key }) => key)), ...keysOf(watch.outputs)];
  assert.equal(keys.length, 1_210);
  assert.equal(new Set(keys).size, 1_210);
});

test("a watch hears only of the kinds and keys that it asked for", async () => {
  const { cluster, leader } = await started();
  const sessions = follow(leader, { kinds: ["session"] });
  const nothing = follow(leader, { keyPrefix: "no such thing" });
  await enqueueMany(cluster, leader, 3);
  await openSession(cluster, leader);
  assert.deepEqual(
    sessions.outputs.flatMap(({ events }) => events.map(({ kind }) => kind)),
    ["session"],
  );
  assert.deepEqual(nothing.outputs, []);
});

test("history that is gone is COMPACTED, and the refusal names the first revision that is left", async () => {
  const { cluster, leader } = await started({ history: { maxEvents: 10, maxBytes: 1 << 20 } });
  await enqueueMany(cluster, leader, 30);
  const watch = follow(leader, { fromRevision: 2 as Revision });
  assert.equal(watch.ends[0]!.reason, "COMPACTED");
  const left = /the first one left is (\d+)/.exec(watch.ends[0]!.message)![1];
  const again = follow(leader, { fromRevision: Number(left) as Revision });
  assert.equal(keysOf(again.outputs).length, 10);
});

test("an idle watch hears at least every five seconds how far it has come", async () => {
  const { cluster, leader } = await started();
  const watch = follow(leader, { keyPrefix: "nothing" });
  await enqueueMany(cluster, leader, 1);
  await cluster.run(5_100);
  const bookmark = watch.outputs.at(-1)!;
  assert.deepEqual([bookmark.events, bookmark.revision], [[], leader.replica.appliedIndex]);
});

test("a reader that is behind keeps its place, catches up without loss, and is let go once history has passed it", async () => {
  const { cluster, leader } = await started({ history: { maxEvents: 100, maxBytes: 1 << 20 } });
  const slow = follow(leader, {});
  slow.ready = false;
  await enqueueMany(cluster, leader, 50);
  assert.equal(slow.outputs.length, 0);
  slow.ready = true;
  await enqueueMany(cluster, leader, 1);
  assert.equal(keysOf(slow.outputs).length, 51);
  slow.ready = false;
  await enqueueMany(cluster, leader, 200);
  slow.ready = true;
  await enqueueMany(cluster, leader, 1);
  assert.equal(slow.ends[0]!.reason, "OVERLOADED");
});

test("a watch on a voter that is restored from a snapshot ends: what lies between is unknown there", async () => {
  const { cluster, leader } = await started({ snapshotEveryEntries: 50, keepEntries: 5 });
  const [lagging] = cluster.followers(leader);
  const watch = follow(lagging!, {});
  cluster.isolate(lagging!.id);
  await enqueueMany(cluster, leader, 200);
  cluster.heal(lagging!.id);
  await cluster.until(() => lagging!.replica.appliedIndex === leader.replica.appliedIndex);
  assert.equal(watch.ends[0]!.reason, "COMPACTED");
  assert.equal(lagging!.replica.status().watches, 0);
});

async function started(options: Parameters<typeof TestCluster.start>[0] = {}) {
  const cluster = await TestCluster.start(options);
  return { cluster, leader: await cluster.leader() };
}

function follow(node: TestNode, spec: Partial<WatchSpec>) {
  const watch = { outputs: [] as WatchOutput[], ends: [] as Refusal[], ready: true, stop: () => {} };
  watch.stop = node.replica.watch(
    { fromRevision: 0 as Revision, snapshot: false, kinds: [], keyPrefix: "", ...spec },
    { push: (output) => watch.outputs.push(output), end: (why) => watch.ends.push(why), ready: () => watch.ready },
  );
  return watch;
}

async function enqueueMany(cluster: TestCluster, leader: TestNode, count: number): Promise<void> {
  const asked = Array.from({ length: count }, () => ask(leader, enqueue()));
  await cluster.until(() => asked.every(({ answers }) => answers.length === 1));
}

function keysOf(outputs: readonly WatchOutput[]): string[] {
  return outputs.flatMap(({ events }) => events.map(({ key }) => key));
}

function assertRising(outputs: readonly WatchOutput[]): void {
  const revisions = outputs.map(({ revision }) => revision);
  assert.deepEqual(
    revisions,
    [...new Set(revisions)].toSorted((a, b) => a - b),
  );
}
