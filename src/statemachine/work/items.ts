import { invariant } from "#kernel";
import { Heap } from "../heap.ts";
import { trackJobItem } from "../jobs/progress.ts";
import type { Requirements, WorkItem, WorkState } from "../objects.ts";
import { type MutableResources, noWork, type Queue, type RequirementClass, type State, type WorkCounts } from "../state.ts";
import { arm, earlier, newTimer } from "../timers.ts";
import { comparePlaces, WorkRecord, WorkVersion } from "./record.ts";

/** Adds a new item (`ordinal` −1: alone in its entry), or one from a snapshot, in the form in which it stood there. */
export function insertWork(state: State, item: WorkItem, ordinal: number, packed: string | null = null): WorkRecord {
  const queue = queueOf(state, item.spec.queue);
  const record = new WorkRecord(new WorkVersion(item, ordinal, queue.name, packed));
  state.work.insert(record);
  state.digest.addHash(record.version);
  count(state, queue, item.state, 1);
  if (item.spec.uniqueKey !== "" && !isTerminal(item.state)) state.uniqueKeys.set(item.spec.uniqueKey, record);
  if (item.claim !== null) reserve(state, record, item);
  if (item.state === "PENDING") shelve(state, record, item.spec.requires);
  trackJobItem(state, record, item, null);
  armWork(state, record, item);
  return record;
}

/** Replaces an item by its next version and brings every index along. */
export function putWork(state: State, record: WorkRecord, next: WorkItem): void {
  const previous = record.item;
  const { queue, ordinal } = record.version;
  if (previous.claim !== null && previous.claim.fencingToken !== next.claim?.fencingToken) unreserve(state, record, previous);
  if (record.heap !== null) unshelve(state, record);
  state.digest.removeHash(record.version);
  state.work.replace(record, new WorkVersion(next, ordinal, queue, null));
  state.digest.addHash(record.version);
  if (previous.state !== next.state) {
    const queue = queueOf(state, next.spec.queue);
    count(state, queue, previous.state, -1);
    count(state, queue, next.state, 1);
    if (next.spec.uniqueKey !== "") moveUniqueKey(state, record, next.spec.uniqueKey, previous.state);
  }
  if (next.claim !== null && next.claim.fencingToken !== previous.claim?.fencingToken) reserve(state, record, next);
  if (next.state === "PENDING") shelve(state, record, next.spec.requires);
  trackJobItem(state, record, next, previous);
  armWork(state, record, next);
  state.emit("work", next.workId, { kind: "work", value: next });
}

/** Forgets a terminal item. */
export function removeWork(state: State, record: WorkRecord): void {
  const { item } = record;
  invariant(isTerminal(item.state), `${item.workId} is removed in state ${item.state}`);
  state.digest.removeHash(record.version);
  state.work.remove(record);
  const queue = queueOf(state, item.spec.queue);
  count(state, queue, item.state, -1);
  if (total(queue.counts) === 0) state.queues.delete(queue.name);
  if (record.timer !== null) arm(state.objectTimers, record.timer, null);
  if (item.spec.jobId !== null) {
    const job = state.jobs.get(item.spec.jobId);
    job?.items.delete(record);
    if (job !== undefined) state.touchedJobs.add(job);
  }
  state.emit("work", item.workId, null);
}

export function isTerminal(state: WorkState): boolean {
  return state !== "PENDING" && state !== "CLAIMED" && state !== "RUNNING";
}

/** Items whose time has come join their queues. No object changes, so there is nothing to cap or to announce. */
export function promoteScheduled(state: State): void {
  for (;;) {
    const record = state.scheduled.peek();
    if (record === undefined || record.version.availableAtMs > state.wall) return;
    state.scheduled.remove(record);
    shelve(state, record, record.item.spec.requires);
  }
}

/**
 * When this item must act next, on the replicated clock. `run_at_ms` and retry back-off are the exception: they are
 * wall time, and stand in `State.scheduled`.
 */
function workDeadline(state: State, item: WorkItem): number | null {
  const { spec } = item;
  if (item.finishedAtMs !== null) return spec.ttlAfterFinishedMs === 0 ? null : item.finishedAtMs + spec.ttlAfterFinishedMs;
  let deadline = spec.deadlineMs === 0 ? null : item.enqueuedAtMs + spec.deadlineMs;
  if (spec.scheduleToStartTimeoutMs !== 0 && awaitsFirstStart(item)) {
    deadline = earlier(deadline, item.enqueuedAtMs + spec.scheduleToStartTimeoutMs);
  }
  if (item.claim === null) return deadline;
  if (spec.heartbeatTimeoutMs !== 0) deadline = earlier(deadline, item.claim.lastHeartbeatAtMs + spec.heartbeatTimeoutMs);
  if (spec.startToCloseTimeoutMs !== 0 && item.claim.startedAtMs !== null) {
    deadline = earlier(deadline, item.claim.startedAtMs + spec.startToCloseTimeoutMs);
  }
  if (item.cancelRequested !== null) deadline = earlier(deadline, item.cancelRequested.atMs + state.limits.cancelGraceMs);
  return deadline;
}

