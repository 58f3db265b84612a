import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LogIndex, Term } from "#kernel";
import type { Message, RaftOptions, ReadId } from "#raft";
import { id, Network, TestNode, voters } from "./network.ts";
import { requestVote } from "./roles.ts";

/** A three-node cluster at term 1 whose node 3 crashed and came back suspect, with its log cut to `kept` entries. */
function withSuspect(kept: number, commands: readonly string[] = ["a", "b", "c"], options: Partial<RaftOptions> = {}): Network {
  const net = Network.of(3, options);
  net.campaign(1);
  for (const command of commands) net.propose(1, command);
  const node = net.node(3);
  node.crash();
  node.disk.entries = node.disk.entries.slice(0, kept);
  node.disk.suspect = true;
  node.restart();
  return net;
}

const acks = (messages: readonly Message[]): readonly boolean[] =>
  messages.flatMap((message) => ("suspect" in message && message.from === id(3) ? [message.suspect] : []));

describe("A voter whose log may have lost an acknowledged batch", () => {
  test("gives no vote and no pre-vote, and never stands for election", () => {
    const node = new TestNode({ id: id(3), configuration: voters(3), log: [1, 1], term: 1, suspect: true });
    node.tick(100);
    node.step({ kind: "campaign" });
    node.settle();
    assert.deepEqual([node.role, node.term, node.takeSent()], ["follower", 1, []]);
    for (const kind of ["preVote", "requestVote"] as const) node.receive({ ...requestVote(1, 2, 9, 2, kind), to: id(3) });
    node.settle();
    const granted = node.takeSent().map((message) => "granted" in message && message.granted);
    assert.deepEqual(granted, [false, false]);
    node.receive({ kind: "timeoutNow", from: id(1), to: id(3), term: Term(2) });
    node.settle();
    assert.equal(node.role, "follower");
  });

  test("is caught up by the leader that it had acknowledged more to, and is whole again at a fresh read index", () => {
    for (const kept of [0, 1, 2, 3]) {
      const net = withSuspect(kept);
      net.tick(40);
      const node = net.node(3);
      assert.deepEqual(node.applied, net.node(1).applied, `${kept} entries kept`);
      assert.deepEqual([node.raft.status().suspect, node.disk.suspect], [false, false]);
      assert.ok(node.marks.includes("suspicion lifted"));
      assert.ok(net.node(1).marks.includes("peer is suspect") && net.node(1).marks.includes("peer is no longer suspect"));
      net.isolate(2);
      net.propose(1, "with the help of node 3");
      assert.equal(net.node(1).commit, 5);
    }
  });

  test("counts for no commit: a leader with nobody else commits nothing until the suspicion is lifted", () => {
    const net = withSuspect(2);
    net.isolate(2);
    net.tick(2);
    net.propose(1, "d");
    net.tick(5);
    assert.equal(net.node(3).last, 5, "it takes the entries");
    assert.equal(net.node(1).commit, 4, "but nothing is built on that");
    assert.ok(acks(net.delivered).includes(true));
  });

  test("counts for no read: its answer to a heartbeat confirms nobody's leadership", () => {
    const net = withSuspect(4);
    net.tick(1);
    net.isolate(2);
    net.node(1).read();
    net.settle();
    net.tick(3);
    assert.deepEqual(net.node(1).readable, []);
    net.tick(30);
    assert.equal(net.node(1).role, "follower", "nor does it keep a leader in office");
  });

  test("tells the leader before it asks: what was acknowledged in the life before is forgotten with the question itself", () => {
    const net = withSuspect(2);
    // Neither answers to heartbeats nor acknowledgements come through: only the question does.
    net.drop = ({ kind, from }) => from === id(3) && kind !== "readIndex";
    net.tick(3);
    assert.equal(net.node(1).raft.status().progress?.get(id(3))?.matchIndex, 0);
  });

  test("does not commit on the word of a leader that still believes in the lost entries", () => {
    const node = new TestNode({ id: id(3), configuration: voters(3), log: [1, 1], term: 1, suspect: true });
    const heartbeat = { kind: "heartbeat", from: id(1), to: id(3), term: Term(1), readRound: 0 } as const;
    node.receive({ ...heartbeat, commitIndex: LogIndex(9) });
    node.settle();
    assert.equal(node.commit, 0);
    node.receive({
      kind: "append",
      from: id(1),
      to: id(3),
      term: Term(1),
      prevIndex: LogIndex(1),
      prevTerm: Term(1),
      entries: [],
      commitIndex: LogIndex(9),
    });
    node.receive({ ...heartbeat, commitIndex: LogIndex(9) });
    node.settle();
    assert.equal(node.commit, 1, "only what an append has shown to be the leader's");
  });

  test("acknowledges as a suspect until the mark is lifted on disk, whatever it has caught up to", () => {
    const net = withSuspect(4);
    const node = net.node(3);
    net.tick(1);
    for (let i = 0; i < 30; i++) {
      node.tick();
      if (node.writing.some((persist) => persist.liftsSuspicion === true)) break;
      net.settle();
    }
    assert.ok(
      node.writing.some((persist) => persist.liftsSuspicion === true),
      "the mark is on its way to the disk",
    );
    node.receive({ kind: "heartbeat", from: id(1), to: id(3), term: Term(1), commitIndex: LogIndex(1), readRound: 0 });
    node.pump();
    assert.deepEqual(
      node.takeSent().flatMap((message) => (message.kind === "heartbeatReply" ? [message.suspect] : [])),
      [true],
    );
    node.crash();
    node.restart();
    assert.equal(node.raft.status().suspect, true, "a crash before the sync leaves it suspect");
  });

  test("asks again when the answer is lost", () => {
    const net = withSuspect(2);
    net.drop = ({ kind }) => kind === "readIndexReply";
    net.tick(15);
    assert.equal(net.node(3).raft.status().suspect, true);
    net.heal();
    net.tick(25);
    assert.equal(net.node(3).raft.status().suspect, false);
  });

  test("is counted from the moment that it is whole: what waited for it is committed with its next word", () => {
    const net = withSuspect(4);
    net.drop = ({ kind, to }) => kind === "appendReply" && to === id(1);
    net.tick(1);
    const node = net.node(3);
    while (!node.writing.some((persist) => persist.liftsSuspicion === true)) {
      node.tick();
      if (!node.writing.some((persist) => persist.liftsSuspicion === true)) net.settle();
    }
    net.isolate(2);
    net.drop = () => false;
    // Entries and their acknowledgement pass while the mark is still on its way to the disk.
    net.node(1).propose("d");
    net.node(1).settle();
    for (const message of net.node(1).takeSent()) if (message.to === id(3)) node.receive(message);
    node.pump();
    node.sync();
    for (const message of node.takeSent()) net.node(1).receive(message);
    net.node(1).settle();
    assert.equal(net.node(1).commit, 4, "acknowledged as a suspect");
    net.tick(2);
    assert.equal(net.node(1).commit, 5);
  });

  test("waits on while the leader cannot prove itself", () => {
    const net = withSuspect(2);
    net.isolate(2);
    net.tick(9);
    assert.equal(net.node(3).raft.status().suspect, true);
    net.heal();
    net.tick(60);
    assert.equal(net.node(3).raft.status().suspect, false);
  });

  test("a late answer to the question of another leader's term lifts nothing", () => {
    const node = new TestNode({ id: id(3), configuration: voters(3), log: [1, 1], term: 1, suspect: true });
    node.receive({ kind: "heartbeat", from: id(1), to: id(3), term: Term(1), commitIndex: LogIndex(0), readRound: 0 });
    node.tick();
    node.settle();
    const asked = node.takeSent().find((message) => message.kind === "readIndex");
    assert.ok(asked?.kind === "readIndex" && asked.suspect);
    node.receive({ kind: "heartbeat", from: id(2), to: id(3), term: Term(2), commitIndex: LogIndex(0), readRound: 0 });
    const readId = asked.readId as ReadId;
    node.receive({ kind: "readIndexReply", from: id(1), to: id(3), term: Term(1), readId, index: LogIndex(0) });
    node.tick(3);
    node.settle();
    assert.equal(node.raft.status().suspect, true);
  });

  test("is not told to campaign while it is one: neither when it was asked for nor as the preferred voter", () => {
    const net = withSuspect(2, ["a", "b"], { preempt: true, priorities: new Map([[id(3), 1]]) });
    net.drop = ({ kind }) => kind === "readIndexReply";
    net.tick(3);
    assert.equal(net.node(1).raft.status().progress?.get(id(3))?.matchIndex, 3, "it has caught up, and does not know");
    net.node(1).raft.transferLeadership(id(3));
    net.tick(250);
    assert.deepEqual([net.node(1).role, net.node(1).term], ["leader", 1]);
    assert.ok(!net.delivered.some(({ kind }) => kind === "timeoutNow"));
    net.drop = () => false;
    net.tick(250);
    assert.equal(net.node(3).role, "leader", "once it is whole, it leads");
  });
});
