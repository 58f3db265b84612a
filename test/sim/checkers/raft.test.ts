import assert from "node:assert/strict";
import { test } from "node:test";
import { LogIndex, NodeId, Term } from "#kernel";
import { type HardState, type Message, settledConfiguration } from "#raft";
import { CommitMonotone } from "../../../src/sim/checkers/commit-monotone.ts";
import { DurableAck } from "../../../src/sim/checkers/durable-ack.ts";
import { ElectionSafety } from "../../../src/sim/checkers/election-safety.ts";
import { LeaderCompleteness } from "../../../src/sim/checkers/leader-completeness.ts";
import { LogMatching } from "../../../src/sim/checkers/log-matching.ts";
import { NodeLogs } from "../../../src/sim/checkers/node-logs.ts";
import { Replay } from "../../../src/sim/checkers/replay.ts";
import { StateMachineSafety } from "../../../src/sim/checkers/state-machine-safety.ts";
import { VoteSafety } from "../../../src/sim/checkers/vote-safety.ts";
import { Complaints, entryAt, History, Log, n1, n2, n3, plain, openSession, ready, status } from "./history.ts";

const tick = { kind: "tick" } as never;

test("election-safety refuses a second leader in a term, long after the first one died, and accepts one per term", () => {
  const { seen, report } = new Complaints();
  const checker = new ElectionSafety(report);
  const lead = (node: NodeId, term: number): void =>
    checker.stepped(node, tick, status({ role: "leader", term: Term(term), votedFor: node }));
  checker.sent(n3, n1, vote(n3, n1, 3));
  checker.sent(n3, n2, vote(n3, n2, 4));
  lead(n1, 3);
  lead(n1, 3);
  lead(n2, 4);
  assert.deepEqual(seen, []);
  lead(n2, 3);
  assert.deepEqual(seen, ["election-safety"]);
});

test("election-safety refuses a leader with too few votes, however often they were sent, or with those of another term", () => {
  const { problems, report } = new Complaints();
  const checker = new ElectionSafety(report);
  const configuration = settledConfiguration([n1, n2, n3, NodeId("n4"), NodeId("n5")]);
  checker.sent(n2, n1, vote(n2, n1, 3));
  checker.sent(n2, n1, vote(n2, n1, 3));
  checker.sent(n3, n1, vote(n3, n1, 2));
  checker.stepped(n1, tick, status({ role: "leader", term: Term(3), votedFor: n1, configuration }));
  assert.deepEqual(problems, ["n1 leads term 3 by the votes of n1, n2 of n1, n2, n3, n4, n5"]);
});

test("vote-safety refuses a vote that leaves before it is durable", () => {
  const { seen, report } = new Complaints();
  const checker = new VoteSafety(report);
  const leaving = { ...ready([]), send: [vote(n3, n1, 5)] };
  checker.started(n3, 1, status({ term: Term(5), votedFor: null }));
  checker.drained(n3, leaving);
  assert.deepEqual(seen, ["vote-safety"]);
  checker.persisted(n3, 1 as never, { term: Term(5), votedFor: n1 }, []);
  checker.drained(n3, leaving);
  assert.deepEqual(seen, ["vote-safety"]);
});

test("vote-safety refuses a second vote in a term over a restart, and accepts the same vote sent twice", () => {
  const { seen, report } = new Complaints();
  const checker = new VoteSafety(report);
  checker.sent(n3, n1, vote(n3, n1, 5));
  checker.sent(n3, n1, vote(n3, n1, 5));
  checker.sent(n3, n2, vote(n3, n2, 6));
  assert.deepEqual(seen, []);
  checker.sent(n3, n2, vote(n3, n2, 5));
  assert.deepEqual(seen, ["vote-safety"]);
});

test("vote-safety takes a node that was removed and added again for another voter, and one that is only empty for the same", () => {
  const { seen, report } = new Complaints();
  const checker = new VoteSafety(report);
  const named = (admission: number | null) =>
    status({
      configuration: {
        ...settledConfiguration([n1, n2, n3]),
        admissions: admission === null ? [] : [{ node: n3, index: LogIndex(admission) }],
      },
    });
  checker.stepped(n3, tick, named(null));
  checker.sent(n3, n1, vote(n3, n1, 5));
  checker.stepped(n3, tick, named(70));
  checker.sent(n3, n2, vote(n3, n2, 5));
  assert.deepEqual(seen, []);
  checker.stepped(n3, tick, status({ configuration: settledConfiguration([]) }));
  checker.sent(n3, n1, vote(n3, n1, 5));
  assert.deepEqual(seen, ["vote-safety"]);
});