/** Still in line for its first attempt: what the schedule-to-start timeout is about. */
export function awaitsFirstStart(item: WorkItem): boolean {
  return item.state === "PENDING" && item.attempt === 0 && item.lossCount === 0;
}

function armWork(state: State, record: WorkRecord, item: WorkItem): void {
  const deadline = workDeadline(state, item);
  if (record.timer === null) {
    if (deadline === null) return;
    record.timer = newTimer("work", item.workId);
  }
  arm(state.objectTimers, record.timer, deadline);
}

function moveUniqueKey(state: State, record: WorkRecord, uniqueKey: string, from: WorkState): void {
  if (isTerminal(record.version.state)) state.uniqueKeys.delete(uniqueKey);
  else if (isTerminal(from)) state.uniqueKeys.set(uniqueKey, record);
}

// ── ready and scheduled ─────────────────────────────────────────────────────────────────────────────────────────────

function shelve(state: State, record: WorkRecord, requires: Requirements | null): void {
  if (record.version.availableAtMs > state.wall) {
    record.heap = state.scheduled;
  } else {
    record.requirementClass = classOf(queueOf(state, record.version.queue), requires);
    record.heap = record.requirementClass.ready;
  }
  record.heap.push(record);
}

function unshelve(state: State, record: WorkRecord): void {
  record.heap?.remove(record);
  record.heap = null;
  const emptied = record.requirementClass;
  if (emptied !== null && emptied.ready.size === 0) queueOf(state, record.version.queue).classes.delete(emptied.key);
  record.requirementClass = null;
}

function classOf(queue: Queue, requires: Requirements | null): RequirementClass {
  const key = requires === null ? "" : JSON.stringify(requires);
  const existing = queue.classes.get(key);
  if (existing !== undefined) return existing;
  const made: RequirementClass = { key, requires, ready: new Heap<WorkRecord>(claimedBefore) };
  queue.classes.set(key, made);
  return made;
}

/** The order of claims: priority, then the time since which it is available, then age. */
export function claimedBefore({ version: a }: WorkRecord, { version: b }: WorkRecord): boolean {
  if (a.priority !== b.priority) return a.priority > b.priority;
  if (a.availableAtMs !== b.availableAtMs) return a.availableAtMs < b.availableAtMs;
  return comparePlaces(a, b) < 0;
}

// ── counts ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function queueOf(state: State, name: string): Queue {
  const existing = state.queues.get(name);
  if (existing !== undefined) return existing;
  const made: Queue = { name, counts: noWork(), classes: new Map() };
  state.queues.set(name, made);
  return made;
}

function count(state: State, queue: Queue, of: WorkState, by: 1 | -1): void {
  queue.counts[of] += by;
  state.workCounts[of] += by;
}

function total(counts: WorkCounts): number {
  return counts.PENDING + counts.CLAIMED + counts.RUNNING + counts.SUCCEEDED + counts.FAILED + counts.DEAD + counts.CANCELLED;
}

// ── reservations ────────────────────────────────────────────────────────────────────────────────────────────────────

function reserve(state: State, record: WorkRecord, item: WorkItem): void {
  const session = state.sessions.get(item.claim!.sessionId);
  invariant(session !== undefined, `${item.workId} is claimed by ${item.claim!.sessionId}, which is not there`);
  session.claims.add(record);
  addResources(session.reserved, item.spec.requires, 1);
}

function unreserve(state: State, record: WorkRecord, previous: WorkItem): void {
  const session = state.sessions.get(previous.claim!.sessionId);
  if (session === undefined) return;
  session.claims.delete(record);
  addResources(session.reserved, previous.spec.requires, -1);
}

function addResources(sum: MutableResources, needs: Requirements | null, sign: 1 | -1): void {
  if (needs === null) return;
  sum.gpuCount += sign * needs.gpuCount;
  sum.gpuMemoryMib += sign * needs.gpuMemoryMib;
  sum.cpu += sign * needs.cpu;
  sum.memoryMib += sign * needs.memoryMib;
  sum.diskMib += sign * needs.diskMib;
}
