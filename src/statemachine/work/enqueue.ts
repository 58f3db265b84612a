import { accepted, type Outcome, refused, WorkId } from "#kernel";
import { refuse } from "../check.ts";
import type { WorkItem, WorkSpec } from "../objects.ts";
import type { Reply } from "../reply.ts";
import type { State } from "../state.ts";
import { insertWork } from "./items.ts";
import type { WorkRecord } from "./record.ts";
import { checkSpec } from "./spec.ts";

/** PENDING at the end of the line; or the item that already has this `unique_key`. */
export function enqueueWork(state: State, spec: WorkSpec): Outcome<Reply> {
  const problem = checkSpec("spec", spec, state.limits);
  if (problem !== null) return refused(problem);
  if (spec.uniqueKey !== "") {
    const existing = state.uniqueKeys.get(spec.uniqueKey);
    if (existing !== undefined) return accepted({ kind: "work", item: existing.item, deduplicated: true });
  }
  const full = checkRoom(state, 1);
  if (full !== null) return full;
  const { item } = addWork(state, WorkId(`w-${state.revision}`), spec, -1);
  return accepted({ kind: "work", item, deduplicated: false });
}

/** Quota on items that are not finished. */
export function checkRoom(state: State, more: number): Outcome<never> | null {
  const unfinished = state.workCounts.PENDING + state.workCounts.CLAIMED + state.workCounts.RUNNING;
  if (unfinished + more <= state.limits.maxQueuedItems) return null;
  return refuse(
    "QUOTA_EXCEEDED",
    `${unfinished} items are queued; ${more} more exceed the limit of ${state.limits.maxQueuedItems}`,
  );
}

export function addWork(state: State, workId: WorkId, spec: WorkSpec, ordinal: number): WorkRecord {
  const item: WorkItem = {
    workId,
    spec,
    state: "PENDING",
    attempt: 0,
    lossCount: 0,
    epoch: 0,
    availableAtMs: Math.max(spec.runAtMs, state.wall),
    claim: null,
    progress: null,
    cancelRequested: null,
    result: "",
    lastError: null,
    attempts: noAttempts,
    enqueuedAtMs: state.now,
    enqueuedWallMs: state.wall,
    finishedAtMs: null,
    createRevision: state.revision,
    modRevision: state.revision,
    version: 1,
  };
  const record = insertWork(state, item, ordinal);
  state.emit("work", workId, { kind: "work", value: item });
  return record;
}

const noAttempts: WorkItem["attempts"] = [];