test("vote-safety counts a candidate's own vote", () => {
  const { seen, report } = new Complaints();
  const checker = new VoteSafety(report);
  checker.sent(n1, n2, { kind: "requestVote", from: n1, to: n2, term: Term(2) } as Message);
  checker.sent(n1, n3, vote(n1, n3, 2));
  assert.deepEqual(seen, ["vote-safety"]);
});

test("vote-safety refuses a node that comes up without the vote that it had made durable", () => {
  const { seen, report } = new Complaints();
  const checker = new VoteSafety(report);
  const hardState: HardState = { term: Term(4), votedFor: n2 };
  checker.persisted(n1, 1 as never, hardState, []);
  checker.started(n1, 2, status({ term: Term(4), votedFor: n2 }));
  assert.deepEqual(seen, []);
  checker.started(n1, 3, status({ term: Term(4), votedFor: null }));
  assert.deepEqual(seen, ["vote-safety"]);
});

test("log-matching refuses other bytes, and another predecessor, at the same index and term", () => {
  const { seen, report } = new Complaints();
  const logs = new NodeLogs();
  const checker = new LogMatching(logs, report);
  const append = (node: NodeId, ...entries: ReturnType<typeof entryAt>[]): void => {
    logs.drained(node, ready(entries));
    checker.drained(node, ready(entries));
  };
  append(n1, entryAt(1, 1), entryAt(2, 2));
  append(n2, entryAt(1, 1), entryAt(2, 2));
  assert.deepEqual(seen, []);
  append(n2, entryAt(2, 2, new Uint8Array([7])));
  append(n3, entryAt(1, 2), entryAt(2, 2));
  assert.deepEqual(seen, ["log-matching", "log-matching"]);
});

test("leader-completeness refuses a leader that lacks a committed entry, and accepts an uncommitted loss", () => {
  const { seen, report } = new Complaints();
  const logs = new NodeLogs();
  const checker = new LeaderCompleteness(logs, report);
  logs.drained(n1, ready([entryAt(1, 1), entryAt(2, 1)]));
  logs.stepped(n1, tick, status({ role: "leader", lastIndex: LogIndex(2), commitIndex: LogIndex(1) }));
  logs.drained(n2, ready([entryAt(1, 1)]));
  checker.stepped(n2, tick, status({ role: "leader", term: Term(2), lastIndex: LogIndex(1) }));
  assert.deepEqual(seen, []);
  checker.stepped(n3, tick, status({ role: "leader", term: Term(3), lastIndex: LogIndex(0) }));
  logs.drained(n3, ready([entryAt(1, 2)]));
  checker.stepped(n3, tick, status({ role: "leader", term: Term(4), lastIndex: LogIndex(1) }));
  assert.deepEqual(seen, ["leader-completeness", "leader-completeness"]);
});

test("leader-completeness refuses a commit that somebody without the entry could still be elected over (figure 8)", () => {
  const { problems, report } = new Complaints();
  const logs = new NodeLogs();
  const checker = new LeaderCompleteness(logs, report);
  const commits = (term: number, index: number): void => {
    const leading = status({ role: "leader", term: Term(term), lastIndex: LogIndex(2), commitIndex: LogIndex(index) });
    logs.stepped(n1, tick, leading);
    checker.stepped(n1, tick, leading);
  };
  for (const node of [n1, n2]) logs.drained(node, ready([entryAt(1, 1)]));
  commits(1, 1);
  for (const node of [n1, n2]) logs.drained(node, ready([entryAt(2, 2)]));
  logs.drained(n3, ready([entryAt(1, 1), entryAt(2, 3)]));
  assert.deepEqual(problems, []);
  commits(4, 2);
  assert.deepEqual(problems, ["n1 commits index 2, and n3 could be elected without it"]);
});

test("durable-ack refuses a commit that is on the platters of a minority, learners not counted", () => {
  const { seen, report } = new Complaints();
  const logs = new NodeLogs();
  const platters = new Map<NodeId, number>([[n1, 1]]);
  const view = { durable: { termAt: (node: NodeId) => platters.get(node) ?? null } } as never;
  const checker = new DurableAck(view, logs, report);
  logs.drained(n1, ready([entryAt(1, 1), entryAt(2, 1)]));
  platters.set("learner" as NodeId, 1);
  checker.stepped(n1, tick, status({ role: "leader", commitIndex: LogIndex(1) }));
  assert.deepEqual(seen, ["durable-ack"]);
  platters.set(n3, 1);
  checker.stepped(n1, tick, status({ role: "leader", commitIndex: LogIndex(2) }));
  assert.deepEqual(seen, ["durable-ack"]);
});

