import assert from "node:assert/strict";
import { test } from "node:test";
import { Sequence } from "#kernel";
import { encodeCommand } from "#codec";
import { TestCluster, ask, reasonOf, replyOf } from "../consensus/cluster.ts";
import { claim, enqueue, openSession } from "./operations.ts";

test("a command is answered once it is committed, and every voter comes to the same state", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const asked = Array.from({ length: 2_500 }, (_, at) => ask(leader, enqueue("q", `${at}`)));
  await cluster.until(() => asked.every(({ answers }) => answers.length === 1));
  for (const one of asked) assert.equal(replyOf(one).kind, "work");
  await cluster.run(500);
  const statuses = [...cluster.nodes.values()].map(({ replica }) => replica.status());
  assert.deepEqual(new Set(statuses.map(({ appliedIndex }) => appliedIndex)).size, 1);
  assert.deepEqual(new Set(statuses.map(({ digest }) => `${digest?.index}:${digest?.value}`)).size, 1);
  assert.equal(statuses[0]!.digest?.index, 2_000);
  assert.equal(statuses[0]!.counts.work.PENDING, 2_500);
  assert.equal(
    statuses.reduce((sum, { inFlight }) => sum + inFlight, 0),
    0,
  );
});

test("commands of one loop turn share one append to each follower and one batch of the log", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  await cluster.settle();
  const before = cluster.sent.get("append") ?? 0;
  const asked = Array.from({ length: 200 }, () => ask(leader, enqueue()));
  await cluster.settle();
  assert.ok(asked.every(({ answers }) => answers.length === 1));
  // One with the entries and one that tells the commit index, to each of two followers.
  assert.ok((cluster.sent.get("append") ?? 0) - before <= 4, `${(cluster.sent.get("append") ?? 0) - before} appends`);
});

test("a follower names the leader, and without a leader there is nobody to name", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const [follower] = cluster.followers(leader);
  await cluster.run(100);
  const asked = ask(follower!, enqueue());
  assert.equal(reasonOf(asked), "NOT_LEADER");
  assert.equal(asked.answers[0]!.kind === "refused" && asked.answers[0]!.refusal.leader, leader.id);
  const early = await TestCluster.start();
  assert.equal(reasonOf(ask(early.node(early.ids[0]!), enqueue())), "NO_LEADER");
});

test("what only a leader may write, and what cannot be read, is refused at the door", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  assert.equal(reasonOf(ask(leader, { kind: "advanceClock" })), "PERMISSION_DENIED");
  const answers: unknown[] = [];
  leader.replica.submit({ command: Uint8Array.of(255, 255), principal: "x", timeoutMs: null }, (answer) => answers.push(answer));
  assert.match(JSON.stringify(answers), /INVALID_ARGUMENT/);
});

test("the proven principal stands in the session, not the claimed one", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const session = await openSession(cluster, leader);
  await cluster.run(100);
  for (const node of cluster.nodes.values()) {
    const read = await node.replica.read({ mode: "stale" }, (reader) => reader.session(session)?.principal);
    assert.ok(read.ok);
    assert.equal(read.value.value, "tester");
  }
});

test("exactly once over a leader change: the same sequence gets the first answer from the next leader", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const session = await openSession(cluster, leader);
  const first = ask(leader, enqueue(), { session, sequence: 1 });
  await cluster.until(() => first.answers.length === 1);
  await cluster.run(100);
  await cluster.kill(leader.id);
  const next = await cluster.leader();
  assert.notEqual(next.id, leader.id);
  const again = ask(next, enqueue(), { session, sequence: 1 });
  await cluster.until(() => again.answers.length === 1);
  assert.deepEqual(replyOf(again), replyOf(first));
  assert.equal(next.replica.status().counts.work.PENDING, 1);
});

test("a leader cut off answers UNKNOWN_OUTCOME when it loses the lead, and its entries never count", async () => {
  const cluster = await TestCluster.start();
  const old = await cluster.leader();
  const session = await openSession(cluster, old);
  cluster.isolate(old.id);
  const lost = ask(old, enqueue(), { session, sequence: 1 });
  await cluster.until(() => lost.answers.length === 1);
  assert.equal(reasonOf(lost), "UNKNOWN_OUTCOME");
  const next = await cluster.leader();
  const again = ask(next, enqueue(), { session, sequence: 1 });
  await cluster.until(() => again.answers.length === 1);
  assert.equal(replyOf(again).kind, "work");
  cluster.heal(old.id);
  await cluster.run(1_000);
  assert.equal(lost.answers.length, 1);
  for (const node of cluster.nodes.values()) assert.equal(node.replica.status().counts.work.PENDING, 1, node.id);
});

test("a deadline that passes while the command is in the log leaves the outcome unknown", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  for (const follower of cluster.followers(leader)) follower.paused = true;
  const asked = ask(leader, enqueue(), { timeoutMs: 20 });
  await cluster.run(150);
  assert.equal(reasonOf(asked), "UNKNOWN_OUTCOME");
});

