import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvariantError, LogIndex, Term } from "#kernel";
import { encodeConfiguration, type Message } from "#raft";
import { entry, id, logOf, voters } from "./network.ts";
import { accepted, append, appendsTo, follower, leader, replyTo } from "./roles.ts";

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

  test("the commit index does not travel alone while entries are on their way to a follower", () => {
    const node = leader();
    for (const peer of [2, 3]) node.receive(accepted(peer, 1, 1));
    node.settle();
    for (const command of ["x", "y"]) {
      node.propose(command);
      node.settle();
    }
    node.takeSent();
    node.receive(accepted(2, 1, 2));
    node.settle();
    assert.equal(node.commit, 2);
    assert.deepEqual(node.takeSent(), []);
    node.receive(accepted(2, 1, 3));
    node.settle();
    assert.deepEqual(
      node.takeSent().map((m) => m.kind === "append" && [m.to, m.entries.length, m.commitIndex]),
      [[id(2), 0, 3]],
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
    [0, 0, { matchIndex: 1, suspect: false }],
    [1, 1, { matchIndex: 1, suspect: false }],
    [2, 2, { matchIndex: 2, suspect: false }],
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

test("a late acknowledgement of less takes back nothing (raft.tla#18)", () => {
  const node = leader();
  node.propose("a");
  node.settle();
  node.receive(accepted(2, 1, 2));
  node.receive(accepted(2, 1, 1));
  assert.equal(node.raft.status().progress?.get(id(2))?.matchIndex, 2);
});

test("a committed entry is applied no sooner than this node's own disk has it", () => {
  const node = leader();
  node.propose("a");
  node.pump();
  node.receive(accepted(2, 1, 2));
  node.receive(accepted(3, 1, 2));
  node.pump();
  assert.equal(node.commit, 2);
  assert.ok(!node.applied.includes("2:1:a"));
  node.settle();
  assert.ok(node.applied.includes("2:1:a"));
});
