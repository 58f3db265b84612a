import { accepted, type FencingToken, type Outcome, type Refusal, refused, type WorkId } from "#kernel";
import { checkText, firstOf, invalid, refuse } from "../check.ts";
import type { Operation } from "../command.ts";
import { checkGuards } from "../locks/guards.ts";
import { fixedLimits } from "../limits.ts";
import type { Claim, Progress, WorkError } from "../objects.ts";
import type { Reply } from "../reply.ts";
import type { SessionRecord, State } from "../state.ts";
import { cancelNow, finish, giveBack, retry } from "./endings.ts";
import { checkRoom } from "./enqueue.ts";
import { isTerminal, putWork } from "./items.ts";
import type { WorkRecord } from "./record.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { readonly kind: K }>;

/** CLAIMED → RUNNING. Again under the same token: no change, so that a worker may repeat it. */
export function startWork(state: State, session: SessionRecord | null, start: Of<"startWork">): Outcome<Reply> {
  const claimed = claimedBy(state, session, start.workId, start.fencingToken);
  if (!claimed.ok) return claimed;
  const { record, claim } = claimed.value;
  const { item } = record;
  if (item.state === "RUNNING") return workReply(record);
  putWork(state, record, {
    ...item,
    state: "RUNNING",
    claim: { ...claim, startedAtMs: state.now, lastHeartbeatAtMs: state.now },
    modRevision: state.revision,
    version: item.version + 1,
  });
  return workReply(record);
}

/** Progress is also the heartbeat. The reply says whether a cancel was requested. */
export function progressWork(state: State, session: SessionRecord | null, report: Of<"progressWork">): Outcome<Reply> {
  const claimed = claimedBy(state, session, report.workId, report.fencingToken);
  if (!claimed.ok) return claimed;
  const problem = checkProgress(report.progress);
  if (problem !== null) return refused(problem);
  const { record, claim } = claimed.value;
  const { item } = record;
  putWork(state, record, {
    ...item,
    claim: { ...claim, lastHeartbeatAtMs: state.now },
    progress: report.progress,
    modRevision: state.revision,
    version: item.version + 1,
  });
  return workReply(record);
}

/** The end of an attempt, in the worker's words. At most one Complete of a claim ever has an effect. */
export function completeWork(state: State, session: SessionRecord | null, complete: Of<"completeWork">): Outcome<Reply> {
  const claimed = claimedBy(state, session, complete.workId, complete.fencingToken);
  if (!claimed.ok) return claimed;
  const problem = firstOf(
    checkText("result", complete.result, state.limits.maxPayloadBytes),
    complete.error === null ? null : checkError(complete.error),
  );
  if (problem !== null) return refused(problem);
  const fenced = checkGuards(state, complete.guards);
  if (fenced !== null) return refused(fenced);
  const { record } = claimed.value;
  const { error, result } = complete;
  if (error === null) finish(state, record, "SUCCEEDED", result, null);
  else if (error.cause === "cancelled" && record.item.cancelRequested !== null) finish(state, record, "CANCELLED", result, error);
  else if (error.retryable) retry(state, record, "failed", error);
  else finish(state, record, "FAILED", result, error);
  return workReply(record);
}

/** Back to the queue without a charge: a worker that drains. */
export function releaseWork(state: State, session: SessionRecord | null, release: Of<"releaseWork">): Outcome<Reply> {
  const claimed = claimedBy(state, session, release.workId, release.fencingToken);
  if (!claimed.ok) return claimed;
  const problem = checkText("reason", release.reason, fixedLimits.textBytes);
  if (problem !== null) return refused(problem);
  giveBack(state, claimed.value.record);
  return workReply(claimed.value.record);
}

/** PENDING ends at once; a claimed item is asked to stop and ends by its worker, its loss, or the cancel grace. */
export function cancelWork(state: State, cancel: Of<"cancelWork">): Outcome<Reply> {
  const problem = firstOf(
    checkText("reason", cancel.reason, fixedLimits.textBytes),
    checkText("by", cancel.by, fixedLimits.nameBytes),
  );
  if (problem !== null) return refused(problem);
  const record = state.work.get(cancel.workId);
  if (record === undefined) return unknownWork(cancel.workId);
  if (isTerminal(record.item.state)) {
    return refuse("BAD_STATE", `${cancel.workId} is ${record.item.state} and cannot be cancelled`);
  }
  requestCancel(state, record, cancel.by, cancel.reason);
  return workReply(record);
}

