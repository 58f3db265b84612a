import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LogIndex, Term } from "#kernel";
import { id, Network, TestNode, voters } from "./network.ts";
import { accepted, appendsTo, leader, LETTERS, quiet } from "./roles.ts";

describe("conflict repair", () => {
  const leaderLog = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
  for (const [name, log] of [
    ["a", [1, 1, 1, 4, 4, 5, 5, 6, 6]],
    ["b", [1, 1, 1, 4]],
    ["c", [...leaderLog, 6]],
    ["d", [...leaderLog, 7, 7]],
    ["e", [1, 1, 1, 4, 4, 4, 4]],
    ["f", [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]],
  ] as const) {
    test(`Figure 7 (${name}): the follower's log becomes the leader's, with at most one rejection per term`, () => {
      const configuration = voters(3);
      const first = new TestNode({ id: id(1), configuration, options: quiet, log: leaderLog, term: 8 });
      const second = new TestNode({ id: id(2), configuration, options: quiet, log, term: 7 });
      const third = new TestNode({ id: id(3), configuration, options: quiet, term: 8 });
      const net = new Network([first, second, third]);
      net.campaign(1);
      assert.equal(first.role, "leader");
      net.propose(1, "");
      net.tick(2);
      assert.deepEqual(second.terms, first.terms);
      assert.equal(second.commit, first.commit);
      assert.equal(first.commit, leaderLog.length + 2);
      assert.ok(second.marks.filter((mark) => mark === "append rejected").length <= 1);
    });
  }

  test("a stale rejection does not move the leader back below what matches", () => {
    const net = Network.of(3, quiet);
    net.campaign(1);
    net.propose(1, "a", "b");
    const late = { rejectedIndex: LogIndex(1), hintIndex: LogIndex(0), hintTerm: Term(0) };
    net.node(1).receive({ kind: "appendRejected", from: id(2), to: id(1), term: Term(1), ...late });
    net.node(1).pump();
    assert.equal(net.node(1).raft.status().progress?.get(id(2))?.nextIndex, 4);
    assert.ok(net.node(1).marks.includes("stale rejection ignored"));
  });

  test("Figure 8: an entry of an earlier term on a majority may still be overwritten, until one of the own term is on it", () => {
    for (const branch of ["d", "e"] as const) {
      // (b) S1 put index 2 of term 2 on S2 only; S5 won term 3 with S3 and S4 and wrote index 2 of term 3.
      const logs: Record<number, readonly number[]> = { 1: [1, 2], 2: [1, 2], 3: [1], 4: [1], 5: [1, 3] };
      const configuration = voters(5);
      const net = new Network(
        [1, 2, 3, 4, 5].map(
          (n) => new TestNode({ id: id(n), configuration, options: { ...quiet, maxMessageBytes: 1 }, log: logs[n]!, term: 3 }),
        ),
      );
      // (c) S1 wins term 4 and copies index 2 of term 2 to S3: three of five hold it, and it must not be committed.
      const [first, third] = [net.node(1), net.node(3)];
      net.node(5).crash();
      net.node(4).crash();
      net.drop = (m) => m.kind === "append" && m.entries.some((e) => e.term === 4) && (m.to !== id(3) || third.last >= 2);
      net.campaign(1);
      first.receive(accepted(2, 4, 2));
      net.settle();
      const held = [2, 3].map((n) => first.raft.status().progress?.get(id(n))?.matchIndex);
      assert.deepEqual(
        [held, third.terms],
        [
          [2, 2],
          [1, 2],
        ],
      );
      assert.deepEqual([first.role, first.term, first.commit], ["leader", 4, 0]);
      if (branch === "e") {
        // (e) an entry of S1's own term reaches a majority: all before it is committed, and S5 cannot win.
        net.heal();
        net.tick(2);
        assert.equal(first.commit, 3);
        first.crash();
        net.node(5).restart();
        net.campaign(5);
        assert.notEqual(net.node(5).role, "leader");
      } else {
        // (d) S1 dies, S5 wins and overwrites index 2.
        first.crash();
        net.heal();
        net.node(5).restart();
        net.node(4).restart();
        for (let i = 0; i < 3 && net.node(5).role !== "leader"; i++) net.campaign(5);
        assert.equal(net.node(5).role, "leader");
        net.tick(3);
        assert.equal(net.node(3).raft.termAt(LogIndex(2)), 3);
        assert.ok(net.node(3).commit >= 2);
      }
    }
  });
});