test("durable-ack refuses a voter that comes up without what it durably held, but for a suspect, and an empty directory is no excuse", () => {
  const { seen, report } = new Complaints();
  const logs = new NodeLogs();
  const view = { durable: { termAt: (node: NodeId) => (node === n2 ? 1 : null) } } as never;
  const checker = new DurableAck(view, logs, report);
  logs.drained(n1, ready([entryAt(1, 1), entryAt(2, 1), entryAt(3, 1)]));
  logs.stepped(n1, tick, status({ role: "leader", lastIndex: LogIndex(3), commitIndex: LogIndex(2) }));
  checker.stopped(n2);
  checker.stopped(n3);
  checker.diskFault(n2, "rot");
  checker.started(n2, 2, status({ lastIndex: LogIndex(2) }));
  checker.started(n2, 2, status({ lastIndex: LogIndex(1), suspect: true }));
  checker.started(n3, 2, status({ lastIndex: LogIndex(0) }));
  assert.deepEqual(seen, []);
  checker.started(n2, 3, status({ lastIndex: LogIndex(1) }));
  assert.deepEqual(seen, ["durable-ack"]);
  checker.diskFault(n2, "wiped");
  checker.started(n2, 4, status({ lastIndex: LogIndex(0), suspect: true }));
  assert.deepEqual(seen, ["durable-ack"]);
  checker.started(n2, 4, status({ lastIndex: LogIndex(0) }));
  assert.deepEqual(seen, ["durable-ack", "durable-ack"]);
});

test("durable-ack refuses an answer for what no leader has committed", () => {
  const { seen, report } = new Complaints();
  const checker = new DurableAck({} as never, new NodeLogs(), report);
  const history = new History();
  const decision = new Log().append(plain(openSession));
  checker.returned(history.answer(history.call(0, plain(openSession)), 1, decision));
  assert.deepEqual(seen, ["durable-ack"]);
});

test("state-machine-safety refuses what is not committed, out of order, applied twice, or of another term", () => {
  const { seen, report } = new Complaints();
  const logs = new NodeLogs();
  const checker = new StateMachineSafety(logs, new Replay(), report);
  checker.started(n2, 1, status({}));
  logs.drained(n1, ready([entryAt(1, 1), entryAt(2, 1), entryAt(3, 1)]));
  logs.stepped(n1, tick, status({ role: "leader", lastIndex: LogIndex(3), commitIndex: LogIndex(2) }));
  checker.committed(n2, [entryAt(1, 1)]);
  assert.deepEqual(seen, []);
  checker.committed(n2, [entryAt(1, 1)]);
  checker.committed(n2, [entryAt(2, 2)]);
  checker.committed(n2, [entryAt(3, 1)]);
  assert.equal(seen.length, 3);
});

test("state-machine-safety refuses a state that differs from the log's", () => {
  const { seen, report } = new Complaints();
  const log = new Log();
  log.append(plain(openSession));
  const checker = new StateMachineSafety(new NodeLogs(), log.replay, report);
  checker.applied(n1, log.index, () => log.replay.at(1)!.digest);
  assert.deepEqual(seen, []);
  checker.restored(n1, log.index, () => "0000000000000000");
  assert.deepEqual(seen, ["state-machine-safety"]);
});

test("commit-monotone refuses a commit index that falls in one life, and accepts that a restart forgets it", () => {
  const { seen, report } = new Complaints();
  const checker = new CommitMonotone(report);
  checker.started(n1, 1, status({}));
  checker.stepped(n1, tick, status({ commitIndex: LogIndex(5) }));
  checker.started(n1, 2, status({}));
  checker.stepped(n1, tick, status({ commitIndex: LogIndex(3) }));
  assert.deepEqual(seen, []);
  checker.stepped(n1, tick, status({ commitIndex: LogIndex(2) }));
  assert.deepEqual(seen, ["commit-monotone"]);
});

test("commit-monotone refuses a match that falls within a leadership", () => {
  const { seen, report } = new Complaints();
  const checker = new CommitMonotone(report);
  const leading = (term: number, matchIndex: number, admission = 0) =>
    status({
      role: "leader",
      term: Term(term),
      progress: new Map([[n2, { matchIndex: LogIndex(matchIndex) }]]) as never,
      configuration: { ...settledConfiguration([n1, n2]), admissions: [{ node: n2, index: LogIndex(admission) }] },
    });
  checker.started(n1, 1, status({}));
  checker.stepped(n1, tick, leading(2, 9));
  checker.stepped(n1, tick, leading(3, 4));
  checker.stepped(n1, tick, leading(3, 3, 20));
  assert.deepEqual(seen, [], "removed and added again, it begins anew");
  checker.stepped(n1, tick, leading(3, 2, 20));
  assert.deepEqual(seen, ["commit-monotone"]);
});

function vote(from: NodeId, to: NodeId, term: number): Message {
  return { kind: "voteReply", from, to, term: Term(term), granted: true };
}
