import assert from "node:assert/strict";
import { test } from "node:test";
import { completeWorkSpec } from "#codec";
import type { FencingToken, Revision, WorkId } from "#kernel";
import type { Decision, Operation as Change, WorkItem } from "#statemachine";
import { DoubleSuccess } from "../../../src/sim/checkers/double-success.ts";
import { EmptyClaim } from "../../../src/sim/checkers/empty-claim.ts";
import { ExactlyOnce } from "../../../src/sim/checkers/exactly-once.ts";
import { Linearizability } from "../../../src/sim/checkers/linearizability.ts";
import { NoLostJob } from "../../../src/sim/checkers/no-lost-job.ts";
import type { OperationRequest } from "../../../src/sim/history.ts";
import { Complaints, History, Log, own, plain } from "./history.ts";

const enqueue = (payload: string): Change => ({
  kind: "enqueueWork",
  spec: completeWorkSpec({ kind: "test", queue: "q", payload }),
});
const claim: Change = { kind: "claimWork", workerId: "w", queues: ["q"], maxItems: 1 };
const succeed = (workId: WorkId, fencingToken: FencingToken): Change => ({
  kind: "completeWork",
  workId,
  fencingToken,
  result: "",
  error: null,
  guards: [],
});

test("linearizability accepts replies and reads that the log explains", () => {
  const { log, history, complaints, checker } = linearizability();
  const session = log.open();
  const written = history.call(0, own(session, 1, enqueue("a")));
  checker.invoked(written);
  const decision = log.append(own(session, 1, enqueue("a")));
  checker.returned(history.answer(written, 5, decision));
  const read = history.call(6, readOf("linearizable", idOf(decision)));
  checker.invoked(read);
  checker.returned(history.value(read, 7, log.index, log.replay.reader.work(idOf(decision))));
  assert.deepEqual(complaints.problems, []);
});

test("linearizability refuses a stale read: served before a write that had been answered when it was called", () => {
  const { log, history, complaints, checker } = linearizability();
  const session = log.open();
  const written = history.call(0, own(session, 1, enqueue("a")));
  checker.invoked(written);
  checker.returned(history.answer(written, 5, log.append(own(session, 1, enqueue("a")))));
  const stale = history.call(6, readOf("stale", "w-2"));
  checker.invoked(stale);
  checker.returned(history.value(stale, 7, 1, null));
  assert.deepEqual(complaints.seen, []);
  const read = history.call(8, readOf("linearizable", "w-2"));
  checker.invoked(read);
  checker.returned(history.value(read, 9, 1, null));
  assert.deepEqual(complaints.seen, ["linearizability"]);
});

test("linearizability refuses a value that the log does not hold at the revision of the read", () => {
  const { log, history, complaints, checker } = linearizability();
  log.append(plain(enqueue("a")));
  const read = history.call(0, readOf("linearizable", "w-1"));
  checker.invoked(read);
  checker.returned(history.value(read, 1, 1, { ...log.replay.reader.work("w-1" as WorkId)!, state: "SUCCEEDED" }));
  assert.deepEqual(complaints.seen, ["linearizability"]);
});

test("linearizability refuses an answer that differs from the log's, one from another command's entry, and one from nowhere", () => {
  const { log, history, complaints, checker } = linearizability();
  const session = log.open();
  const decision = log.append(own(session, 1, enqueue("a")));
  const lies: readonly Decision[] = [
    { ...decision, outcome: { ok: true, value: { kind: "none" } } },
    { ...decision, revision: 1 as Revision },
    { ...decision, revision: 9 as Revision },
  ];
  for (const lie of lies) {
    const operation = history.call(0, own(session, 1, enqueue("a")));
    checker.invoked(operation);
    checker.returned(history.answer(operation, 1, lie));
  }
  assert.equal(complaints.seen.length, 3);
});

test("linearizability refuses a write that takes effect before one answered earlier, but not the copy of an old command", () => {
  const { log, history, complaints, checker } = linearizability();
  const session = log.open();
  const first = history.call(0, own(session, 1, enqueue("a")));
  checker.invoked(first);
  const old = log.append(own(session, 1, enqueue("a")));
  const late = log.append(own(session, 2, enqueue("b")));
  const second = history.call(1, own(session, 2, enqueue("b")));
  checker.invoked(second);
  checker.returned(history.answer(second, 2, late));
  const copy = history.call(3, own(session, 1, enqueue("a")));
  checker.invoked(copy);
  checker.returned(history.answer(copy, 4, old));
  assert.deepEqual(complaints.seen, []);
  const impossible = history.call(5, plain(enqueue("a")));
  log.append(plain(enqueue("c")));
  checker.invoked(impossible);
  checker.returned(history.answer(impossible, 6, old));
  assert.deepEqual(complaints.seen, ["linearizability"]);
});

test("exactly-once refuses two answers from different entries for one sequence, and a second effect", () => {
  const complaints = new Complaints();
  const listeners: ((executed: never) => void)[] = [];
  const checker = new ExactlyOnce({ onExecuted: (listener) => void listeners.push(listener as never) }, complaints.report);
  const log = new Log();
  const history = new History();
  const session = log.open();
  const decision = log.append(own(session, 1, enqueue("a")));
  const copied = log.append(own(session, 1, enqueue("a")));
  for (const answer of [decision, copied])
    checker.returned(history.answer(history.call(0, own(session, 1, enqueue("a"))), 1, answer));
  for (const index of [2, 3]) listeners[0]!(log.replay.at(index) as never);
  assert.deepEqual(complaints.seen, []);
  const again = { ...decision, revision: 9 as Revision };
  checker.returned(history.answer(history.call(2, own(session, 1, enqueue("a"))), 3, again));
  const executed = log.replay.at(3)!;
  listeners[0]!({ ...executed, decision: { ...decision, revision: executed.entry.index } } as never);
  assert.deepEqual(complaints.seen, ["exactly-once", "exactly-once"]);
});

