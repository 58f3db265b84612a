import type { ClusterTimeMs } from "#kernel";
import { unitHash } from "../digest.ts";
import { fixedLimits } from "../limits.ts";
import type { Attempt, Backoff, WorkError, WorkItem, WorkState } from "../objects.ts";
import type { State } from "../state.ts";
import { putWork } from "./items.ts";
import type { WorkRecord } from "./record.ts";

/** How an item leaves a state other than by a claim: the table of docs/semantics.md in one place. */

/** The worker's own end: succeeded, failed for good, or cancelled on request. */
export function finish(
  state: State,
  record: WorkRecord,
  to: Extract<WorkState, "SUCCEEDED" | "FAILED" | "CANCELLED">,
  result: string,
  error: WorkError | null,
): void {
  const { item } = record;
  putWork(state, record, {
    ...item,
    state: to,
    attempt: to === "CANCELLED" ? item.attempt : item.attempt + 1,
    claim: null,
    result,
    lastError: error ?? item.lastError,
    attempts: endAttempt(state, item, to === "SUCCEEDED" ? "succeeded" : to === "FAILED" ? "failed" : "cancelled", error),
    finishedAtMs: state.now,
    modRevision: state.revision,
    version: item.version + 1,
  });
}

/** An attempt that counts went wrong: back in line after a back-off, or DEAD when it was the last one. */
export function retry(state: State, record: WorkRecord, outcome: "failed" | "timeout", error: WorkError): void {
  const { item } = record;
  const attempt = item.attempt + 1;
  const attempts = endAttempt(state, item, outcome, error);
  if (item.cancelRequested !== null) bury(state, record, "CANCELLED", { ...item, attempt, attempts, lastError: error });
  else if (attempt >= item.spec.maxAttempts) bury(state, record, "DEAD", { ...item, attempt, attempts, lastError: error });
  else {
    const availableAtMs = state.wall + backoffMs(item.spec.backoff, item.workId, attempt);
    putBack(state, record, { ...item, attempt, attempts, availableAtMs, lastError: error });
  }
}

/** The worker is gone: the attempt is not charged, and the item keeps its place in line. */
export function lose(state: State, record: WorkRecord, code: string, message: string): void {
  const { item } = record;
  const error: WorkError = { code, message, retryable: true, cause: "lost" };
  const lossCount = item.lossCount + 1;
  const next = { ...item, lossCount, lastError: error, attempts: endAttempt(state, item, "lost", error) };
  if (item.cancelRequested !== null) bury(state, record, "CANCELLED", next);
  else if (lossCount > item.spec.maxLosses) bury(state, record, "DEAD", next);
  else putBack(state, record, next);
}

/** The worker gives it back unharmed: nothing is charged. */
export function giveBack(state: State, record: WorkRecord): void {
  const { item } = record;
  if (item.cancelRequested !== null) finish(state, record, "CANCELLED", "", null);
  else putBack(state, record, { ...item, attempts: endAttempt(state, item, "released", null) });
}

/** CANCELLED without the worker's word: it had no claim, or let the grace pass. `item` carries the request. */
export function cancelNow(state: State, record: WorkRecord, item: WorkItem): void {
  const attempts = item.claim === null ? item.attempts : endAttempt(state, item, "cancelled", null);
  bury(state, record, "CANCELLED", { ...item, attempts });
}

/** Out of time as a whole: DEAD, whatever attempts are left. */
export function outOfTime(state: State, record: WorkRecord, code: string, message: string): void {
  const { item } = record;
  const error: WorkError = { code, message, retryable: false, cause: "timeout" };
  if (item.claim === null) bury(state, record, "DEAD", { ...item, lastError: error });
  else {
    const attempts = endAttempt(state, item, "timeout", error);
    bury(state, record, "DEAD", { ...item, attempt: item.attempt + 1, attempts, lastError: error });
  }
}

/**
 * `initial · multiplier^(attempt − 1)`, capped; the last `jitter` share of it is spread by a hash of item and attempt,
 * so that all voters agree. Multiplied step by step, since Math.pow is not the same in every version of the engine.
 */
export function backoffMs(backoff: Backoff, workId: string, attempt: number): number {
  let delay = backoff.initialMs;
  for (let step = 1; step < attempt && delay > 0 && delay < backoff.maxMs && backoff.multiplier > 1; step += 1) {
    delay *= backoff.multiplier;
  }
  delay = Math.min(delay, backoff.maxMs);
  return Math.round(delay * (1 - backoff.jitter + backoff.jitter * unitHash(workId, attempt)));
}

function putBack(state: State, record: WorkRecord, next: WorkItem): void {
  putWork(state, record, {
    ...next,
    state: "PENDING",
    claim: null,
    progress: null,
    modRevision: state.revision,
    version: next.version + 1,
  });
}

function bury(state: State, record: WorkRecord, to: "DEAD" | "CANCELLED", next: WorkItem): void {
  putWork(state, record, {
    ...next,
    state: to,
    claim: null,
    finishedAtMs: state.now,
    modRevision: state.revision,
    version: next.version + 1,
  });
}

function endAttempt(state: State, item: WorkItem, outcome: Attempt["outcome"], error: WorkError | null): readonly Attempt[] {
  const { claim } = item;
  if (claim === null) return item.attempts;
  const ended: Attempt = {
    attempt: item.attempt + 1,
    workerId: claim.workerId,
    nodeId: claim.nodeId,
    fencingToken: claim.fencingToken,
    claimedAtMs: claim.claimedAtMs,
    endedAtMs: state.now as ClusterTimeMs,
    outcome,
    error,
  };
  const kept =
    item.attempts.length < fixedLimits.attemptsKept ? item.attempts : item.attempts.slice(1 - fixedLimits.attemptsKept);
  return [...kept, ended];
}
