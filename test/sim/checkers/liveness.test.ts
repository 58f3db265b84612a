import assert from "node:assert/strict";
import { test } from "node:test";
import { completeWorkSpec } from "#codec";
import { LogIndex, type NodeId, Term } from "#kernel";
import type { RaftStatus } from "#raft";
import { Liveness } from "../../../src/sim/checkers/liveness.ts";
import { Complaints, History, Log, n1, n2, n3, openSession, plain, status } from "./history.ts";

const tick = { kind: "tick" } as never;
const electionMs = 100;

test("liveness accepts a cluster that settles and ends in silence", () => {
  const { checker, view, complaints, statuses } = begin();
  checker.healed();
  lead(checker, 5);
  view.nowMs = 3_100;
  lead(checker, 5);
  view.nowMs = 5_000;
  lead(checker, 5);
  for (const node of [n2, n3]) statuses.set(node, status({ appliedIndex: LogIndex(7) }));
  statuses.set(n1, status({ role: "leader", appliedIndex: LogIndex(7) }));
  checker.ended();
  assert.deepEqual(complaints.problems, []);
});

test("liveness refuses ten election timeouts without a leader (and the time to dial again), but asks nothing before the faults are over", () => {
  const { checker, view, complaints } = begin();
  view.nowMs = 10_000;
  checker.stepped(n1, tick, status({ role: "candidate", term: Term(8) }));
  checker.healed();
  view.nowMs = 12_999;
  checker.stepped(n1, tick, status({ role: "candidate", term: Term(9) }));
  assert.deepEqual(complaints.seen, []);
  view.nowMs = 13_000;
  checker.stepped(n1, tick, status({ role: "candidate", term: Term(9) }));
  assert.deepEqual(complaints.seen, ["liveness"]);
});

test("liveness refuses a new term once all was well", () => {
  const { checker, view, complaints } = begin();
  checker.healed();
  lead(checker, 5);
  view.nowMs = 3_100;
  lead(checker, 5);
  view.nowMs = 4_000;
  checker.stepped(n2, tick, status({ role: "candidate", term: Term(6) }));
  assert.deepEqual(complaints.seen, ["liveness"]);
});

test("liveness refuses an operation that is never answered, and an item that is never finished", () => {
  const { checker, complaints, statuses, log } = begin();
  statuses.set(n1, status({ role: "leader" }));
  const history = new History();
  const operation = history.call(0, plain(openSession));
  checker.invoked(operation);
  log.append(plain({ kind: "enqueueWork", spec: completeWorkSpec({ kind: "test" }) }));
  checker.ended();
  assert.deepEqual(
    complaints.problems.map((problem) => /open|finished/.exec(problem)?.[0]),
    ["open", "finished"],
  );
});

test("liveness refuses a member that stays behind", () => {
  const { checker, view, complaints, statuses } = begin();
  checker.healed();
  lead(checker, 5, 40);
  view.nowMs = 3_100;
  statuses.set(n1, status({ role: "leader", appliedIndex: LogIndex(40) }));
  statuses.set(n2, status({ appliedIndex: LogIndex(40) }));
  statuses.set(n3, status({ appliedIndex: LogIndex(12) }));
  checker.ended();
  assert.deepEqual(complaints.seen, ["liveness"]);
});

function begin() {
  const complaints = new Complaints();
  const statuses = new Map<NodeId, RaftStatus>();
  const view = { nowMs: 0, electionMs, nodes: [n1, n2, n3], status: (node: NodeId) => statuses.get(node) ?? null };
  const log = new Log();
  return { complaints, statuses, view, log, checker: new Liveness(view as never, log.replay, complaints.report) };
}

function lead(checker: Liveness, term: number, commit = 7): void {
  const leading = { role: "leader", term: Term(term), ownTermCommitted: true, commitIndex: LogIndex(commit) } as const;
  checker.stepped(n1, tick, status(leading));
}
