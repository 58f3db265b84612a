import assert from "node:assert/strict";
import { test } from "node:test";
import { LogIndex, NodeId, type Outcome, type Refusal } from "#kernel";
import { type Configuration, type MembershipChange, isJoint, settledConfiguration } from "#raft";
import { enqueue } from "../replica/operations.ts";
import { ELECTION_TICKS, TICK_MS, TestCluster, type TestNode, ask, reasonOf, replyOf } from "./cluster.ts";

const n4 = NodeId("n4");

test("a node that is added catches up, is promoted, and carries the cluster through the loss of the leader", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  await fill(cluster, leader, 20);
  const newcomer = await cluster.join(n4);
  const added = await changed(cluster, leader, { kind: "add", node: n4, promote: true });
  const expected = { ...settledConfiguration(cluster.ids, [n4]), promoting: [n4], admissions: added.admissions };
  assert.deepEqual(added, expected, "done once the learner is in");
  await cluster.until(() => configurationOf(newcomer).voters.includes(n4) && !isJoint(configurationOf(newcomer)));
  await caughtUp(cluster, leader, newcomer);
  assert.deepEqual(newcomer.replica.status().counts, leader.replica.status().counts);
  await cluster.kill(leader.id);
  const next = await cluster.leader();
  await fill(cluster, next, 1);
  assert.deepEqual(new Set(configurationOf(next).voters), new Set([...cluster.ids, n4]));
});

test("a promotion outlives the leader that was asked for it", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const newcomer = await cluster.join(n4);
  cluster.isolate(n4);
  await changed(cluster, leader, { kind: "add", node: n4, promote: true });
  await cluster.kill(leader.id);
  cluster.heal(n4);
  const next = await cluster.leader();
  await cluster.until(() => configurationOf(next).voters.includes(n4) && !isJoint(configurationOf(next)));
  await caughtUp(cluster, next, newcomer);
});

test("a follower is removed: the change is done when the joint configuration is left, and its links go", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const [gone, stays] = cluster.followers(leader);
  const settled = await changed(cluster, leader, { kind: "remove", node: gone!.id });
  assert.deepEqual(new Set(settled.voters), new Set([leader.id, stays!.id]));
  assert.equal(isJoint(settled), false);
  assert.deepEqual(configurationOf(leader), settled);
  await cluster.until(() => !stays!.members.has(gone!.id) && !leader.members.has(gone!.id));
  const { term } = leader.engine.leader();
  await cluster.run(3_000);
  assert.equal(leader.engine.leader().term, term, "the removed node disturbs nobody");
  await fill(cluster, leader, 1);
});

test("a removed leader answers, hands over within less than an election timeout, and writes go on", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const writes = Array.from({ length: 30 }, () => ask(leader, enqueue()));
  const startedMs = cluster.nowMs;
  const settled = await changed(cluster, leader, { kind: "remove", node: leader.id });
  assert.equal(settled.voters.includes(leader.id), false);
  await cluster.until(() => cluster.followers(leader).some(({ engine }) => engine.status().raft.ownTermCommitted));
  assert.ok(cluster.nowMs - startedMs < ELECTION_TICKS * TICK_MS, `took ${cluster.nowMs - startedMs} ms`);
  assert.deepEqual(
    writes.map((asked) => reasonOf(asked)),
    writes.map(() => "accepted"),
    "what it had taken before is done, not unknown",
  );
  assert.equal(leader.engine.leader().isSelf, false);
  const next = await cluster.leader();
  await fill(cluster, next, 5);
  await cluster.run(1_000);
  assert.equal(next.engine.leader().isSelf, true);
});

for (const which of ["leader", "follower"] as const) {
  test(`a removed ${which} soon names nobody: it says that it is no member, and lets watches go`, async () => {
    const cluster = await TestCluster.start();
    const leader = await cluster.leader();
    const gone = which === "leader" ? leader : cluster.followers(leader)[0]!;
    const ended: Refusal[] = [];
    const spec = { fromRevision: LogIndex(1), snapshot: false, kinds: [], keyPrefix: "" };
    gone.replica.watch(spec, { push: () => {}, end: (why) => void ended.push(why) });
    await changed(cluster, leader, { kind: "remove", node: gone.id });
    await cluster.run(5_000);
    assert.equal(reasonOf(ask(gone, enqueue())), "UNAVAILABLE");
    assert.equal(gone.replica.status().engine.isMember, false);
    assert.deepEqual(
      ended.map(({ reason }) => reason),
      ["UNAVAILABLE"],
    );
    const read = await gone.replica.read({ mode: "linearizable" }, () => null);
    assert.match(read.ok ? "" : read.refusal.message, /not a member/);
    const ahead = { mode: "min_revision", revision: LogIndex(gone.replica.appliedIndex + 1) } as const;
    assert.equal((await gone.replica.read(ahead, () => null)).ok, false, "what it will never have is not waited for");
    assert.equal((await gone.replica.read({ mode: "stale" }, () => null)).ok, true);
    const rest = cluster.followers(gone);
    assert.ok(rest.every(({ replica }) => replica.status().engine.isMember));
  });
}

