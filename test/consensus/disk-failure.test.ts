import assert from "node:assert/strict";
import { test } from "node:test";
import type { StorageError } from "#storage";
import { enqueue } from "../replica/operations.ts";
import { TestCluster, type TestNode, ask, reasonOf, replyOf } from "./cluster.ts";

async function work(cluster: TestCluster, node: TestNode, commands: number): Promise<void> {
  for (let i = 0; i < commands && node.alive; i++) {
    ask(node, enqueue());
    await cluster.run(20);
  }
}

test("an EIO at any operation of the disk ends the voter at once, leader or follower, and nothing leaves it afterwards", async () => {
  const failed = new Set<string>();
  for (const victimLeads of [true, false]) {
    for (let at = 1; ; at++) {
      const cluster = await TestCluster.start({ snapshotEveryEntries: 6, keepEntries: 2 });
      const leader = await cluster.leader();
      const victim = victimLeads ? leader : cluster.followers(leader)[0]!;
      let count = 0;
      const failures: string[] = [];
      cluster.disks.get(victim.id)!.inject((operation, path) => {
        // What is put aside in the background holds nothing yet, and is made anew when it is needed.
        if (operation === "open" || /next-segment|reserve/.test(path) || ++count !== at) return null;
        failures.push(`${operation} ${path.replaceAll(/[0-9a-f]{16}/g, "N")}`);
        return "EIO";
      });
      await work(cluster, leader, 16);
      await cluster.settle();
      const [failure] = failures;
      if (failure === undefined) break;
      failed.add(failure);
      assert.deepEqual(
        victim.fatals.map((error) => (error as StorageError).code),
        ["IO_FAILED"],
        `${failure}: the process must end, once`,
      );
      const sent = cluster.sentBy.get(victim.id);
      await cluster.run(3_000);
      assert.equal(cluster.sentBy.get(victim.id), sent, `${failure}: it must not speak again`);
    }
  }
  for (const operation of ["sync wal/N-N.wal", "write wal/N-N.wal", "sync snap/N-N.tmp", "rename snap/N-N.tmp"]) {
    assert.ok(failed.has(operation), `${operation} never failed, only ${[...failed].join(", ")}`);
  }
});

test("an acknowledgement never leaves a voter whose sync has failed", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  for (const { id } of cluster.followers(leader)) {
    cluster.disks.get(id)!.inject((operation, path) => (operation === "sync" && path.endsWith(".wal") ? "EIO" : null));
  }
  const acknowledged = cluster.sent.get("appendReply") ?? 0;
  const { commitIndex } = leader.engine.status().raft;
  const asked = ask(leader, enqueue());
  await cluster.run(300);
  assert.equal(cluster.sent.get("appendReply") ?? 0, acknowledged);
  assert.equal(leader.engine.status().raft.commitIndex, commitIndex);
  assert.deepEqual(
    asked.answers.filter((answer) => answer.kind === "decided"),
    [],
  );
});

test("catalogue 29: a disk that is too full for a snapshot drops the snapshot, keeps the log, and the voter goes on", async () => {
  const cluster = await TestCluster.start({ snapshotEveryEntries: 5, keepEntries: 2 });
  const leader = await cluster.leader();
  const disk = cluster.disks.get(leader.id)!;
  disk.inject((operation, path) => (operation === "write" && path.startsWith("snap/") ? "ENOSPC" : null));
  await work(cluster, leader, 20);
  assert.deepEqual([leader.alive, leader.fatals], [true, []]);
  assert.deepEqual(
    disk.files().filter((file) => file.startsWith("snap/")),
    [],
  );
  disk.inject(null);
  await work(cluster, leader, 10);
  assert.notDeepEqual(
    disk.files().filter((file) => file.startsWith("snap/")),
    [],
    "with room again, the next one is kept",
  );
  const asked = ask(leader, enqueue());
  await cluster.until(() => asked.answers.length > 0);
  replyOf(asked);
});

test("a leader whose disk is nearly full takes no command, and says why; reads and elections go on", async () => {
  let isFull = false;
  const cluster = await TestCluster.start({ whyNoIntake: () => (isFull ? fullDisk : null) });
  const leader = await cluster.leader();
  isFull = true;
  assert.equal(reasonOf(ask(leader, enqueue())), "OVERLOADED");
  const barrier = leader.engine.readBarrier();
  await cluster.run(200);
  assert.ok((await barrier).ok);
  await cluster.kill(leader.id);
  await cluster.leader();
  isFull = false;
  const next = await cluster.leader();
  const asked = ask(next, enqueue());
  await cluster.until(() => asked.answers.length > 0);
  replyOf(asked);
});

const fullDisk = {
  reason: "OVERLOADED",
  message: "the disk is nearly full",
  field: null,
  leader: null,
  retryAfterMs: 5_000,
} as const;

test("a voter whose log lost its last batch comes back suspect, is caught up, and then counts again", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  await work(cluster, leader, 5);
  const [hurt, other] = cluster.followers(leader) as [TestNode, TestNode];
  await cluster.kill(hurt.id);
  const disk = cluster.disks.get(hurt.id)!;
  const file = disk.files().findLast((path) => path.endsWith(".wal"))!;
  const bytes = disk.content(file).slice();
  let last = bytes.length;
  while (bytes[last - 1] === 0) last--;
  bytes[last - 1]! ^= 1;
  disk.put(file, bytes);
  const back = await cluster.boot(hurt.id);
  assert.equal(back.engine.status().raft.suspect, true);
  await cluster.until(() => !back.engine.status().raft.suspect);
  cluster.isolate(other.id);
  const asked = ask(leader, enqueue());
  await cluster.until(() => asked.answers.length > 0);
  replyOf(asked);
});
