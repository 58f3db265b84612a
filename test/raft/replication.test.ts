import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvariantError, LogIndex, Term } from "#kernel";
import { encodeConfiguration, type Entry, type Message, type RaftOptions } from "#raft";
import { entry, id, logOf, Network, TestNode, voters } from "./network.ts";

const quiet: Partial<RaftOptions> = { preVote: false, checkQuorum: false };

const LETTERS = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

type Append = Extract<Message, { kind: "append" }>;
type Reply = Extract<Message, { kind: "appendReply" | "appendRejected" }>;

function append(prev: number, prevTerm: number, entries: readonly Entry[], term: number, commit = 0): Message {
  const at = { prevIndex: LogIndex(prev), prevTerm: Term(prevTerm), commitIndex: LogIndex(commit) };
  return { kind: "append", from: id(2), to: id(1), term: Term(term), entries, ...at };
}

function accepted(from: number, term: number, matchIndex: number): Message {
  return { kind: "appendReply", from: id(from), to: id(1), term: Term(term), matchIndex: LogIndex(matchIndex) };
}

function follower(log: readonly number[], term: number, options: Partial<RaftOptions> = quiet): TestNode {
  return new TestNode({ id: id(1), configuration: voters(3), options, log, term });
}

/** A leader of the term after `term`, its opening entry durable here and sent to nobody's knowledge. */
function leader(count = 3, log: readonly number[] = [], term = log.at(-1) ?? 0, options: Partial<RaftOptions> = {}): TestNode {
  const node = new TestNode({ id: id(1), configuration: voters(count), options: { ...quiet, ...options }, log, term });
  node.step({ kind: "campaign" });
  node.settle();
  for (let peer = 2; peer <= count; peer++) {
    node.receive({ kind: "voteReply", from: id(peer), to: id(1), term: Term(term + 1), granted: true });
  }
  node.settle();
  assert.equal(node.role, count === 1 ? "leader" : node.role);
  node.takeSent();
  return node;
}

function appendsTo(node: TestNode, peer: number): Append[] {
  return node.takeSent().filter((m): m is Append => m.kind === "append" && m.to === id(peer));
}

function replyTo(node: TestNode, message: Message): Reply {
  node.receive(message);
  node.settle();
  const [reply] = node.takeSent().filter((m): m is Reply => m.kind === "appendReply" || m.kind === "appendRejected");
  assert.ok(reply !== undefined);
  return reply;
}

