import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeId, type SessionId, type Incarnation } from "#kernel";
import { type Operation, type Reply, createStateMachine, restoreStateMachine } from "#statemachine";
import { World, command, summary } from "./world.ts";

const gpu1 = NodeId("gpu-1");
const gpu2 = NodeId("gpu-2");
const voters = [NodeId("voter-1"), NodeId("voter-2")];
const life = (epoch: number, counter = 0): Incarnation => ({ epoch, counter });
const down = (incarnation = life(1), nodeId = gpu1): Operation => ({ kind: "nodeDown", nodeId, incarnation, observedBy: voters });
const up = (incarnation: Incarnation, nodeId = gpu1): Operation => ({ kind: "nodeUp", nodeId, incarnation, observedBy: voters });
const schedule = (scheduling: "OPEN" | "CORDONED" | "DRAINING", nodeId = gpu1): Operation => ({
  kind: "setNodeScheduling",
  nodeId,
  scheduling,
  reason: "new fans",
  by: "anna",
});
const forget = (barrier: Incarnation, nodeId = gpu1): Operation => ({
  kind: "forgetNode",
  nodeId,
  barrier,
  reason: "sold",
  by: "anna",
});
const readmit = (nodeId = gpu1): Operation => ({ kind: "readmitNode", nodeId, reason: "bought back", by: "anna" });

function world(): World {
  const made = new World();
  made.run("none", { kind: "raiseFeatureLevel", level: 1 });
  return made;
}

const node = (at: World, nodeId = gpu1) =>
  at.machine
    .read()
    .listNodes()
    .find((summary) => summary.node.nodeId === nodeId)!.node;
const session = (at: World, id: SessionId) => at.machine.read().session(id);
const happened = (at: World) =>
  at.events.flatMap(({ object }) => (object?.kind === "node" ? [object.value.lastEvent!.name] : []));

test("below feature level 1 commands about nodes are refused and nothing is recorded: voters are upgraded one by one", () => {
  const old = new World();
  const empty = old.machine.snapshot();
  for (const operation of [down(), up(life(2)), schedule("CORDONED"), forget(life(9)), readmit()])
    old.refuse("BAD_STATE", operation);
  old.refuse("BAD_STATE", { kind: "partitionSuspected", lost: [gpu1], observedBy: voters });
  old.refuse("BAD_STATE", { kind: "partitionHealed", observedBy: voters });
  assert.deepEqual(old.machine.read().listNodes(), []);
  assert.match([...empty][0]!, /"format":2,(?!.*featureLevel)/, "a voter of the first version can read it");
});

test("the feature level only rises, may be raised again, and stops at what this version knows", () => {
  const at = world();
  at.run("none", { kind: "raiseFeatureLevel", level: 1 });
  assert.equal(at.machine.read().featureLevel(), 1);
  at.refuse("UNIMPLEMENTED", { kind: "raiseFeatureLevel", level: 2 }, "level");
  at.refuse("INVALID_ARGUMENT", { kind: "raiseFeatureLevel", level: 0 }, "level");
  assert.equal(at.machine.read().featureLevel(), 1);
});

test("the feature level is part of the digest, so that a voter that does not know it is found out", () => {
  const [raised, other] = [createStateMachine(), createStateMachine()];
  const entry = new World().context();
  raised.apply(command({ kind: "raiseFeatureLevel", level: 1 }), entry);
  other.skip(entry);
  assert.notEqual(raised.digest(), other.digest());
});

test("NodeDown shortens a long lease to the grace, and never takes it away at once", () => {
  const at = world();
  const worker = at.open(60_000);
  at.enqueue();
  const claimed = worker.claimOne();
  at.after(45_000).run("node", down());
  assert.deepEqual(happened(at), ["NODE_DOWN"]);
  assert.deepEqual(summary(at.events), ["node gpu-1", `session ${worker.id}`]);
  const suspect = session(at, worker.id)!;
  assert.deepEqual([suspect.state, suspect.deadlineMs], ["SUSPECT", 55_000]);
  assert.equal(at.work(claimed.workId).state, "CLAIMED");
  at.after(9_999).tick();
  assert.equal(at.work(claimed.workId).state, "CLAIMED");
  at.after(1).tick();
  assert.deepEqual([at.work(claimed.workId).state, at.work(claimed.workId).lossCount], ["PENDING", 1]);
  assert.equal(session(at, worker.id), null);
});

test("NodeDown never extends a lease that ends before the grace", () => {
  const at = world();
  const worker = at.open(15_000);
  at.after(12_000).run("node", down());
  assert.equal(session(at, worker.id)!.deadlineMs, 15_000);
});

test("a session that renewed within two keepalive intervals keeps those two: direct evidence beats gossip", () => {
  const at = world();
  const worker = at.open(60_000);
  at.after(1_000).run("node", down());
  assert.deepEqual([session(at, worker.id)!.state, session(at, worker.id)!.deadlineMs], ["SUSPECT", 40_000]);
});

