import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvariantError, LogIndex, seededRandom, Term } from "#kernel";
import type { BatchId, Message, RaftOptions } from "#raft";
import { id, Network, stampAt, TestNode, voters } from "./network.ts";
import { leader, quiet, requestVote } from "./roles.ts";

/** These disks never answer, which shall not keep anybody from standing. */
const diskless: Partial<RaftOptions> = { ...quiet, diskStallTimeouts: Infinity };

function single(count: number, options: Partial<RaftOptions> = quiet, log: readonly number[] = [], term?: number): TestNode {
  return new TestNode({ id: id(1), configuration: voters(count), options, log, ...(term === undefined ? {} : { term }) });
}

function candidate(count: number): TestNode {
  const node = single(count);
  node.step({ kind: "campaign" });
  node.settle();
  return node;
}

function vote(from: number, term: number, granted: boolean): Message {
  return { kind: "voteReply", from: id(from), to: id(1), term: Term(term), granted };
}

function append(term: number, from = 2): Message {
  const none = { prevIndex: LogIndex(0), prevTerm: Term(0), entries: [], commitIndex: LogIndex(0) };
  return { kind: "append", from: id(from), to: id(1), term: Term(term), ...none };
}

describe("terms and roles", () => {
  for (const [role, make] of [
    ["follower", () => single(3, quiet, [], 1)],
    ["candidate", () => candidate(3)],
    ["leader", () => leader()],
  ] as const) {
    test(`§5.1 a ${role} that hears a later term enters it as a follower`, () => {
      const node = make();
      node.receive(append(2));
      assert.deepEqual([node.role, node.term, node.raft.status().leader], ["follower", 2, id(2)]);
    });

    test(`§5.2 a ${role} answers a vote request of a later term with a better log by voting`, () => {
      const node = make();
      node.receive(requestVote(3, 2, 42, 2));
      node.settle();
      assert.deepEqual([node.role, node.term, node.disk.hardState.votedFor], ["follower", 2, id(3)]);
      assert.ok(node.takeSent().some((m) => m.kind === "voteReply" && m.granted));
    });

    test(`§9.6 a ${role} grants a pre-vote without any change of role, term or vote`, () => {
      const node = make();
      node.settle();
      const before = { role: node.role, hardState: node.disk.hardState };
      node.receive(requestVote(3, 2, 42, 2, "preVote"));
      node.settle();
      assert.deepEqual({ role: node.role, hardState: node.disk.hardState }, before);
      assert.ok(node.takeSent().some((m) => m.kind === "preVoteReply" && m.granted && m.term === 2));
    });
  }

  test("§5.1 a message of an earlier term changes nothing, and the superseded leader is told the new term", () => {
    const node = single(3, quiet, [1], 2);
    const before = node.raft.status();
    node.receive(append(1));
    node.settle();
    assert.deepEqual(node.raft.status(), before);
    assert.deepEqual(
      node.takeSent().map((m) => [m.kind, m.to, m.term]),
      [["heartbeatReply", id(2), 2]],
    );
    assert.ok(node.marks.includes("stale message ignored"));
  });

  test("two leaders in one term are a broken invariant, not a message to answer", () => {
    assert.throws(() => leader().receive(append(1)), InvariantError);
  });

  test("a leader ignores the call to campaign", () => {
    const node = leader();
    node.step({ kind: "campaign" });
    node.settle();
    assert.deepEqual([node.role, node.term], ["leader", 1]);
    assert.ok(node.marks.includes("campaign ignored: leading"));
  });

  test("a message to another node is ignored", () => {
    const node = single(3);
    node.receive({ ...append(5), to: id(9) });
    node.settle();
    assert.equal(node.term, 0);
    assert.ok(node.marks.includes("misdirected message ignored"));
  });
});

