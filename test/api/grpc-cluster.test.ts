import assert from "node:assert/strict";
import { test } from "node:test";
import { LogIndex, NodeId, accepted } from "#kernel";
import { connect } from "#client";
import { settledConfiguration } from "#raft";
import { startDoors } from "./grpc-fixture.ts";

const n3 = NodeId("n3");

test("a membership change goes to the leader as it was asked for and is answered with the new configuration", async (t) => {
  const { replica, cluster } = await leaderDoors(t);
  replica.reconfigured = accepted({ ...settledConfiguration([NodeId("n1")], [n3]), promoting: [n3] });
  assert.deepEqual(await cluster.add(n3), { voters: ["n1"], outgoing: [], learners: ["n3"], promoting: ["n3"] });
  await cluster.add(n3, { learner: true });
  await cluster.remove(n3);
  await cluster.promote(n3);
  await cluster.demote(n3);
  await cluster.replace(NodeId("n2"), n3);
  assert.deepEqual(replica.changes, [
    { kind: "add", node: "n3", promote: true },
    { kind: "add", node: "n3", promote: false },
    { kind: "remove", node: "n3" },
    { kind: "promote", node: "n3" },
    { kind: "demote", node: "n3" },
    { kind: "replace", remove: "n2", add: "n3" },
  ]);
});

test("leadership goes to the voter that is named, or to the one that the leader chooses", async (t) => {
  const { replica, cluster } = await leaderDoors(t);
  assert.equal(await cluster.transferLeadership(null), "n3");
  assert.equal(await cluster.transferLeadership(NodeId("n1")), "n1");
  assert.deepEqual(replica.changes, [null, "n1"]);
});

test("a change that takes longer than its caller waits has an unknown outcome: it goes on", async (t) => {
  const { replica, cluster } = await leaderDoors(t);
  replica.reconfigure = () => Promise.withResolvers<never>().promise;
  await assert.rejects(cluster.remove(n3, { timeoutMs: 200 }), { code: "UNKNOWN_OUTCOME", outcome: "unknown" });
});

test("a bad or unknown node id is refused at the door with the field's name, and nothing reaches the engine", async (t) => {
  const { replica, cluster } = await leaderDoors(t);
  for (const [attempt, field] of [
    [cluster.add(NodeId("")), "node_id"],
    [cluster.remove(NodeId("a b")), "node_id"],
    [cluster.replace(n3, NodeId("../x")), "add_node_id"],
    [cluster.transferLeadership(NodeId("-x")), "to_node_id"],
    // The fixture's configuration has addresses of n… only.
    [cluster.add(NodeId("stranger")), "node_id"],
  ] as const) {
    await assert.rejects(attempt, (error: { refusal: { reason: string; field: string } }) => {
      assert.deepEqual([error.refusal.reason, error.refusal.field], ["INVALID_ARGUMENT", field]);
      return true;
    });
  }
  assert.deepEqual(replica.changes, []);
});

test("the list of members is linearizable unless stale is asked for, and says what is not known as null", async (t) => {
  const { replica, cluster } = await leaderDoors(t);
  const { members, configurationIndex } = await cluster.members();
  assert.equal(configurationIndex, 7);
  assert.deepEqual(members[1], {
    nodeId: "n2",
    clientAddress: "127.0.0.1:2",
    peerAddress: "127.0.0.1:12",
    voter: true,
    leader: true,
    outgoing: false,
    learner: false,
    promoting: false,
    matchIndex: null,
    lagEntries: null,
    progress: null,
    recentlyActive: null,
  });
  await cluster.members({ mode: "stale" });
  assert.deepEqual(
    replica.reads.filter(({ mode }) => mode === "linearizable"),
    [{ mode: "linearizable" }],
  );
  assert.equal(replica.reads.at(-1)?.mode, "stale");
});

test("an election that a leader makes pointless is BAD_STATE", async (t) => {
  const { cluster } = await leaderDoors(t);
  await assert.rejects(cluster.triggerElection(), { code: "BAD_STATE" });
});

test("a snapshot is read piece by piece; one that is gone is NOT_FOUND", async (t) => {
  const { cluster } = await leaderDoors(t);
  const index = await cluster.saveSnapshot();
  const pieces: string[] = [];
  for (let offset = 0, total = 1; offset < total;) {
    const { data, totalBytes } = await cluster.readSnapshot(index, offset);
    pieces.push(Buffer.from(data).toString());
    offset += data.length;
    total = totalBytes;
  }
  assert.deepEqual([index, pieces], [41, ["0123", "4567", "89"]]);
  await assert.rejects(cluster.readSnapshot(LogIndex(40), 0), { code: "NOT_FOUND" });
});

async function leaderDoors(t: Parameters<typeof startDoors>[0]) {
  const { replica, port } = await startDoors(t, {}, null, "leader");
  replica.leads = true;
  const client = connect({ endpoints: [`127.0.0.1:${port}`], timeoutMs: 5_000 });
  t.after(() => client.close());
  return { replica, cluster: client.cluster };
}
