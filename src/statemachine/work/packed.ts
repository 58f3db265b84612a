import type { WorkId } from "#kernel";
import type { Requirements, WorkItem, WorkSpec } from "../objects.ts";

/**
 * A work item as one string: a JSON array without names. A million items as objects are twenty million cells that the garbage
 * collector must visit; as strings they are a million, and a snapshot writes them out as they are. Control characters cannot
 * occur in it, so it is also one line of a snapshot. New fields go to the end.
 */
export function packWork(item: WorkItem): string {
  const { spec } = item;
  const { backoff } = spec;
  const packed: Packed = [
    item.workId,
    item.createRevision,
    item.modRevision,
    item.version,
    item.state,
    item.attempt,
    item.lossCount,
    item.epoch,
    item.availableAtMs,
    item.claim,
    item.progress,
    item.cancelRequested,
    item.result,
    item.lastError,
    item.attempts,
    item.enqueuedAtMs,
    item.enqueuedWallMs,
    item.finishedAtMs,
    spec.queue,
    spec.kind,
    spec.payload,
    spec.payloadUri,
    spec.priority,
    spec.runAtMs,
    spec.deadlineMs,
    spec.scheduleToStartTimeoutMs,
    spec.startToCloseTimeoutMs,
    spec.heartbeatTimeoutMs,
    spec.maxAttempts,
    spec.maxLosses,
    backoff.initialMs,
    backoff.multiplier,
    backoff.maxMs,
    backoff.jitter,
    spec.uniqueKey,
    spec.requires,
    spec.jobId,
    spec.ttlAfterFinishedMs,
    spec.createdBy,
  ];
  return JSON.stringify(packed);
}

export function unpackWork(text: string): WorkItem {
  const packed = JSON.parse(text) as Packed;
  return {
    workId: packed[0],
    spec: unpackSpec(packed),
    state: packed[4],
    attempt: packed[5],
    lossCount: packed[6],
    epoch: packed[7],
    availableAtMs: packed[8],
    claim: packed[9],
    progress: packed[10],
    cancelRequested: packed[11],
    result: packed[12],
    lastError: packed[13],
    attempts: packed[14],
    enqueuedAtMs: packed[15],
    enqueuedWallMs: packed[16],
    finishedAtMs: packed[17],
    createRevision: packed[1],
    modRevision: packed[2],
    version: packed[3],
  };
}

function unpackSpec(packed: Packed): WorkSpec {
  return {
    queue: packed[18],
    kind: packed[19],
    payload: packed[20],
    payloadUri: packed[21],
    priority: packed[22],
    runAtMs: packed[23],
    deadlineMs: packed[24],
    scheduleToStartTimeoutMs: packed[25],
    startToCloseTimeoutMs: packed[26],
    heartbeatTimeoutMs: packed[27],
    maxAttempts: packed[28],
    maxLosses: packed[29],
    backoff: { initialMs: packed[30], multiplier: packed[31], maxMs: packed[32], jitter: packed[33] },
    uniqueKey: packed[34],
    requires: packed[35],
    jobId: packed[36],
    ttlAfterFinishedMs: packed[37],
    createdBy: packed[38],
  };
}

type Packed = readonly [
  workId: WorkId,
  createRevision: WorkItem["createRevision"],
  modRevision: WorkItem["modRevision"],
  version: number,
  state: WorkItem["state"],
  attempt: number,
  lossCount: number,
  epoch: number,
  availableAtMs: number,
  claim: WorkItem["claim"],
  progress: WorkItem["progress"],
  cancelRequested: WorkItem["cancelRequested"],
  result: string,
  lastError: WorkItem["lastError"],
  attempts: WorkItem["attempts"],
  enqueuedAtMs: WorkItem["enqueuedAtMs"],
  enqueuedWallMs: WorkItem["enqueuedWallMs"],
  finishedAtMs: WorkItem["finishedAtMs"],
  queue: string,
  kind: string,
  payload: string,
  payloadUri: string,
  priority: number,
  runAtMs: number,
  deadlineMs: number,
  scheduleToStartTimeoutMs: number,
  startToCloseTimeoutMs: number,
  heartbeatTimeoutMs: number,
  maxAttempts: number,
  maxLosses: number,
  backoffInitialMs: number,
  backoffMultiplier: number,
  backoffMaxMs: number,
  backoffJitter: number,
  uniqueKey: string,
  requires: Requirements | null,
  jobId: WorkSpec["jobId"],
  ttlAfterFinishedMs: number,
  createdBy: string,
];
