import assert from "node:assert/strict";
import { test } from "node:test";
import { TestCluster, ask, reasonOf, replyOf } from "../consensus/cluster.ts";
import { acquire, claim, enqueue, openSession } from "./operations.ts";

test("a claim waits outside the log until an item comes, and one item wakes one worker, first come first served", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const sessions = [];
  for (let at = 0; at < 5; at += 1) sessions.push(await openSession(cluster, leader, 60_000));
  const claims = sessions.map((session) => ask(leader, claim(), { session, sequence: 1, waitMs: 30_000, timeoutMs: 60_000 }));
  await cluster.run(300);
  assert.equal(leader.replica.status().parkedClaims, 5);
  const before = leader.replica.appliedIndex;
  const item = ask(leader, enqueue());
  await cluster.settle();
  assert.equal(replyOf(item).kind, "work");
  const reply = replyOf(claims[0]!);
  assert.ok(reply.kind === "claimed" && reply.items.length === 1);
  assert.equal(leader.replica.status().parkedClaims, 4);
  assert.equal(leader.replica.appliedIndex - before, 2, "the enqueue and one claim");
  for (let at = 0; at < 4; at += 1) ask(leader, enqueue());
  await cluster.settle();
  assert.deepEqual(
    claims.map((asked) => asked.answers.length),
    [1, 1, 1, 1, 1],
  );
});

test("a claim that was decided is not held up again: the next leader answers its repetition at once, with the same items", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const session = await openSession(cluster, leader, 60_000);
  ask(leader, enqueue());
  const first = ask(leader, claim(), { session, sequence: 1, waitMs: 30_000 });
  await cluster.run(200);
  await cluster.kill(leader.id);
  const next = await cluster.leader();
  const again = ask(next, claim(), { session, sequence: 1, waitMs: 30_000 });
  assert.deepEqual(replyOf(again), replyOf(first));
  const reply = replyOf(again);
  assert.ok(reply.kind === "claimed" && reply.items.length === 1);
});

test("a claim whose wait is over answers empty, through the log", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const session = await openSession(cluster, leader);
  const asked = ask(leader, claim(), { session, sequence: 1, waitMs: 500 });
  await cluster.run(400);
  assert.equal(asked.answers.length, 0);
  await cluster.run(300);
  assert.deepEqual(replyOf(asked), { kind: "claimed", items: [] });
});

test("a scheduled item wakes a waiting claim when it is due, though nothing else happens", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const session = await openSession(cluster, leader, 60_000);
  const { wallTimeMs } = leader.engine.clusterNow();
  const operation = enqueue();
  assert.ok(operation.kind === "enqueueWork");
  ask(leader, { ...operation, spec: { ...operation.spec, runAtMs: wallTimeMs + 1_000 } });
  const asked = ask(leader, claim(), { session, sequence: 1, waitMs: 20_000, timeoutMs: 30_000 });
  await cluster.run(900);
  assert.equal(asked.answers.length, 0);
  await cluster.run(300);
  const reply = replyOf(asked);
  assert.ok(reply.kind === "claimed" && reply.items.length === 1);
});

test("a waiting claim is told to go elsewhere when the lead is lost: it was never proposed", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const session = await openSession(cluster, leader);
  const asked = ask(leader, claim(), { session, sequence: 1, waitMs: 30_000 });
  cluster.isolate(leader.id);
  await cluster.run(1_000);
  assert.match(reasonOf(asked), /NO_LEADER|NOT_LEADER/);
});

test("a lock's line moves first in, first out, and each acquire is answered with its own token", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const sessions = [];
  for (let at = 0; at < 3; at += 1) sessions.push(await openSession(cluster, leader, 60_000));
  const asked = sessions.map((session) => ask(leader, acquire("training/hex"), { session, sequence: 1, timeoutMs: 60_000 }));
  await cluster.settle();
  assert.deepEqual(
    asked.map(({ answers }) => answers.length),
    [1, 0, 0],
  );
  const tokens = [];
  for (const [at, session] of sessions.entries()) {
    const reply = replyOf(asked[at]!);
    assert.ok(reply.kind === "lock" && reply.granted);
    assert.equal(reply.lock.holder?.sessionId, session);
    const token = reply.lock.holder.fencingToken;
    tokens.push(token);
    ask(leader, { kind: "releaseLock", name: "training/hex", fencingToken: token }, { session, sequence: 2 });
    await cluster.settle();
  }
  assert.deepEqual(
    tokens,
    tokens.toSorted((a, b) => a - b),
  );
  assert.equal(leader.replica.status().parkedLocks, 0);
});

