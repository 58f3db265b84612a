import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvariantError, LogIndex, MonotonicMs, type NodeId, NO_INDEX, seededRandom, WallTimeMs } from "#kernel";
import {
  type BatchId,
  type Configuration,
  defaultRaftOptions,
  encodeConfiguration,
  type RaftOptions,
  settledConfiguration,
  validateRaftOptions,
} from "#raft";
import { Configurations } from "../../src/raft/configuration.ts";
import { RaftLog } from "../../src/raft/log.ts";
import { Inflights, Progress } from "../../src/raft/progress/index.ts";
import { committedIndex, isQuorum, voteResult } from "../../src/raft/quorum/index.ts";
import { entry, id, logOf, Network, stampAt, TestNode, voters } from "./network.ts";

const joint = (incoming: readonly number[], outgoing: readonly number[]): Configuration => ({
  ...settledConfiguration(incoming.map(id)),
  votersOutgoing: outgoing.map(id),
});

describe("quorum", () => {
  for (const [matches, committed] of [
    [[], 0],
    [[5], 5],
    [[5, 3], 3],
    [[5, 3, 4], 4],
    [[2, 1, 1], 1],
    [[9, 9, 1, 1], 1],
    [[9, 9, 8, 1, 1], 8],
  ] as const) {
    test(`matches ${matches.join() || "of nobody"} commit ${committed}`, () => {
      assert.equal(
        committedIndex(voters(matches.length), (voter) => LogIndex(matches[Number(voter.slice(1)) - 1]!)),
        committed,
      );
    });
  }

  test("a joint configuration commits only what both halves hold, and elects only whom both elect (§6)", () => {
    const both = joint([1, 2, 3], [3, 4, 5]);
    const match: Record<number, number> = { 1: 9, 2: 9, 3: 7, 4: 5, 5: 2 };
    assert.equal(
      committedIndex(both, (voter) => LogIndex(match[Number(voter.slice(1))]!)),
      5,
    );
    const votes = new Map<NodeId, boolean>([
      [id(1), true],
      [id(2), true],
      [id(3), true],
    ]);
    assert.equal(voteResult(both, votes), "pending");
    assert.equal(voteResult(both, new Map([...votes, [id(4), true]])), "won");
    assert.equal(
      voteResult(
        both,
        new Map([
          [id(4), false],
          [id(5), false],
        ]),
      ),
      "lost",
    );
    assert.equal(
      isQuorum(both, (voter) => voter !== id(4)),
      true,
    );
    assert.equal(
      isQuorum(both, (voter) => voter === id(1) || voter === id(2)),
      false,
    );
  });

  test("the committed index is always one that a majority holds and no higher one is (2,000 random cases)", () => {
    const random = seededRandom(5);
    for (let i = 0; i < 2000; i++) {
      const size = 1 + Math.floor(random() * 7);
      const matches = Array.from({ length: size }, () => Math.floor(random() * 10));
      const index = committedIndex(voters(size), (voter) => LogIndex(matches[Number(voter.slice(1)) - 1]!));
      const holding = (least: number): number => matches.filter((m) => m >= least).length;
      assert.ok(holding(index) > size / 2 && holding(index + 1) <= size / 2, `${matches.join()} gave ${index}`);
    }
  });
});

describe("progress", () => {
  test("inflights free up to the acknowledged index only, and a window below its limit takes one more", () => {
    const window = new Inflights(10);
    window.add(LogIndex(1), 9);
    assert.equal(window.full, false);
    window.add(LogIndex(3), 9);
    assert.equal(window.full, true);
    window.freeTo(LogIndex(2));
    assert.deepEqual([window.bytes, window.full], [9, false]);
    window.freeTo(LogIndex(1));
    assert.equal(window.bytes, 9);
    for (let i = 4; i < 5000; i++) {
      window.add(LogIndex(i), 1);
      window.freeTo(LogIndex(i - 1));
    }
    assert.equal(window.bytes, 1);
    window.freeTo(LogIndex(9999));
    assert.equal(window.bytes, 0);
  });

  test("a rejected probe moves next back to the guess, never to or below what matches", () => {
    const progress = new Progress(LogIndex(11), 100);
    assert.equal(progress.rejected(LogIndex(10), LogIndex(4)), true);
    assert.equal(progress.nextIndex, 5);
    assert.equal(progress.rejected(LogIndex(10), LogIndex(1)), false, "it answers an older probe");
    progress.accepted(LogIndex(4));
    assert.equal(progress.rejected(LogIndex(4), LogIndex(0)), true);
    assert.equal(progress.nextIndex, 5);
  });
});

