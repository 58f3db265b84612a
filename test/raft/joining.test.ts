import assert from "node:assert/strict";
import { test } from "node:test";
import { LogIndex, Term } from "#kernel";
import { encodeConfiguration, settledConfiguration } from "#raft";
import { entry, id, Network, TestNode, voters } from "./network.ts";

/** What a node without a log is started with (docs/decisions/0002). */
const nobody = settledConfiguration([]);

test("nodes with empty disks elect nobody, alone or together, however long they wait for the initialised one", () => {
  const network = joining(3);
  network.node(1).crash();
  network.tick(200);
  for (const n of [2, 3]) assert.deepEqual([network.node(n).role, network.node(n).term], ["follower", 0]);
  network.campaign(2);
  network.node(2).receive({ kind: "preVoteReply", from: id(3), to: id(2), term: Term(1), granted: true });
  network.settle();
  assert.deepEqual([network.node(2).role, network.node(2).term], ["follower", 0]);

  network.node(1).restart();
  network.tick(60);
  const roles = [1, 2, 3].map((n) => network.node(n).role);
  assert.deepEqual(roles, ["leader", "follower", "follower"]);
  for (const n of [1, 2, 3]) assert.deepEqual(network.node(n).raft.status().configuration, voters(3));
  assert.deepEqual(
    [1, 2, 3].map((n) => network.node(n).commit),
    [2, 2, 2],
  );
});

test("the initialised node cannot commit alone: its majority is of the voters that it was initialised with", () => {
  const network = joining(3);
  network.isolate(1);
  network.tick(200);
  assert.notEqual(network.node(1).role, "leader");
  assert.equal(network.node(1).commit, 0);
});

test("a joined node that has the first entry can lead; one that has not cannot, though a majority votes", () => {
  const network = joining(3);
  network.drop = (message) => message.kind === "append" && message.to === id(3);
  network.tick(60);
  assert.deepEqual(
    [1, 2, 3].map((n) => network.node(n).last),
    [2, 2, 0],
  );
  network.node(1).crash();
  network.drop = (message) => message.kind === "append";
  network.tick(60);
  const { role, term } = network.node(2);
  assert.equal(role, "leader", `node 2 is a ${role} in term ${term}`);
  assert.deepEqual([network.node(3).role, network.node(3).last], ["follower", 0]);
});

test("a voter that comes back with an empty disk does not follow the leader that knows what it had acknowledged", () => {
  const network = joining(3);
  network.tick(60);
  assert.equal(network.node(1).role, "leader");
  const wiped = new TestNode({ id: id(3), configuration: nobody });
  wiped.receive({ kind: "heartbeat", from: id(1), to: id(3), term: Term(2), commitIndex: LogIndex(0), readRound: 0 });
  assert.throws(
    () => wiped.receive({ kind: "heartbeat", from: id(1), to: id(3), term: Term(2), commitIndex: LogIndex(2), readRound: 0 }),
    /commit index 2 is beyond the log's end 0: the log lost entries/,
  );
});

/** Node 1 after `cluster init`, the others with empty disks. */
function joining(count: number): Network {
  const nodes = Array.from({ length: count }, (_, at) => new TestNode({ id: id(at + 1), configuration: nobody }));
  const first = nodes[0]!;
  first.disk.entries = [{ ...entry(1, 1), kind: "configuration", data: encodeConfiguration(voters(count)) }];
  first.disk.hardState = { term: Term(1), votedFor: null };
  first.restart();
  assert.equal(first.raft.status().lastIndex, LogIndex(1));
  return new Network(nodes);
}