describe("a leader", () => {
  test("§5.3 sends a proposal to every follower after the entry before it, and does not commit it alone", () => {
    const node = leader();
    for (const peer of [2, 3]) node.receive(accepted(peer, 1, 1));
    node.settle();
    node.takeSent();
    assert.deepEqual(node.propose("x"), { ok: true, term: 1, firstIndex: 2 });
    const ready = node.pump();
    assert.deepEqual(
      ready.send.map((m) => m.kind === "append" && [m.to, m.prevIndex, m.prevTerm, m.entries.length, m.commitIndex]),
      [
        [id(2), 1, 1, 1, 1],
        [id(3), 1, 1, 1, 1],
      ],
    );
    assert.deepEqual(
      ready.persist?.entries.map((e) => e.index),
      [2],
    );
    node.sync();
    assert.equal(node.commit, 1);
  });

  for (const [count, acks, commits] of [
    [1, [], true],
    [3, [], false],
    [3, [2], true],
    [3, [2, 3], true],
    [5, [], false],
    [5, [2], false],
    [5, [2, 3], true],
    [5, [2, 3, 4], true],
    [5, [2, 3, 4, 5], true],
  ] as const) {
    test(`§5.3 of ${count} voters ${commits ? "commits" : "does not commit"} what ${acks.length} followers hold`, () => {
      const node = leader(count);
      for (const peer of acks) node.receive(accepted(peer, 1, 1));
      node.settle();
      assert.equal(node.commit, commits ? 1 : 0);
      assert.deepEqual(node.applied, commits ? ["1:1:"] : []);
    });
  }

  test("§5.3 tells followers the commit index with the next message", () => {
    const node = leader();
    node.receive(accepted(2, 1, 1));
    node.settle();
    assert.deepEqual(
      appendsTo(node, 2).map((m) => [m.entries.length, m.commitIndex]),
      [[0, 1]],
    );
  });

  for (const log of [[], [2], [1, 2], [1]]) {
    test(`§5.4 commits everything before its own entry with it (log ${log.join() || "empty"})`, () => {
      const node = leader(3, log, 2);
      node.propose("some data");
      node.receive(accepted(2, 3, log.length + 2));
      node.settle();
      assert.deepEqual(
        node.committed.map((e) => [e.index, e.term, e.kind]),
        [...log.map((term, i) => [i + 1, term, "command"]), [log.length + 1, 3, "leader"], [log.length + 2, 3, "command"]],
      );
    });
  }

  test("§5.4.2 commits by counting only entries of its own term", () => {
    for (const [ack, commit] of [
      [1, 0],
      [2, 0],
      [3, 3],
    ] as const) {
      const node = leader(3, [1, 2], 2);
      node.receive(accepted(2, 3, ack));
      node.settle();
      assert.equal(node.commit, commit, `acknowledged up to ${ack}`);
    }
  });

  test("counts itself only once its own disk has the entry", () => {
    const node = leader(5);
    node.receive(accepted(2, 1, 1));
    node.propose("x");
    node.pump();
    for (const peer of [2, 3]) node.receive(accepted(peer, 1, 2));
    assert.equal(node.commit, 1, "two of five, and not yet the leader");
    node.sync();
    assert.equal(node.commit, 2);
  });

  test("its disk's answer after it lost the leadership counts for nothing (etcd LeaderSelfAckAfterTermChange)", () => {
    const node = leader();
    node.receive(accepted(2, 1, 1));
    node.settle();
    node.propose("lost");
    node.pump();
    node.receive(append(1, 1, [entry(2, 2)], 2, 1));
    node.sync();
    assert.deepEqual([node.role, node.term, node.commit, node.last], ["follower", 2, 1, 2]);
    assert.equal(node.raft.termAt(LogIndex(2)), 2);
  });

  test("an acknowledgement beyond its log is a broken invariant", () => {
    assert.throws(() => leader().receive(accepted(2, 1, 9)), InvariantError);
  });

  test("a reply of a non-member, of an earlier term, or to a node that does not lead is ignored", () => {
    const node = leader(3, [1], 1);
    node.receive(accepted(9, 2, 1));
    node.receive(accepted(2, 1, 1));
    node.settle();
    assert.ok(node.marks.includes("reply of a non-member ignored") && node.marks.includes("stale message ignored"));
    const unled = follower([1], 1);
    unled.receive(accepted(2, 1, 1));
    unled.settle();
    assert.ok(unled.marks.includes("reply ignored: not leading"));
    assert.equal(node.commit, 0);
  });

  test("never lets a heartbeat's commit index pass what the follower is known to hold (etcd#15699)", () => {
    const node = leader();
    node.propose("a", "b", "c");
    node.receive(accepted(2, 1, 4));
    node.settle();
    node.takeSent();
    node.tick();
    const beats = node.takeSent().filter((m) => m.kind === "heartbeat");
    assert.deepEqual(
      beats.map((m) => [m.to, m.commitIndex]),
      [
        [id(2), 4],
        [id(3), 0],
      ],
    );
  });
});