/** The request stands on the item, whether or not a worker must still answer it. Repeated: the first one stays. */
export function requestCancel(state: State, record: WorkRecord, by: string, reason: string): void {
  const { item } = record;
  if (item.cancelRequested !== null) return;
  const asked = { ...item, cancelRequested: { atMs: state.now, by, reason } };
  if (item.claim === null) cancelNow(state, record, asked);
  else putWork(state, record, { ...asked, modRevision: state.revision, version: item.version + 1 });
}

/** FAILED, DEAD or CANCELLED → PENDING with all attempts and losses forgiven; the history of attempts stays. */
export function requeueWork(state: State, workId: WorkId): Outcome<Reply> {
  const record = state.work.get(workId);
  if (record === undefined) return unknownWork(workId);
  const { item } = record;
  if (item.state !== "FAILED" && item.state !== "DEAD" && item.state !== "CANCELLED") {
    return refuse("BAD_STATE", `${workId} is ${item.state}; only FAILED, DEAD and CANCELLED items are requeued`);
  }
  const job = item.spec.jobId === null ? undefined : state.jobs.get(item.spec.jobId);
  if (job !== undefined && job.job.cancelRequested) {
    return refuse("BAD_STATE", `${workId} belongs to ${job.job.jobId}, which is cancelled`);
  }
  const other = item.spec.uniqueKey === "" ? undefined : state.uniqueKeys.get(item.spec.uniqueKey);
  if (other !== undefined) {
    return refuse("ALREADY_EXISTS", `${other.item.workId} now has the unique_key of ${workId}`, "work_id");
  }
  const full = checkRoom(state, 1);
  if (full !== null) return full;
  putWork(state, record, {
    ...item,
    state: "PENDING",
    attempt: 0,
    lossCount: 0,
    epoch: item.epoch + 1,
    availableAtMs: state.wall,
    claim: null,
    progress: null,
    cancelRequested: null,
    result: "",
    lastError: null,
    enqueuedAtMs: state.now,
    finishedAtMs: null,
    modRevision: state.revision,
    version: item.version + 1,
  });
  return workReply(record);
}

/** The claim that `token` names, if it is the present one and the session's own. Otherwise FENCED, without the true token. */
export function claimedBy(
  state: State,
  session: SessionRecord | null,
  workId: WorkId,
  token: FencingToken,
): Outcome<{ readonly record: WorkRecord; readonly claim: Claim }> {
  const claimed = claimedUnder(state, workId, token);
  if (!claimed.ok || claimed.value.claim.sessionId === session?.session.sessionId) return claimed;
  return fenced(workId, token);
}

/** The same for a party that is not the claim's session but was handed its token. */
export function claimedUnder(
  state: State,
  workId: WorkId,
  token: FencingToken,
): Outcome<{ readonly record: WorkRecord; readonly claim: Claim }> {
  const record = state.work.get(workId);
  if (record === undefined) return unknownWork(workId);
  const { claim } = record.item;
  if (claim === null || claim.fencingToken !== token) return fenced(workId, token);
  return accepted({ record, claim });
}

const fenced = (workId: WorkId, token: FencingToken): Outcome<never> =>
  refuse("FENCED", `token ${token} does not hold ${workId} any more`, "fencing_token");

const workReply = (record: WorkRecord): Outcome<Reply> => accepted({ kind: "work", item: record.item, deduplicated: false });

const unknownWork = (workId: WorkId): Outcome<never> => refuse("NOT_FOUND", `no work item ${workId}`, "work_id");

function checkProgress(progress: Progress): Refusal | null {
  if (!(progress.percent >= 0 && progress.percent <= 100)) {
    return invalid("progress.percent", `must be from 0 to 100, got ${progress.percent}`);
  }
  return firstOf(
    checkText("progress.step", progress.step, fixedLimits.nameBytes),
    checkText("progress.message", progress.message, fixedLimits.textBytes),
  );
}

function checkError(error: WorkError): Refusal | null {
  return firstOf(
    checkText("error.code", error.code, fixedLimits.nameBytes),
    checkText("error.message", error.message, fixedLimits.textBytes),
  );
}