test("wherever the power of the leader is cut in a change, the cluster never stays joint, and every voter ends in one configuration", async () => {
  const ends = new Set<number>();
  for (let survived = 0; survived < 8; survived += 1) {
    const cluster = await TestCluster.start({ seed: survived }, 5);
    const leader = await cluster.leader();
    const [gone] = cluster.followers(leader);
    const disk = cluster.disks.get(leader.id)!;
    disk.stopAt = disk.operations + survived;
    const asked = begin(leader, { kind: "remove", node: gone!.id });
    await cluster.settle();
    await cluster.kill(leader.id, 0.5);
    const next = await cluster.leader();
    await cluster.until(() => !isJoint(configurationOf(next)));
    await fill(cluster, next, 1);
    const again = await cluster.boot(leader.id);
    await caughtUp(cluster, next, again);
    assert.deepEqual(configurationOf(again), configurationOf(next));
    const { voters } = configurationOf(next);
    if (asked.outcome?.ok === true) assert.equal(voters.includes(gone!.id), false, "what was answered holds");
    ends.add(voters.length);
  }
  assert.ok(ends.has(4), "some cuts come after the joint entry has left the node");
});

test("a newcomer is linked as soon as it is appended; one that is on the way out, until that is committed", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const [gone] = cluster.followers(leader);
  cluster.isolate(leader.id);
  begin(leader, { kind: "replace", remove: gone!.id, add: n4 });
  await cluster.settle();
  assert.deepEqual(new Set(leader.members), new Set([...cluster.ids, n4]));
});

test("one change at a time: a second caller is told what is under way", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const [one, other] = cluster.followers(leader);
  const first = begin(leader, { kind: "remove", node: one!.id });
  const second = await refusedChange(cluster, leader, { kind: "remove", node: other!.id });
  assert.equal(second.reason, "BAD_STATE");
  assert.match(second.message, /another membership change is under way/);
  await cluster.until(() => first.outcome !== null);
  assert.ok(first.outcome?.ok);
});

test("a follower refuses with the leader's name; a leader that loses its majority over a change says that nobody knows", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const [follower] = cluster.followers(leader);
  const refused = await refusedChange(cluster, follower!, { kind: "remove", node: leader.id });
  assert.deepEqual([refused.reason, refused.leader], ["NOT_LEADER", leader.id]);
  cluster.isolate(leader.id);
  const pending = begin(leader, { kind: "remove", node: follower!.id });
  await cluster.until(() => pending.outcome !== null);
  assert.ok(pending.outcome?.ok === false && pending.outcome.refusal.reason === "UNKNOWN_OUTCOME");
  const next = await cluster.leader();
  await fill(cluster, next, 1);
  cluster.heal(leader.id);
  await caughtUp(cluster, next, leader);
  assert.deepEqual(configurationOf(leader), settledConfiguration(cluster.ids), "rolled back with its entry");
});

test("members come with the snapshot: to a newcomer, and to a voter that starts from it", async () => {
  const cluster = await TestCluster.start({ snapshotEveryEntries: 20, keepEntries: 2 });
  const leader = await cluster.leader();
  const [gone, stays] = cluster.followers(leader);
  await changed(cluster, leader, { kind: "remove", node: gone!.id });
  await cluster.kill(gone!.id);
  await fill(cluster, leader, 60);
  await cluster.until(() => stays!.engine.status().raft.baseIndex > 30);
  await cluster.kill(stays!.id);
  const again = await cluster.boot(stays!.id);
  assert.deepEqual(new Set(configurationOf(again).voters), new Set([leader.id, again.id]));
  await cluster.leader();
  const newcomer = await cluster.join(n4);
  await changed(cluster, await cluster.leader(), { kind: "add", node: n4, promote: false });
  await caughtUp(cluster, leader, newcomer);
  assert.ok(newcomer.engine.status().raft.baseIndex > 30, "by snapshot");
  assert.deepEqual(configurationOf(newcomer), configurationOf(leader));
});

test("of two nodes one is removed, and the other goes on alone", async () => {
  const cluster = await TestCluster.start({}, 2);
  const leader = await cluster.leader();
  const [gone] = cluster.followers(leader);
  const settled = await changed(cluster, leader, { kind: "remove", node: gone!.id });
  assert.deepEqual(settled, settledConfiguration([leader.id]));
  await cluster.kill(gone!.id);
  await fill(cluster, leader, 3);
  await cluster.kill(leader.id);
  await cluster.boot(leader.id);
  await fill(cluster, await cluster.leader(), 1);
});

interface Begun {
  outcome: Outcome<Configuration> | null;
}

function begin(node: TestNode, change: MembershipChange): Begun {
  const begun: Begun = { outcome: null };
  void node.engine.reconfigure(change).then((outcome) => (begun.outcome = outcome));
  return begun;
}

async function settledOutcome(cluster: TestCluster, node: TestNode, change: MembershipChange): Promise<Outcome<Configuration>> {
  const begun = begin(node, change);
  await cluster.until(() => begun.outcome !== null);
  return begun.outcome!;
}

async function changed(cluster: TestCluster, node: TestNode, change: MembershipChange): Promise<Configuration> {
  const outcome = await settledOutcome(cluster, node, change);
  assert.ok(outcome.ok, outcome.ok ? "" : outcome.refusal.message);
  return outcome.value;
}

async function refusedChange(cluster: TestCluster, node: TestNode, change: MembershipChange) {
  const outcome = await settledOutcome(cluster, node, change);
  assert.ok(!outcome.ok, "it was not refused");
  return outcome.refusal;
}

function configurationOf(node: TestNode): Configuration {
  return node.engine.status().raft.configuration;
}

async function fill(cluster: TestCluster, node: TestNode, count: number): Promise<void> {
  const asked = Array.from({ length: count }, () => ask(node, enqueue()));
  await cluster.until(() => asked.every(({ answers }) => answers.length === 1));
  for (const one of asked) replyOf(one);
}

async function caughtUp(cluster: TestCluster, leader: TestNode, node: TestNode): Promise<void> {
  await cluster.until(() => node.replica.appliedIndex >= leader.engine.status().raft.commitIndex);
}