describe("limits", () => {
  const sized = { maxMessageBytes: 3 * (1 + 48), maxInflightBytes: 2 * 3 * (1 + 48) };

  function streaming(): TestNode {
    const node = leader(3, [], 0, sized);
    for (const peer of [2, 3]) node.receive(accepted(peer, 1, 1));
    node.settle();
    node.takeSent();
    return node;
  }

  test("an append carries at most maxMessageBytes, and a follower at most maxInflightBytes unacknowledged", () => {
    const node = streaming();
    node.propose(...LETTERS);
    node.settle();
    assert.deepEqual(
      appendsTo(node, 2).map((m) => m.entries.map((e) => e.index)),
      [
        [2, 3, 4],
        [5, 6, 7],
      ],
    );
    node.receive(accepted(2, 1, 4));
    node.pump();
    assert.deepEqual(
      appendsTo(node, 2).map((m) => m.entries.map((e) => e.index)),
      [[8, 9, 10]],
    );
    node.receive(accepted(2, 1, 4));
    node.pump();
    assert.deepEqual(appendsTo(node, 2), [], "a stale acknowledgement frees nothing");
  });

  test("an entry larger than a message travels alone", () => {
    const node = streaming();
    node.propose("x".repeat(1000), "y");
    node.pump();
    assert.deepEqual(
      appendsTo(node, 2).map((m) => m.entries.length),
      [1],
    );
  });

  test("with a full window each heartbeat reply allows one empty append: lost messages cannot stall it (etcd#14633)", () => {
    const net = Network.of(3, { ...quiet, ...sized });
    net.campaign(1);
    net.tick();
    net.drop = (m) => m.kind === "append" && m.to === id(3);
    net.propose(1, ...LETTERS);
    assert.ok(net.node(3).last < net.node(1).last);
    net.heal();
    net.delivered = [];
    net.tick();
    const empty = net.delivered.find((m) => m.kind === "append" && m.to === id(3));
    assert.equal(empty?.kind === "append" && empty.entries.length, 0);
    net.tick();
    assert.equal(net.node(3).commit, net.node(1).commit);
  });

  test("a follower that lost its link streams again after one heartbeat round", () => {
    const net = Network.of(3, quiet);
    net.campaign(1);
    net.propose(1, "a");
    net.node(1).step({ kind: "peerDisconnected", peer: id(2) });
    assert.equal(net.node(1).raft.status().progress?.get(id(2))?.state, "probe");
    net.tick();
    assert.equal(net.node(1).raft.status().progress?.get(id(2))?.state, "replicate");
  });

  test("over maxUncommittedBytes proposals are refused, all of a batch or none; an empty tail takes one of any size", () => {
    const node = leader(3, [], 0, { maxUncommittedBytes: 8 * 1024 });
    for (let i = 0; i < 1024; i++) assert.equal(node.propose("12345678").ok, true);
    const refused = node.propose("12345678", "");
    assert.equal(!refused.ok && refused.refusal.reason, "OVERLOADED");
    assert.equal(node.last, 1025);
    assert.equal(node.propose("").ok, true, "what weighs nothing is never refused");
    node.settle();
    node.receive(accepted(2, 1, 1026));
    assert.equal(node.commit, 1026);
    assert.equal(node.propose("x".repeat(100_000)).ok, true);
    assert.equal(node.propose("y").ok, false);
  });

  test("a proposal to a node that does not lead is refused with the leader's name", () => {
    const net = Network.of(3);
    const early = net.node(2).propose("x");
    assert.deepEqual(!early.ok && [early.refusal.reason, early.refusal.leader], ["NOT_LEADER", null]);
    net.campaign(1);
    const late = net.node(2).propose("x");
    assert.deepEqual(!late.ok && [late.refusal.reason, late.refusal.leader], ["NOT_LEADER", id(1)]);
  });

  test("committed entries come out up to maxCommittedBytes, and more only after they are applied", () => {
    const node = leader(1, [], 0, { maxCommittedBytes: 3 * 49 });
    node.settle();
    node.autoApply = false;
    node.propose(...LETTERS.slice(0, 7));
    node.settle();
    assert.deepEqual(
      node.committed.map((e) => e.index),
      [1, 2, 3, 4],
    );
    node.step({ kind: "applied", index: LogIndex(3) });
    node.settle();
    assert.deepEqual(node.committed.at(-1)?.index, 6);
    node.step({ kind: "applied", index: LogIndex(6) });
    node.settle();
    assert.deepEqual(node.committed.at(-1)?.index, 8);
  });

  test("§5.3 a learner receives the log, and its acknowledgement does not count", () => {
    const configuration = voters(2, [id(3)]);
    const nodes = [1, 2, 3].map((n) => new TestNode({ id: id(n), configuration, options: quiet }));
    const net = new Network(nodes);
    net.campaign(1);
    net.cut(1, 2);
    net.propose(1, "x");
    assert.deepEqual([net.node(3).last, net.node(1).commit], [2, 1]);
    net.heal();
    net.tick(2);
    assert.deepEqual([net.node(1).commit, net.node(3).commit], [2, 2]);
  });

  test("a drain with nothing new is empty, and hasReady says so", () => {
    const net = Network.of(3);
    net.campaign(1);
    assert.equal(net.node(1).raft.hasReady(), false);
    const { send, persist, committed, status } = net.node(1).raft.drain();
    assert.deepEqual([send, persist, committed, status], [[], null, [], null]);
  });
});
