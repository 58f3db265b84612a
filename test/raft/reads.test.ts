import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LogIndex, Term } from "#kernel";
import type { RaftOptions, ReadId } from "#raft";
import { id, Network, TestNode, voters } from "./network.ts";

const quiet: Partial<RaftOptions> = { preVote: false, checkQuorum: false };

describe("linearizable reads", () => {
  test("§6.4 a read asked of any node is answered there with an index that covers all that was committed before", () => {
    const net = Network.of(3);
    net.campaign(1);
    for (const [i, n] of [1, 2, 3, 1, 2, 3].entries()) {
      net.propose(1, ...Array.from({ length: 10 }, (_, k) => `w${k}`));
      const readId = net.node(n).read();
      net.settle();
      assert.deepEqual(net.node(n).readable.splice(0), [{ readId, index: 11 + 10 * i }]);
    }
  });

  test("§6.4 a learner's acknowledgement confirms nothing, but a learner may ask", () => {
    const configuration = voters(2, [id(3)]);
    const net = new Network([1, 2, 3].map((n) => new TestNode({ id: id(n), configuration, options: quiet })));
    net.campaign(1);
    net.cut(1, 2);
    net.node(3).read();
    net.settle();
    assert.deepEqual(net.node(3).readable, []);
    net.heal();
    net.tick(2);
    assert.deepEqual(
      net.node(3).readable.map((r) => r.index),
      [1],
    );
  });

  test("§8 a new leader's read waits until an entry of its own term is committed (etcd#7331)", () => {
    const net = Network.of(3, quiet);
    net.drop = (m) => m.kind === "append";
    net.campaign(1);
    const leader = net.node(1);
    assert.equal(leader.role, "leader");
    leader.read();
    net.settle();
    net.tick(3);
    assert.deepEqual([leader.readable, leader.raft.status().ownTermCommitted], [[], false]);
    net.heal();
    net.tick(2);
    assert.deepEqual(
      leader.readable.map((r) => r.index),
      [1],
    );
    assert.equal(leader.raft.status().ownTermCommitted, true);
  });

  test("a heartbeat sent before the read does not confirm it", () => {
    const net = Network.of(3, quiet);
    net.campaign(1);
    const leader = net.node(1);
    leader.tick(); // plain heartbeats are on their way
    leader.takeSent();
    leader.read();
    leader.pump();
    leader.takeSent();
    leader.receive({ kind: "heartbeatReply", from: id(2), to: id(1), term: Term(1), readRound: 0, suspect: false, leaseMs: 0 });
    leader.pump();
    assert.deepEqual(leader.readable, []);
    leader.receive({ kind: "heartbeatReply", from: id(2), to: id(1), term: Term(1), readRound: 1, suspect: false, leaseMs: 0 });
    leader.pump();
    assert.equal(leader.readable.length, 1);
  });

  test("reads that gather while a round is out share the next one, which an old round does not confirm", () => {
    const net = Network.of(3, quiet);
    net.campaign(1);
    const leader = net.node(1);
    leader.read();
    leader.pump();
    leader.read();
    leader.read();
    leader.pump();
    const rounds = leader.takeSent().map((m) => (m.kind === "heartbeat" ? m.readRound : 0));
    assert.deepEqual(rounds, [1, 1]);
    leader.receive({ kind: "heartbeatReply", from: id(2), to: id(1), term: Term(1), readRound: 1, suspect: false, leaseMs: 0 });
    leader.pump();
    assert.deepEqual(
      leader.readable.map((r) => r.readId),
      [1],
    );
    leader.receive({ kind: "heartbeatReply", from: id(3), to: id(1), term: Term(1), readRound: 1, suspect: false, leaseMs: 0 });
    leader.pump();
    assert.equal(leader.readable.length, 1);
    leader.receive({ kind: "heartbeatReply", from: id(3), to: id(1), term: Term(1), readRound: 2, suspect: false, leaseMs: 0 });
    leader.pump();
    assert.deepEqual(
      leader.readable.map((r) => r.readId),
      [1, 2, 3],
    );
  });

  test("a lost round is repeated with the heartbeat", () => {
    const net = Network.of(3, quiet);
    net.campaign(1);
    net.drop = (m) => m.kind === "heartbeat";
    net.node(1).read();
    net.settle();
    net.heal();
    net.tick();
    assert.equal(net.node(1).readable.length, 1);
  });

  test("a lone voter reads at once", () => {
    const node = new TestNode({ id: id(1), configuration: voters(1) });
    node.tick();
    node.settle();
    node.read();
    node.settle();
    assert.deepEqual(
      node.readable.map((r) => r.index),
      [1],
    );
  });

  test("a leader that loses the leadership rejects every read that waits, its own and those of others", () => {
    const net = Network.of(3);
    net.campaign(1);
    net.drop = (m) => m.kind === "heartbeatReply";
    const own = net.node(1).read();
    const other = net.node(2).read();
    net.settle();
    net.heal();
    net
      .node(1)
      .receive({ kind: "heartbeatReply", from: id(3), to: id(1), term: Term(7), readRound: 0, suspect: false, leaseMs: 0 });
    net.settle();
    assert.deepEqual(
      net.node(1).rejected.map((r) => [r.readId, r.refusal.reason]),
      [[own, "NO_LEADER"]],
    );
    assert.deepEqual(
      net.node(2).rejected.map((r) => r.readId),
      [other],
    );
  });

  test("a read is rejected where no leader is known, where the leader's link breaks, and when no answer comes", () => {
    const net = Network.of(3);
    const unled = net.node(3).read();
    net.settle();
    assert.deepEqual(
      net
        .node(3)
        .rejected.splice(0)
        .map((r) => [r.readId, r.refusal.reason]),
      [[unled, "NO_LEADER"]],
    );
    net.campaign(1);
    net.drop = (m) => m.kind === "readIndex";
    net.node(2).read();
    net.settle();
    net.node(2).step({ kind: "peerDisconnected", peer: id(1) });
    net.settle();
    assert.deepEqual(
      net
        .node(2)
        .rejected.splice(0)
        .map((r) => r.refusal.reason),
      ["NOT_LEADER"],
    );
    net.node(2).read();
    net.tick(19);
    assert.equal(net.node(2).rejected.length, 0);
    net.tick(2);
    assert.equal(net.node(2).rejected.length, 1);
  });

  test("an answer to a read of an earlier life passes for none of this life", () => {
    const net = Network.of(3);
    net.campaign(1);
    const node = net.node(2);
    node.read();
    node.pump();
    const asked = node.takeSent().find((m) => m.kind === "readIndex");
    assert.ok(asked !== undefined);
    node.crash();
    node.restart();
    net.tick();
    node.read();
    node.pump();
    const late = asked.kind === "readIndex" ? asked.readId : (0 as ReadId);
    node.receive({ kind: "readIndexReply", from: id(1), to: id(2), term: Term(1), readId: late, index: LogIndex(1) });
    node.pump();
    assert.deepEqual(node.readable, []);
    assert.ok(node.marks.includes("read answer ignored: nobody waits"));
  });

  test("a read sent to a node that does not lead is answered with no index", () => {
    const net = Network.of(3);
    net.campaign(1);
    net.node(3).receive({ kind: "readIndex", from: id(2), to: id(3), term: Term(1), readId: 5 as ReadId, suspect: false });
    net.node(3).pump();
    const [answer] = net.node(3).takeSent();
    assert.equal(answer?.kind === "readIndexReply" && answer.index, null);
  });
});