describe("elections", () => {
  test("§5.2 silence for less than two election timeouts makes a follower ask each peer once for its vote", () => {
    const node = single(3, { ...quiet }, [], 1);
    for (let i = 0; i < 19 && node.role === "follower"; i++) node.tick();
    node.sync();
    assert.deepEqual([node.role, node.term, node.disk.hardState.votedFor], ["candidate", 2, id(1)]);
    assert.deepEqual(
      node.takeSent().map((m) => (m.kind === "requestVote" ? [m.to, m.term, m.lastIndex, m.lastTerm] : m.kind)),
      [
        [id(2), 2, 0, 0],
        [id(3), 2, 0, 0],
      ],
    );
  });

  const oneRound: readonly (readonly [number, string, string])[] = [
    [3, "yy", "leader"],
    [3, "y", "leader"],
    [3, "nn", "follower"],
    [3, "", "candidate"],
    [5, "yyyy", "leader"],
    [5, "yyy", "leader"],
    [5, "yy", "leader"],
    [5, "nnnn", "follower"],
    [5, "ynnn", "follower"],
    [5, "y", "candidate"],
    [5, "nn", "candidate"],
    [5, "", "candidate"],
  ];
  for (const [count, answers, role] of oneRound) {
    test(`§5.2 a candidate of ${count} voters that hears "${answers}" is ${role}`, () => {
      const node = candidate(count);
      for (let i = 0; i < answers.length; i++) node.receive(vote(i + 2, 1, answers[i] === "y"));
      assert.deepEqual([node.role, node.term], [role, 1]);
    });
  }

  test("§5.2 a lone voter elects itself at its first tick and commits by its own disk", () => {
    const node = single(1, {});
    node.tick();
    assert.equal(node.role, "candidate");
    node.sync();
    assert.deepEqual([node.role, node.commit], ["leader", 0]);
    node.sync();
    assert.equal(node.commit, 1);
  });

  for (const [votedFor, from, granted] of [
    [null, 2, true],
    [null, 3, true],
    [2, 2, true],
    [3, 3, true],
    [2, 3, false],
    [3, 2, false],
  ] as const) {
    test(`§5.2 a node whose vote of this term is ${votedFor ?? "free"} ${granted ? "grants" : "refuses"} it to ${from}`, () => {
      const vote = votedFor === null ? null : id(votedFor);
      const node = new TestNode({ id: id(1), configuration: voters(3), options: quiet, term: 1, votedFor: vote });
      node.receive(requestVote(from, 1));
      node.settle();
      assert.deepEqual(
        node.takeSent().map((m) => m.kind === "voteReply" && m.granted),
        [granted],
      );
      assert.equal(node.marks.includes("vote refused"), !granted);
    });
  }

  test("§5.2 a vote leaves only when it is on the disk, also in a term that this node is in already", () => {
    const node = new TestNode({ id: id(1), configuration: voters(3), options: quiet, term: 1, votedFor: null });
    node.receive(requestVote(2, 1));
    node.pump();
    assert.deepEqual(node.takeSent(), []);
    node.sync();
    assert.equal(node.disk.hardState.votedFor, id(2));
    assert.ok(node.takeSent().some((m) => m.kind === "voteReply" && m.granted));
  });

  for (const [log, lastIndex, lastTerm, granted] of [
    [[1], 1, 1, true],
    [[1], 2, 1, true],
    [[1, 1], 1, 1, false],
    [[1], 1, 2, true],
    [[1, 1], 1, 2, true],
    [[2], 1, 1, false],
    [[2], 2, 1, false],
    [[1, 1], 1, 1, false],
  ] as const) {
    test(`§5.4.1 log ${log.join()} ${granted ? "votes for" : "refuses"} a log ending at ${lastIndex} in term ${lastTerm}`, () => {
      const node = single(3, quiet, log);
      node.receive(requestVote(2, 3, lastIndex, lastTerm));
      node.settle();
      assert.deepEqual(
        node.takeSent().map((m) => m.kind === "voteReply" && m.granted),
        [granted],
      );
    });
  }

  test("a vote request of an earlier term is refused even to the one this node voted for", () => {
    const node = new TestNode({ id: id(1), configuration: voters(3), options: quiet, term: 2, votedFor: id(2) });
    node.receive(requestVote(2, 1));
    node.settle();
    assert.deepEqual(
      node.takeSent().map((m) => m.kind === "voteReply" && [m.granted, m.term]),
      [[false, 2]],
    );
  });

  for (const term of [1, 2]) {
    test(`§5.2 a candidate of term 1 falls back at an append of term ${term}`, () => {
      const node = candidate(3);
      node.receive(append(term));
      assert.deepEqual([node.role, node.term], ["follower", term]);
    });
  }

  test("answers of an earlier election, of non-members and of the same voter twice do not count", () => {
    const node = candidate(5);
    node.receive(vote(2, 0, true));
    node.receive(vote(9, 1, true));
    node.receive(vote(3, 1, true));
    node.receive(vote(3, 1, true));
    assert.equal(node.role, "candidate");
    node.pump();
    assert.ok(node.marks.includes("stale message ignored"));
    node.receive(vote(2, 1, true));
    assert.equal(node.role, "leader");
    node.receive(vote(4, 1, true));
    node.pump();
    assert.ok(node.marks.includes("stale vote reply ignored"));
  });

  test("§5.2 election timeouts cover every tick of [n, 2n)", () => {
    const seen = new Set<number>();
    const node = new TestNode({ id: id(1), configuration: voters(3), options: diskless, random: seededRandom(1) });
    for (let round = 0; round < 500; round++) {
      const term = node.term;
      let ticks = 0;
      while (node.term === term) {
        node.tick();
        ticks++;
      }
      seen.add(ticks);
    }
    assert.deepEqual(
      [...seen].sort((a, b) => a - b),
      [10, 11, 12, 13, 14, 15, 16, 17, 18, 19],
    );
  });

  test("§5.2 five nodes rarely time out in the same tick", () => {
    const nodes = [1, 2, 3, 4, 5].map(
      (n) => new TestNode({ id: id(n), configuration: voters(5), options: diskless, random: seededRandom(n) }),
    );
    let conflicts = 0;
    for (let round = 0; round < 1000; round++) {
      const terms = nodes.map((node) => node.term);
      let fired = 0;
      while (fired === 0) {
        for (const node of nodes) node.tick();
        fired = nodes.filter((node, i) => node.term > terms[i]!).length;
      }
      if (fired > 1) conflicts++;
      const term = Math.max(...nodes.map((node) => node.term)) + 1;
      for (const node of nodes) node.receive({ ...append(term, 9), to: node.id });
      // Word of a later leader each round keeps the five in step.
      for (const node of nodes) node.raft.drain();
    }
    assert.ok(conflicts <= 300, `${conflicts} of 1000 rounds had two timeouts in one tick`);
  });

  test("missed ticks after a pause count as one: no election per missed tick", () => {
    const node = single(3);
    for (let i = 0; i < 1000; i++) node.step({ kind: "tick", stamp: stampAt(i) });
    node.settle();
    assert.deepEqual([node.term, node.role], [0, "follower"]);
    assert.ok(node.marks.includes("late tick skipped"));
  });

  test("a shell that drains only when there is something to drain loses no tick", () => {
    const node = single(3);
    let ticks = 0;
    for (; node.role === "follower"; ticks++) {
      node.step({ kind: "tick", stamp: stampAt(ticks) });
      if (node.raft.hasReady()) node.pump();
    }
    assert.ok(ticks >= 10 && ticks < 20, `${ticks} ticks`);
  });

  test("each of three nodes can win in turn, with and without PreVote", () => {
    for (const preVote of [false, true]) {
      const net = Network.of(3, { preVote, checkQuorum: false });
      for (const n of [1, 2, 3]) {
        net.campaign(n);
        for (const other of [1, 2, 3]) assert.equal(net.node(other).role, other === n ? "leader" : "follower");
      }
    }
  });

  for (const [count, dead, preVote, role, term] of [
    [3, [3], false, "leader", 1],
    [3, [2, 3], false, "candidate", 1],
    [3, [2, 3], true, "preCandidate", 0],
    [5, [2, 3], false, "leader", 1],
  ] as const) {
    test(`of ${count} voters with ${dead.length} dead, a campaign ${preVote ? "with PreVote " : ""}ends as ${role}`, () => {
      const net = Network.of(count, { preVote, checkQuorum: false });
      for (const n of dead) net.node(n).crash();
      net.campaign(1);
      assert.deepEqual([net.node(1).role, net.node(1).term], [role, term]);
    });
  }

  test("a learner never campaigns, but votes when asked (etcd campaign_learner_must_vote)", () => {
    const configuration = voters(1, [id(2)]);
    const node = new TestNode({ id: id(2), configuration, options: quiet });
    node.tick(50);
    node.step({ kind: "campaign" });
    node.settle();
    assert.deepEqual([node.role, node.term], ["follower", 0]);
    assert.ok(node.marks.includes("campaign ignored: not promotable"));
    node.receive({ ...requestVote(1, 2, 0, 0), to: id(2) });
    node.settle();
    assert.ok(node.takeSent().some((m) => m.kind === "voteReply" && m.granted));
  });
});

