import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { NodeId } from "#kernel";
import type { Operation } from "#statemachine";
import { ask, ELECTION_TICKS, reasonOf, replyOf, TestCluster, TICK_MS } from "./cluster.ts";

const openSession: Operation = {
  kind: "openSession",
  nodeId: NodeId("client"),
  incarnation: 1,
  principal: "",
  purpose: "test",
  ttlMs: 60_000,
  capabilities: null,
};

describe("the engine hands leadership over", () => {
  test("to a named voter and back, and says who leads then; writes go on there", async () => {
    const cluster = await TestCluster.start();
    const first = await cluster.leader();
    const [second] = cluster.followers(first);
    const moved = first.engine.transferLeadership(second!.id);
    await cluster.settle();
    assert.deepEqual(await moved, { ok: true, value: second!.id });
    assert.equal((await cluster.leader()).id, second!.id);
    const asked = ask(second!, openSession);
    await cluster.run(TICK_MS);
    assert.equal(replyOf(asked).kind, "session");
  });

  test("a write in the middle of it is refused with the next leader's name, never lost and never told as failed", async () => {
    const cluster = await TestCluster.start();
    const first = await cluster.leader();
    const moved = first.engine.transferLeadership(null);
    const during = ask(first, openSession);
    await cluster.settle();
    const to = await moved;
    assert.ok(to.ok);
    assert.equal(reasonOf(during), "NOT_LEADER");
    const answer = during.answers[0]!;
    assert.equal(answer.kind === "refused" && answer.refusal.leader, to.value);
  });

  test("a successor that cannot catch up is given up after an election timeout: TIMEOUT, and nothing changed", async () => {
    const cluster = await TestCluster.start();
    const first = await cluster.leader();
    const [lost, other] = cluster.followers(first);
    cluster.isolate(lost!.id);
    ask(first, openSession);
    await cluster.run(TICK_MS);
    let outcome: unknown = null;
    void first.engine.transferLeadership(lost!.id).then((got) => (outcome = got));
    await cluster.run((ELECTION_TICKS + 1) * TICK_MS);
    assert.equal((outcome as { refusal: { reason: string } }).refusal.reason, "TIMEOUT");
    assert.equal(first.engine.leader().isSelf, true);
    const second = first.engine.transferLeadership(other!.id);
    await cluster.settle();
    assert.deepEqual(await second, { ok: true, value: other!.id });
  });

  test("a node that does not lead, and a target nobody knows, are refused at once", async () => {
    const cluster = await TestCluster.start();
    const first = await cluster.leader();
    const [follower] = cluster.followers(first);
    const elsewhere = await follower!.engine.transferLeadership(null);
    assert.deepEqual(!elsewhere.ok && [elsewhere.refusal.reason, elsewhere.refusal.leader], ["NOT_LEADER", first.id]);
    const nobody = await first.engine.transferLeadership(NodeId("n9"));
    assert.equal(!nobody.ok && nobody.refusal.reason, "NOT_FOUND");
  });
});

describe("reads where they are asked", () => {
  test("a follower answers a linearizable read itself, from its own state, at an index that holds every write before it", async () => {
    const cluster = await TestCluster.start();
    const leader = await cluster.leader();
    const [follower] = cluster.followers(leader);
    const asked = ask(leader, openSession);
    await cluster.run(TICK_MS);
    const decided = replyOf(asked);
    assert.equal(decided.kind, "session");
    const read = follower!.replica.read({ mode: "linearizable" }, (reader) => reader.listSessions().length);
    await cluster.run(TICK_MS);
    const got = await read;
    assert.deepEqual(got.ok && got.value.value, 1);
  });

  test("a min_revision read on a follower waits until that revision is applied there, and asks nobody", async () => {
    const cluster = await TestCluster.start();
    const leader = await cluster.leader();
    const [follower] = cluster.followers(leader);
    cluster.isolate(follower!.id);
    ask(leader, openSession);
    await cluster.run(TICK_MS);
    const revision = leader.replica.appliedIndex;
    assert.ok(follower!.replica.appliedIndex < revision);
    let got: { readonly ok: boolean } | null = null;
    void follower!.replica
      .read({ mode: "min_revision", revision }, (reader) => reader.listSessions().length)
      .then((answer) => (got = answer));
    await cluster.run(TICK_MS);
    assert.equal(got, null);
    cluster.heal(follower!.id);
    await cluster.until(() => got !== null);
    assert.deepEqual(got, { ok: true, value: { value: 1, revision: follower!.replica.appliedIndex } });
  });

  test("a read that waits on a leader which loses the lead is rejected, not left hanging", async () => {
    const cluster = await TestCluster.start();
    const leader = await cluster.leader();
    cluster.isolate(leader.id);
    let reason: string | null = null;
    void leader.engine.readBarrier().then((outcome) => (reason = outcome.ok ? "granted" : outcome.refusal.reason));
    await cluster.run(3 * ELECTION_TICKS * TICK_MS);
    assert.ok(reason === "NO_LEADER" || reason === "NOT_LEADER", `${reason}`);
  });
});

test("a dead leader is replaced after about a heartbeat when its connections break, not after an election timeout", async () => {
  const cluster = await TestCluster.start({}, 5);
  const leader = await cluster.leader();
  const from = cluster.nowMs;
  await cluster.kill(leader.id);
  await cluster.leader();
  assert.ok(cluster.nowMs - from < ELECTION_TICKS * TICK_MS, `${cluster.nowMs - from} ms`);
});