test("a renewal within the grace heals the session and the node, and costs nothing", () => {
  const at = world();
  const worker = at.open(60_000);
  at.enqueue();
  const claimed = worker.claimOne();
  at.after(45_000).run("node", down());
  at.after(5_000);
  worker.renew();
  assert.deepEqual(happened(at), ["NODE_RECOVERED"]);
  assert.deepEqual([session(at, worker.id)!.state, session(at, worker.id)!.deadlineMs], ["OPEN", 110_000]);
  assert.deepEqual([node(at).state, node(at).sinceMs], ["UP", 50_000]);
  worker.succeed(claimed);
});

test("a verdict that was refuted by a renewal is not believed again, a newer one is", () => {
  const at = world();
  const worker = at.open(60_000);
  at.run("node", down(life(7, 3)));
  worker.renew();
  at.refuse("BAD_STATE", down(life(7, 3)), "incarnation");
  at.refuse("BAD_STATE", down(life(7, 2)), "incarnation");
  assert.equal(node(at).state, "UP");
  at.run("node", down(life(7, 4)));
  assert.equal(node(at).state, "DOWN");
});

test("a new session of a node that is down brings it back", () => {
  const at = world();
  at.run("node", down());
  at.open();
  assert.deepEqual(happened(at), ["NODE_RECOVERED"]);
  assert.equal(node(at).state, "UP");
});

test("a second verdict about a suspect session shortens nothing further", () => {
  const at = world();
  const worker = at.open(60_000);
  at.after(1_000).run("node", down(life(1)));
  at.after(1_000).run("node", down(life(2)));
  assert.equal(session(at, worker.id)!.deadlineMs, 40_000);
});

test("the grace of a new leader extends a suspect session and leaves it suspect", () => {
  const at = world();
  const worker = at.open(60_000);
  at.after(45_000).run("node", down());
  at.machine.leaderChanged(at.context(), 30_000);
  assert.deepEqual([session(at, worker.id)!.state, session(at, worker.id)!.deadlineMs], ["SUSPECT", 75_000]);
});

test("the same verdict twice changes nothing; an older one is refused", () => {
  const at = world();
  at.run("node", down(life(3)));
  const { version } = node(at);
  at.run("node", down(life(3)));
  assert.deepEqual(at.events, []);
  assert.equal(node(at).version, version);
  at.refuse("BAD_STATE", down(life(2)), "incarnation");
});

test("a higher incarnation recovers the node and leaves its sessions alone: gossip never extends a lease", () => {
  const at = world();
  const worker = at.open(60_000);
  at.after(45_000).run("node", down(life(3)));
  at.refuse("BAD_STATE", up(life(3)), "incarnation");
  at.run("node", up(life(3, 1)));
  assert.deepEqual(happened(at), ["NODE_RECOVERED"]);
  assert.deepEqual([node(at).state, session(at, worker.id)!.state], ["UP", "SUSPECT"]);
  assert.equal(session(at, worker.id)!.deadlineMs, 55_000);
  at.run("node", down(life(3, 1)));
  assert.equal(node(at).state, "DOWN", "it may die in that incarnation");
});

test("a cordoned node gets no new claims and finishes what it has; uncordoned, it claims again", () => {
  const at = world();
  const worker = at.open();
  const first = at.enqueue();
  const second = at.enqueue();
  const claimed = worker.claimOne();
  assert.equal(claimed.workId, first.workId);
  for (const scheduling of ["CORDONED", "DRAINING"] as const) {
    at.run("node", schedule(scheduling));
    assert.deepEqual(worker.claim(), []);
    assert.equal(at.machine.read().claimable(worker.id, ["default"], 0 as never), false, "a long poll is not woken for nothing");
  }
  const [listed] = at.machine.read().listNodes();
  assert.deepEqual([listed!.sessions, listed!.claims], [1, 1]);
  worker.succeed(claimed);
  assert.equal(at.machine.read().listNodes()[0]!.claims, 0);
  at.run("node", schedule("OPEN"));
  assert.deepEqual(happened(at), ["NODE_UNCORDONED"]);
  assert.deepEqual(
    worker.claim().map(({ workId }) => workId),
    [second.workId],
  );
});

test("a node can be cordoned before it has ever been seen, and what is so already is no change", () => {
  const at = world();
  at.run("node", schedule("CORDONED", gpu2));
  assert.deepEqual(happened(at), ["NODE_CORDONED"]);
  const { lastEvent } = node(at, gpu2);
  assert.deepEqual([lastEvent!.reason, lastEvent!.by], ["new fans", "anna"]);
  at.run("node", schedule("CORDONED", gpu2));
  assert.deepEqual(at.events, []);
});