describe("a follower", () => {
  for (const [prev, prevTerm, expected] of [
    [0, 0, { matchIndex: 1 }],
    [1, 1, { matchIndex: 1 }],
    [2, 2, { matchIndex: 2 }],
    [2, 1, { rejectedIndex: 2, hintIndex: 1, hintTerm: 1 }],
    [3, 3, { rejectedIndex: 3, hintIndex: 2, hintTerm: 2 }],
  ] as const) {
    test(`§5.3 with log 1,2 and commit 1 answers an append after (${prev}, ${prevTerm})`, () => {
      const node = follower([1, 2], 2);
      node.receive({ kind: "heartbeat", from: id(2), to: id(1), term: Term(3), commitIndex: LogIndex(1), readRound: 0 });
      node.settle();
      node.takeSent();
      const reply = replyTo(node, append(prev, prevTerm, [], 3));
      const { kind: _kind, from: _from, to: _to, term: _term, ...rest } = reply;
      assert.deepEqual(rest, expected);
    });
  }

  for (const [prev, prevTerm, terms, result, unstable] of [
    [2, 2, [3], [1, 2, 3], [3]],
    [1, 1, [3, 4], [1, 3, 4], [2, 3]],
    [0, 0, [1], [1, 2], []],
    [0, 0, [3], [3], [1]],
  ] as const) {
    test(`§5.3 with log 1,2 that gets ${terms.join()} after (${prev}, ${prevTerm}) holds ${result.join()}`, () => {
      const node = follower([1, 2], 2);
      node.receive(append(prev, prevTerm, logOf(terms, prev), 4));
      const ready = node.pump();
      assert.deepEqual(node.terms, result);
      assert.deepEqual(ready.persist?.entries.map((e) => e.index) ?? [], unstable);
      node.settle();
      assert.deepEqual(
        node.disk.entries.map((e) => e.term),
        result,
      );
      assert.equal(node.marks.includes("conflict truncated"), unstable[0] !== undefined && unstable[0] <= 2);
    });
  }

  for (const [count, commit] of [
    [1, 1],
    [2, 1],
    [2, 2],
  ] as const) {
    test(`§5.3 that gets ${count} entries with commit ${commit} applies exactly that prefix, once`, () => {
      const node = follower([], 1);
      node.receive(append(0, 0, logOf(Array(count).fill(1)), 1, commit));
      node.settle();
      node.receive(append(0, 0, logOf(Array(count).fill(1)), 1, commit));
      node.settle();
      assert.equal(node.committed.length, commit);
      assert.ok(node.marks.includes("append below commit"));
    });
  }

  test("commits no further than the last new entry, though its log is longer and the leader further (etcd#1203)", () => {
    const node = follower([1, 1, 1], 1);
    node.receive(append(0, 0, logOf([1]), 2, 3));
    node.settle();
    assert.equal(node.commit, 1);
  });

  test("§5.3 never commits backwards, whatever a heartbeat says", () => {
    const node = follower([1, 1, 1], 1);
    for (const commit of [2, 1, 3]) {
      node.receive({ kind: "heartbeat", from: id(2), to: id(1), term: Term(1), commitIndex: LogIndex(commit), readRound: 0 });
    }
    assert.equal(node.commit, 3);
  });

  test("a heartbeat's commit index beyond the log is a broken invariant", () => {
    const beat: Message = { kind: "heartbeat", from: id(2), to: id(1), term: Term(1), commitIndex: LogIndex(9), readRound: 0 };
    assert.throws(() => follower([1], 1).receive(beat), /commit index 9 is beyond the log's end 1/);
  });

  test("acknowledges entries only with the batch that makes them durable", () => {
    const node = follower([], 1);
    node.receive(append(0, 0, logOf([1, 1]), 1));
    const ready = node.pump();
    assert.deepEqual(ready.send, []);
    assert.deepEqual(
      ready.persist?.thenSend.map((m) => m.kind === "appendReply" && m.matchIndex),
      [2],
    );
    node.sync();
    node.receive(append(0, 0, logOf([1, 1]), 1));
    assert.deepEqual(
      node.pump().send.map((m) => m.kind === "appendReply" && m.matchIndex),
      [2],
      "what is durable already may be acknowledged at once",
    );
  });

  test("the acknowledgements of one drain travel as one", () => {
    const node = follower([], 1);
    node.receive(append(0, 0, logOf([1]), 1));
    node.receive(append(1, 1, logOf([1], 1), 1));
    assert.equal(node.pump().persist?.thenSend.length, 1);
  });

  test("a late answer of the disk does not make overwritten entries durable (ABA)", () => {
    const node = follower([], 1);
    node.receive(append(0, 0, logOf([1, 1, 1]), 1));
    node.pump(); // batch 1 is being written
    node.receive(append(1, 1, logOf([2, 2], 1), 2, 3));
    node.pump(); // batch 2 overwrites 2 and 3
    node.sync(1);
    assert.deepEqual(
      node.committed.map((e) => e.index),
      [1],
      "entries 2 and 3 of the first batch are gone; those that replaced them are not durable yet",
    );
    node.sync();
    assert.deepEqual(
      node.committed.map((e) => e.term),
      [1, 2, 2],
    );
  });

  test("§6 a configuration is in force when appended, and no longer when truncated", () => {
    const node = follower([1], 1);
    const wider = voters(5);
    node.receive(append(1, 1, [{ ...entry(2, 1), kind: "configuration", data: encodeConfiguration(wider) }], 1));
    assert.deepEqual(node.raft.status().configuration, wider);
    assert.deepEqual(node.raft.configurationAt(LogIndex(1)), voters(3));
    node.receive(append(1, 1, [entry(2, 2)], 2));
    assert.deepEqual(node.raft.status().configuration, voters(3));
  });
});

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