describe("log", () => {
  test("a gap, a falling term, a truncation below commit and a commit beyond the end are broken invariants", () => {
    const log = new RaftLog(null, logOf([1, 2]));
    assert.throws(() => log.append(entry(4, 2)), InvariantError);
    assert.throws(() => log.append(entry(3, 1)), InvariantError);
    assert.throws(() => log.commitTo(LogIndex(3)), /commit index 3 is beyond the log's end 2/);
    log.commitTo(LogIndex(2));
    assert.throws(() => log.truncate(LogIndex(1)), /truncating to 1 would drop committed entries: commit is 2/);
    assert.throws(() => log.applied(LogIndex(1)), InvariantError);
    assert.throws(() => log.compact(LogIndex(1)), InvariantError);
  });

  test("the batch of an overwritten tail makes only the surviving prefix durable", () => {
    const log = new RaftLog(null, []);
    for (const each of logOf([1, 1, 1])) log.append(each);
    log.takeUnwritten(1 as BatchId);
    log.truncate(LogIndex(1));
    log.append(entry(2, 2));
    log.takeUnwritten(2 as BatchId);
    log.persisted(1 as BatchId);
    assert.equal(log.durableIndex, 1);
    log.persisted(2 as BatchId);
    assert.equal(log.durableIndex, 2);
  });

  test("lastAtOrBelowTerm skips whole terms", () => {
    const log = new RaftLog(null, logOf([1, 1, 2, 3, 3, 5]));
    for (const [from, term, index] of [
      [6, 4, 5],
      [6, 2, 3],
      [4, 1, 2],
      [9, 9, 6],
      [6, 0, 0],
    ] as const) {
      assert.equal(log.lastAtOrBelowTerm(LogIndex(from), term as never), index);
    }
  });

  test("followers at the same place get the same slice", () => {
    const log = new RaftLog(null, logOf([1, 1, 1]));
    assert.equal(log.slice(LogIndex(2), 1000), log.slice(LogIndex(2), 1000));
    assert.deepEqual(
      log.slice(LogIndex(2), 1).map((e) => e.index),
      [2],
    );
  });
});

describe("configurations", () => {
  test("compaction forgets older values and keeps the one in force", () => {
    const held = new Configurations(voters(1));
    held.append({ ...entry(3, 1), kind: "configuration", data: encodeConfiguration(voters(3)) });
    held.append({ ...entry(5, 1), kind: "configuration", data: encodeConfiguration(voters(5)) });
    assert.deepEqual([held.at(NO_INDEX), held.at(LogIndex(4)), held.current], [voters(1), voters(3), voters(5)]);
    held.compact(LogIndex(4));
    assert.deepEqual(held.at(LogIndex(4)), voters(3));
    assert.throws(() => held.at(LogIndex(2)), InvariantError);
    held.truncate(LogIndex(4));
    assert.deepEqual(held.current, voters(3));
  });
});

describe("the replicated clock", () => {
  test("stands still between leaders, runs with the monotonic clock under one, and never falls", () => {
    const net = Network.of(3, { preVote: false, checkQuorum: false });
    net.campaign(1);
    const leader = net.node(1);
    const propose = (monotonicMs: number, wallMs: number): void => {
      leader.raft.propose([new Uint8Array(1)], { monotonicMs: MonotonicMs(monotonicMs), wallMs: WallTimeMs(wallMs) });
    };
    propose(50_000, 1_000); // the first stamp since the election: the clock starts here
    propose(50_250.9, 900);
    propose(50_100, 2_000);
    net.settle();
    const times = leader.committed.map((e) => [e.clusterTimeMs, e.wallTimeMs]);
    assert.deepEqual(times, [
      [0, 0],
      [0, 1_000],
      [250, 1_125],
      [250, 2_000],
    ]);
    assert.equal(leader.raft.clusterTime(stampAt(51_000)), 1_000);
    assert.equal(leader.raft.wallTime(stampAt(1)), 2_000);

    net.campaign(2);
    const next = net.node(2);
    assert.equal(net.node(1).raft.clusterTime(stampAt(99_000)), 250, "a follower knows the log's time only");
    next.raft.propose([new Uint8Array(1)], stampAt(7));
    net.settle();
    assert.deepEqual(
      next.committed.slice(-2).map((e) => [e.clusterTimeMs, e.wallTimeMs]),
      [
        [250, 2_000],
        [250, 2_000],
      ],
    );
  });
});

describe("a leader whose wall clock jumps back", () => {
  test("stamps no entry earlier than its own opening entry", () => {
    const node = new TestNode({ id: id(1), configuration: voters(1) });
    node.step({ kind: "tick", stamp: { monotonicMs: MonotonicMs(0), wallMs: WallTimeMs(5_000) } });
    node.settle();
    node.raft.propose([new Uint8Array(1)], { monotonicMs: MonotonicMs(1), wallMs: WallTimeMs(10) });
    node.settle();
    assert.deepEqual(
      node.committed.map((e) => e.wallTimeMs),
      [5_000, 5_000],
    );
  });
});

describe("options", () => {
  for (const [broken, message] of [
    [{ electionTicks: 1 }, /electionTicks is 1, must be above heartbeatTicks \(1\)/],
    [{ heartbeatTicks: 0 }, /heartbeatTicks is 0/],
    [{ maxMessageBytes: 0 }, /maxMessageBytes is 0/],
    [{ id: "" as NodeId }, /id is empty/],
  ] as readonly (readonly [Partial<RaftOptions>, RegExp])[]) {
    test(`${Object.keys(broken).join()} that cannot work is refused with the numbers`, () => {
      const options = { ...defaultRaftOptions, id: id(1), initialConfiguration: voters(3), ...broken };
      assert.throws(() => validateRaftOptions(options), message);
    });
  }

  test("a voter named twice is refused", () => {
    const twice = settledConfiguration([id(1), id(1)]);
    assert.throws(() => new TestNode({ id: id(1), configuration: twice }), /repeats a voter/);
  });
});

describe("a leader whose wall clock is behind the log", () => {
  test("lets wall time go on at half speed until its clock has caught up, so that no back-off waits for that", () => {
    const node = new TestNode({ id: id(1), configuration: voters(1) });
    node.step({ kind: "tick", stamp: { monotonicMs: MonotonicMs(0), wallMs: WallTimeMs(100_000) } });
    node.settle();
    const at = (ms: number): number => {
      const stamp = { monotonicMs: MonotonicMs(ms), wallMs: WallTimeMs(40_000 + ms) };
      node.raft.propose([new Uint8Array(1)], stamp);
      node.settle();
      return node.committed.at(-1)!.wallTimeMs;
    };
    for (let ms = 1; ms < 10_000; ms += 1) at(ms);
    assert.deepEqual([at(10_000), at(60_000), at(120_000), at(130_000)], [104_999, 129_999, 160_000, 170_000]);
  });
});