test("a cordon outlives death and recovery: it is the operator's", () => {
  const at = world();
  at.run("node", schedule("CORDONED"));
  at.run("node", down());
  at.run("node", up(life(2)));
  assert.equal(node(at).scheduling, "CORDONED");
});

test("a node with sessions cannot be forgotten; without any it is evicted behind its barrier", () => {
  const at = world();
  const worker = at.open();
  at.run("node", down(life(5)));
  at.refuse("BAD_STATE", forget(life(2 ** 20)), "node_id");
  worker.run("none", { kind: "closeSession" });
  at.refuse("CONFLICT", forget(life(5)), "barrier");
  at.run("node", forget(life(2 ** 20)));
  assert.deepEqual(happened(at), ["NODE_EVICTED"]);
  assert.deepEqual([node(at).state, node(at).incarnation], ["EVICTED", life(2 ** 20)]);
});

test("an evicted node opens no session and neither gossip nor a cordon touches it, until it is readmitted", () => {
  const at = world();
  at.run("node", forget(life(100)));
  const open = { nodeId: gpu1, incarnation: 1, principal: "", purpose: "", ttlMs: 15_000, capabilities: null };
  for (const operation of [{ kind: "openSession", ...open }, down(life(200)), up(life(200)), schedule("DRAINING")] as const) {
    at.refuse("BAD_STATE", operation, "node_id");
  }
  at.run("node", readmit());
  assert.deepEqual(happened(at), ["NODE_READMITTED"]);
  at.refuse("BAD_STATE", readmit(), "node_id");
  at.open();
  at.refuse("BAD_STATE", down(life(99)), "incarnation");
  at.run("node", down(life(100, 1)));
  assert.equal(node(at).state, "DOWN");
});

test("a partition is suspected, may grow, and heals; its start is that of the first suspicion", () => {
  const at = world();
  const suspected = (...lost: NodeId[]): Operation => ({ kind: "partitionSuspected", lost, observedBy: voters });
  at.refuse("NOT_FOUND", { kind: "partitionHealed", observedBy: voters });
  at.after(1_000).run("partition", suspected(gpu2, gpu1, gpu2));
  assert.deepEqual(summary(at.events), ["partition partition"]);
  at.after(1_000).run("partition", suspected(gpu1, gpu2));
  assert.deepEqual(at.events, [], "the same side in another order");
  at.run("partition", suspected(gpu1, gpu2, NodeId("gpu-3")));
  assert.deepEqual([at.machine.read().partition()!.lost.length, at.machine.read().partition()!.sinceMs], [3, 1_000]);
  at.after(5_000).run("partition", { kind: "partitionHealed", observedBy: voters });
  const { state, lost, sinceMs } = at.machine.read().partition()!;
  assert.deepEqual([state, lost.length, sinceMs], ["HEALED", 3, 7_000]);
});

test("a record needs room, a name, observers and incarnations in range", () => {
  const at = new World({ maxNodes: 1 });
  at.run("none", { kind: "raiseFeatureLevel", level: 1 });
  at.run("node", down());
  at.refuse("QUOTA_EXCEEDED", down(life(1), gpu2), "node_id");
  at.refuse("INVALID_ARGUMENT", down(life(1), NodeId("")), "node_id");
  at.refuse("INVALID_ARGUMENT", down(life(2 ** 32)), "incarnation.epoch");
  at.refuse("INVALID_ARGUMENT", { kind: "nodeDown", nodeId: gpu1, incarnation: life(9), observedBy: [] }, "observed_by");
});

test("nodes, partition and level come back from a snapshot, which an older version refuses by its format", () => {
  const at = world();
  at.open();
  at.run("node", down());
  at.run("node", schedule("CORDONED", gpu2));
  at.run("partition", { kind: "partitionSuspected", lost: [gpu1], observedBy: voters });
  const documents = [...at.machine.snapshot()];
  assert.match(documents[0]!, /"format":3/);
  const restored = restoreStateMachine(documents);
  assert.equal(restored.digest(), at.machine.digest());
  assert.deepEqual(restored.read().listNodes(), at.machine.read().listNodes());
  assert.deepEqual(restored.read().partition(), at.machine.read().partition());
  assert.equal(restored.read().featureLevel(), 1);
  const newer = [documents[0]!.replace('"featureLevel":1', '"featureLevel":2'), ...documents.slice(1)];
  assert.throws(() => restoreStateMachine(newer), /feature level 2/);
});

test("commands that do not ask for nodes are decided as before while there are none", () => {
  const [plain, raised] = [new World(), world()];
  plain.tick();
  const replies = [plain, raised].map((at): readonly Reply["kind"][] => {
    const worker = at.open();
    at.enqueue();
    worker.succeed(worker.claimOne());
    return [worker.acquire("l").kind];
  });
  assert.deepEqual(replies[0], replies[1]);
  assert.deepEqual(plain.machine.read().listSessions(), raised.machine.read().listSessions());
});