describe("who may not stand", () => {
  test("a learner that is cut off does not name its leader for ever", () => {
    const node = new TestNode({ id: id(2), configuration: voters(1, [id(2)]) });
    node.receive({ ...append(1, 1), to: id(2) });
    node.settle();
    node.tick(9);
    assert.equal(node.raft.status().leader, id(1));
    node.tick(11);
    assert.deepEqual([node.role, node.raft.status().leader], ["follower", null]);
    assert.ok(node.marks.includes("leader forgotten: silent"));
  });
});

describe("durability of votes", () => {
  test("§5.2 a vote request leaves only after the candidate's own vote is durable", () => {
    const node = single(3);
    node.step({ kind: "campaign" });
    const ready = node.pump();
    assert.deepEqual(ready.send, []);
    assert.deepEqual(ready.persist?.hardState, { term: 1, votedFor: id(1) });
    assert.deepEqual(
      ready.persist?.thenSend.map((m) => `${m.kind} to ${m.to}`),
      ["requestVote to n2", "requestVote to n3"],
    );
  });

  test("§5.2 a vote is sent only with the batch that holds it", () => {
    const node = single(3);
    node.receive(requestVote(2, 1));
    const ready = node.pump();
    assert.deepEqual(ready.send, []);
    assert.deepEqual(ready.persist?.hardState, { term: 1, votedFor: id(2) });
    assert.deepEqual(
      ready.persist?.thenSend.map((m) => m.kind === "voteReply" && m.granted),
      [true],
    );
  });

  test("a repeated vote request before the disk answers waits for the disk too", () => {
    const node = single(3);
    node.receive(requestVote(2, 1));
    node.pump();
    node.receive(requestVote(2, 1));
    const ready = node.pump();
    assert.deepEqual(ready.send, []);
    assert.equal(ready.persist?.thenSend.length, 1);
  });

  test("the candidate's own vote counts only once it is durable", () => {
    const node = single(3);
    node.step({ kind: "campaign" });
    node.pump();
    node.receive(vote(2, 1, true));
    assert.equal(node.role, "candidate");
    node.sync();
    assert.equal(node.role, "leader");
  });

  test("an answer to a batch that was never given out is a broken invariant", () => {
    assert.throws(() => single(3).step({ kind: "persisted", batch: 7 as BatchId }), InvariantError);
  });

  test("a restart from disk votes no second time in its term, applies nothing again and says nothing", () => {
    const net = Network.of(3, quiet);
    net.campaign(1);
    net.propose(1, "a");
    const node = net.node(2);
    node.crash();
    node.restart();
    node.settle();
    assert.deepEqual(node.takeSent(), []);
    assert.deepEqual(node.applied, []);
    node.receive({ ...requestVote(3, 1, 9, 9), to: id(2) });
    node.settle();
    assert.ok(node.takeSent().every((m) => m.kind !== "voteReply" || !m.granted));
    net.tick(2);
    assert.deepEqual(node.applied, ["1:1:", "2:1:a"]);
  });

  test("a recovered log that ends in a later term than the recovered term is refused", () => {
    assert.throws(() => single(3, quiet, [1, 5], 4), InvariantError);
  });
});

test("§9.6 a pre-vote that was granted for an earlier campaign does not count in this one", () => {
  const node = single(3, { preVote: true }, [1], 2);
  node.step({ kind: "campaign" });
  node.receive({ kind: "preVoteReply", from: id(2), to: id(1), term: Term(2), granted: true });
  assert.deepEqual([node.role, node.term], ["preCandidate", 2]);
  node.receive({ kind: "preVoteReply", from: id(2), to: id(1), term: Term(3), granted: true });
  assert.deepEqual([node.role, node.term], ["candidate", 3]);
});