test("kill -9 of all voters at once: everything that was answered is there afterwards", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const asked = Array.from({ length: 300 }, () => ask(leader, enqueue()));
  await cluster.until(() => asked.every(({ answers }) => answers.length === 1));
  for (const id of cluster.ids) await cluster.kill(id, 0.5);
  for (const id of cluster.ids) await cluster.boot(id);
  const next = await cluster.leader();
  await cluster.run(100);
  assert.equal(next.replica.status().counts.work.PENDING, 300);
  const more = ask(next, enqueue());
  await cluster.until(() => more.answers.length === 1);
  assert.equal(replyOf(more).kind, "work");
});

test("a follower that was down catches up from its log and the leader's", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const [follower] = cluster.followers(leader);
  await cluster.kill(follower!.id);
  const asked = Array.from({ length: 50 }, () => ask(leader, enqueue()));
  await cluster.until(() => asked.every(({ answers }) => answers.length === 1));
  const back = await cluster.boot(follower!.id);
  await cluster.until(() => back.replica.appliedIndex === leader.replica.appliedIndex);
  assert.equal(back.replica.status().counts.work.PENDING, 50);
});

test("a lagging follower gets a snapshot in chunks and goes on from there, and survives a restart", async () => {
  const cluster = await TestCluster.start({ snapshotEveryEntries: 100, keepEntries: 10, snapshotChunkBytes: 1_000 });
  const leader = await cluster.leader();
  const [lagging] = cluster.followers(leader);
  await cluster.kill(lagging!.id);
  for (let round = 0; round < 5; round += 1) {
    const asked = Array.from({ length: 100 }, () => ask(leader, enqueue()));
    await cluster.until(() => asked.every(({ answers }) => answers.length === 1));
  }
  let back = await cluster.boot(lagging!.id);
  const fromSnapshot = () => back.replica.appliedIndex === leader.replica.appliedIndex;
  await cluster.until(fromSnapshot);
  assert.ok((cluster.sent.get("snapshotChunk") ?? 0) > 3, `${cluster.sent.get("snapshotChunk")} chunks`);
  assert.equal(back.replica.status().counts.work.PENDING, 500);
  const more = ask(leader, enqueue());
  await cluster.until(() => more.answers.length === 1 && fromSnapshot());
  await cluster.kill(lagging!.id, 0.5);
  back = await cluster.boot(lagging!.id);
  await cluster.until(fromSnapshot);
  assert.equal(back.replica.status().counts.work.PENDING, 501);
});

test("a disk that fails stops the node: it says so once and answers nothing more", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  cluster.disks.get(leader.id)!.inject(() => "EIO");
  const asked = ask(leader, enqueue());
  await cluster.settle();
  assert.equal(leader.fatals.length, 1);
  assert.match(leader.fatals[0]!.message, /EIO/);
  assert.equal(reasonOf(asked), "UNKNOWN_OUTCOME");
  assert.equal(reasonOf(ask(leader, enqueue())), "UNAVAILABLE");
  const next = await cluster.leader();
  assert.notEqual(next.id, leader.id);
});

test("a linearizable read on any voter sees every write that was answered before it", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const asked = ask(leader, enqueue());
  await cluster.until(() => asked.answers.length === 1);
  assert.equal(leader.engine.readBarrier(), leader.engine.readBarrier(), "one barrier for all callers of a turn");
  const before = cluster.sent.get("heartbeat") ?? 0;
  const reads = [...cluster.nodes.values()].flatMap(({ replica }) =>
    Array.from({ length: 20 }, () => replica.read({ mode: "linearizable" }, (reader) => reader.counts().work.PENDING)),
  );
  await cluster.settle();
  for (const read of await Promise.all(reads)) assert.ok(read.ok && read.value.value === 1);
  assert.ok((cluster.sent.get("heartbeat") ?? 0) - before <= 8, "sixty reads share their rounds of heartbeats");
});

test("a cut-off leader serves no linearizable read; a read at a future revision times out", async () => {
  const cluster = await TestCluster.start({ timeoutMs: 300 });
  const leader = await cluster.leader();
  cluster.isolate(leader.id);
  const read = leader.replica.read({ mode: "linearizable" }, () => 1);
  const ahead = leader.replica.read({ mode: "min_revision", revision: (leader.replica.appliedIndex + 1_000) as never }, () => 1);
  await cluster.run(1_000);
  const outcome = await read;
  assert.ok(!outcome.ok);
  const late = await ahead;
  assert.ok(!late.ok && late.refusal.reason === "TIMEOUT");
});

test("an abandoned request is not answered, and a second copy of it still is", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const session = await openSession(cluster, leader);
  const command = encodeCommand(
    { sessionId: session, sequence: Sequence(1), firstUnackedSequence: Sequence(0), operation: claim() },
    5_000,
  );
  const request = { command, principal: "tester", timeoutMs: null };
  const answers: unknown[] = [];
  leader.replica.submit(request, (answer) => answers.push(answer));
  assert.equal(leader.replica.status().parkedClaims, 1);
  leader.replica.abandon(request);
  assert.equal(leader.replica.status().parkedClaims, 0);
  await cluster.run(6_000);
  assert.deepEqual(answers, []);
});