test("an acquire that is asked again of a new leader waits on in its old place", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const holder = await openSession(cluster, leader, 60_000);
  const waiter = await openSession(cluster, leader, 60_000);
  const held = ask(leader, acquire("l"), { session: holder, sequence: 1 });
  const waiting = ask(leader, acquire("l"), { session: waiter, sequence: 1, timeoutMs: 60_000 });
  await cluster.run(100);
  await cluster.kill(leader.id);
  assert.equal(waiting.answers.length, 0, "a dead node says nothing");
  const next = await cluster.leader();
  const again = ask(next, acquire("l"), { session: waiter, sequence: 1, timeoutMs: 60_000 });
  await cluster.run(100);
  assert.equal(again.answers.length, 0);
  const reply = replyOf(held);
  assert.ok(reply.kind === "lock" && reply.lock.holder !== null);
  const { fencingToken } = reply.lock.holder;
  ask(next, { kind: "releaseLock", name: "l", fencingToken }, { session: holder, sequence: 2 });
  await cluster.settle();
  const granted = replyOf(again);
  assert.ok(granted.kind === "lock" && granted.granted && granted.lock.holder?.sessionId === waiter);
});

test("a wait in line that runs out by replicated time is a TIMEOUT, and a caller's own deadline leaves it unknown", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const [holder, brief, hurried] = [
    await openSession(cluster, leader, 60_000),
    await openSession(cluster, leader, 60_000),
    await openSession(cluster, leader, 60_000),
  ];
  ask(leader, acquire("l"), { session: holder, sequence: 1 });
  const timedOut = ask(leader, acquire("l", 1_000), { session: brief, sequence: 1, timeoutMs: 60_000 });
  const unknown = ask(leader, acquire("l"), { session: hurried, sequence: 1, timeoutMs: 1_500 });
  await cluster.run(1_300);
  assert.equal(reasonOf(timedOut), "TIMEOUT");
  assert.equal(unknown.answers.length, 0);
  await cluster.run(400);
  assert.equal(reasonOf(unknown), "UNKNOWN_OUTCOME");
});

test("a session that nobody renews ends by the replicated clock, with no other traffic; a renewed one lives", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const kept = await openSession(cluster, leader, 1_000);
  const left = await openSession(cluster, leader, 1_000);
  const renewals: unknown[] = [];
  for (let round = 0; round < 8; round += 1) {
    leader.replica.renewSession(kept, (answer) => renewals.push(answer.ok ? answer.value.ttlMs : answer.refusal.reason));
    await cluster.run(300);
  }
  assert.deepEqual(
    renewals,
    Array.from({ length: 8 }, () => 1_000),
  );
  const sessions = await leader.replica.read({ mode: "stale" }, (reader) => reader.listSessions().map((s) => s.sessionId));
  assert.ok(sessions.ok);
  assert.deepEqual(sessions.value.value, [kept]);
  const gone: unknown[] = [];
  leader.replica.renewSession(left, (answer) => gone.push(answer.ok ? "renewed" : answer.refusal.reason));
  await cluster.run(300);
  assert.deepEqual(gone, ["SESSION_EXPIRED"]);
});

test("renewals of many sessions share one entry per interval", async () => {
  const cluster = await TestCluster.start({ renewIntervalMs: 150 });
  const leader = await cluster.leader();
  const sessions = [];
  for (let at = 0; at < 50; at += 1) sessions.push(await openSession(cluster, leader, 60_000));
  const before = leader.replica.appliedIndex;
  let answered = 0;
  for (const session of sessions) leader.replica.renewSession(session, (answer) => void (answered += answer.ok ? 1 : 0));
  await cluster.run(400);
  assert.equal(answered, 50);
  assert.equal(leader.replica.appliedIndex - before, 1);
});

test("voters that are configured differently still apply the same: the grace after an election is the leader's, by its entry", async () => {
  const cluster = await TestCluster.start({ electionGraceMs: (id) => 1_000 * Number(id.slice(1)) });
  const leader = await cluster.leader();
  const session = await openSession(cluster, leader, 1_000);
  await cluster.kill(leader.id);
  const next = await cluster.leader();
  await cluster.run(100);
  const deadlines = await Promise.all(
    cluster
      .followers(next)
      .concat(next)
      .map((node) => node.replica.read({ mode: "stale" }, (r) => r.session(session)?.deadlineMs)),
  );
  const [first, second] = deadlines.map((read) => (read.ok ? read.value.value : null));
  assert.ok(typeof first === "number" && first === second, `the session ends at ${first} here and at ${second} there`);
});

test("a lease is stretched by an outage: nobody ends a session while there is no leader", async () => {
  const cluster = await TestCluster.start({ electionGraceMs: () => 1_000 });
  const leader = await cluster.leader();
  const session = await openSession(cluster, leader, 2_000);
  await cluster.run(100);
  const others = cluster.followers(leader);
  await cluster.kill(leader.id);
  for (const other of others) other.paused = true;
  await cluster.run(10_000);
  for (const other of others) cluster.resume(other.id);
  const next = await cluster.leader();
  const read = await next.replica.read({ mode: "stale" }, (reader) => reader.session(session));
  assert.ok(read.ok && read.value.value !== null, "the session ended during the outage");
});