test("exactly-once refuses a first answer from another entry than the one that had the effect", () => {
  const complaints = new Complaints();
  const log = new Log();
  const checker = new ExactlyOnce(log.replay, complaints.report);
  const history = new History();
  const session = log.open();
  const decision = log.append(own(session, 1, enqueue("a")));
  const again = { ...decision, revision: 9 as Revision };
  checker.returned(history.answer(history.call(0, own(session, 1, enqueue("a"))), 1, again));
  assert.deepEqual(complaints.seen, ["exactly-once"]);
});

test("no-lost-job refuses an acknowledged item that is gone, one that is not finished, and one that nobody enqueued", () => {
  const { log, history, complaints } = linearizability();
  const checker = new NoLostJob(log.replay, complaints.report);
  const operation = history.call(0, plain(enqueue("a")));
  checker.invoked(operation);
  const decision = log.append(plain(enqueue("a")));
  checker.returned(history.answer(operation, 1, decision));
  checker.ended();
  assert.match(complaints.problems.pop()!, /PENDING after the drain/);
  log.append(plain({ kind: "cancelWork", workId: idOf(decision), reason: "", by: "" }));
  checker.ended();
  assert.deepEqual(complaints.problems, []);
  log.append(plain(enqueue("b")));
  const lost = structuredClone(decision) as { outcome: { value: { item: { workId: string } } } } & Decision;
  lost.outcome.value.item.workId = "w-77";
  checker.returned(history.answer(history.call(2, plain(enqueue("a"))), 3, lost));
  checker.ended();
  assert.deepEqual(
    complaints.problems.map((problem) => /gone|nobody/.exec(problem)?.[0]),
    ["gone", "nobody"],
  );
});

test("double-success refuses two accepted successes of one item, and accepts the repeated answer of one", () => {
  const { log, history, complaints } = linearizability();
  const checker = new DoubleSuccess(complaints.report);
  const session = log.open();
  const { revision } = log.append(own(session, 1, enqueue("a")));
  const token = log.append(own(session, 2, claim)).revision;
  const work = `w-${revision}` as WorkId;
  const decision = log.append(own(session, 3, succeed(work, token)));
  for (const sequence of [3, 3]) {
    const operation = history.call(0, own(session, sequence, succeed(work, token)));
    checker.invoked(operation);
    checker.returned(history.answer(operation, 1, decision));
  }
  assert.deepEqual(complaints.seen, []);
  const second = history.call(2, own(session, 4, succeed(work, token)));
  checker.invoked(second);
  checker.returned(history.answer(second, 3, decision));
  assert.deepEqual(complaints.seen, ["double-success"]);
});

test("double-success refuses a completion under a token after a newer one was given out", () => {
  const { log, history, complaints } = linearizability();
  const checker = new DoubleSuccess(complaints.report);
  const session = log.open();
  log.append(own(session, 1, enqueue("a")));
  const work = "w-2" as WorkId;
  const token = log.append(own(session, 2, claim)).revision;
  log.append(own(session, 3, { kind: "releaseWork", workId: work, fencingToken: token, reason: "" }));
  const claimed = history.call(0, own(session, 4, claim));
  checker.invoked(claimed);
  checker.returned(history.answer(claimed, 1, log.append(own(session, 4, claim))));
  const operation = history.call(2, own(session, 5, succeed(work, token)));
  checker.invoked(operation);
  const item = log.replay.reader.work(work) as WorkItem;
  const accepted: Decision = {
    outcome: { ok: true, value: { kind: "work", item, deduplicated: false } },
    revision: 6 as Revision,
    clusterTimeMs: 0 as never,
  };
  checker.returned(history.answer(operation, 3, accepted));
  assert.deepEqual(complaints.seen, ["double-success"]);
});

test("empty-claim refuses 'nothing to do' while an item was pending all along, and accepts it when there was none", () => {
  const { log, history, complaints } = linearizability();
  const checker = new EmptyClaim(log.replay, complaints.report);
  const session = log.open();
  const first = history.call(0, own(session, 1, claim));
  checker.invoked(first);
  checker.returned(history.answer(first, 1, log.append(own(session, 1, claim))));
  assert.deepEqual(complaints.seen, []);
  const written = history.call(2, own(session, 2, enqueue("a")));
  checker.invoked(written);
  checker.returned(history.answer(written, 3, log.append(own(session, 2, enqueue("a")))));
  const second = history.call(4, own(session, 3, claim));
  checker.invoked(second);
  const { revision } = log.append(plain({ kind: "advanceClock" }));
  const nothing: Decision = { outcome: { ok: true, value: { kind: "claimed", items: [] } }, revision, clusterTimeMs: 0 as never };
  checker.returned(history.answer(second, 5, nothing));
  assert.deepEqual(complaints.seen, ["empty-claim"]);
});

function linearizability() {
  const log = new Log();
  const complaints = new Complaints();
  return { log, complaints, history: new History(), checker: new Linearizability(log.replay, complaints.report) };
}

function readOf(mode: "linearizable" | "stale", key: string): OperationRequest {
  return { kind: "read", mode, minRevision: 0 as Revision, what: "work", key };
}

function idOf({ outcome }: Decision): WorkId {
  assert.ok(outcome.ok && outcome.value.kind === "work");
  return outcome.value.item.workId;
}
