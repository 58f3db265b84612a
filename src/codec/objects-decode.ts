import {
  type ClusterTimeMs,
  type FencingToken,
  JobId,
  NodeId,
  type Revision,
  type Sequence,
  SessionId,
  type WallTimeMs,
  WorkId,
  assertNever,
} from "#kernel";
import type {
  Attempt,
  Claim,
  Job,
  Lock,
  LockHolder,
  LockWaiter,
  Model,
  ModelAlias,
  ModelVersion,
  ObjectValue,
  Session,
  Versioned,
  WorkItem,
  WorkSpec,
  WorkState,
} from "#statemachine";
import type { Job as JobMessage } from "#gen/ringraft/v1/job.js";
import type { LockHolder as HolderMessage, Lock as LockMessage, LockWaiter as WaiterMessage } from "#gen/ringraft/v1/lock.js";
import type {
  ModelAlias as AliasMessage,
  Model as ModelMessage,
  ModelVersion as ModelVersionMessage,
} from "#gen/ringraft/v1/model.js";
import type { Session as SessionMessage } from "#gen/ringraft/v1/session.js";
import type { WatchEvent } from "#gen/ringraft/v1/watch.js";
import type { Claim as ClaimMessage, WorkAttempt, WorkItem as WorkItemMessage } from "#gen/ringraft/v1/work.js";
import { jobPhases, lockStates, sessionStates, versionStates, workStates } from "./enums.ts";
import { nodeFromProto, partitionFromProto } from "./nodes.ts";
import { WireError } from "./wire-reader.ts";
import { decodeCapabilities, decodeProgress, decodeWorkError, decodeWorkSpec } from "./work-spec.ts";

/** Objects as a server of the same or an older version sends them. Throws WireError on values that this version does not know. */
export function workItemFromProto(message: WorkItemMessage): WorkItem {
  const { claim, progress, lastError } = message;
  return {
    workId: WorkId(message.workId),
    spec: specOf(message),
    state: workStates.expect(message.state),
    attempt: message.attempt,
    lossCount: message.lossCount,
    epoch: message.epoch,
    availableAtMs: message.availableAtMs,
    claim: claim === undefined ? null : claimFromProto(claim),
    progress: progress === undefined ? null : decodeProgress(progress, "progress."),
    cancelRequested: message.cancelRequested
      ? { atMs: clusterTime(message.cancelRequestedAtMs), by: message.cancelRequestedBy, reason: message.cancelReason }
      : null,
    result: message.result,
    lastError: lastError === undefined ? null : decodeWorkError(lastError, "last_error."),
    attempts: message.attempts.map(attemptFromProto),
    enqueuedAtMs: clusterTime(message.enqueuedAtMs),
    enqueuedWallMs: message.enqueuedWallMs as WallTimeMs,
    finishedAtMs: optionalTime(message.finishedAtMs),
    ...versioned(message),
  };
}

export function jobFromProto(message: JobMessage): Job {
  const counts: Record<WorkState, number> = { ...noCounts };
  for (const state in noCounts) counts[state as WorkState] = message.counts[state] ?? 0;
  return {
    jobId: JobId(message.jobId),
    kind: message.kind,
    labels: message.labels,
    phase: jobPhases.expect(message.phase),
    counts,
    percent: message.percent,
    createdAtMs: clusterTime(message.createdAtMs),
    createdWallMs: message.createdWallMs as WallTimeMs,
    finishedAtMs: optionalTime(message.finishedAtMs),
    cancelRequested: message.cancelRequested,
    createdBy: message.createdBy,
    ...versioned(message),
  };
}

export function modelFromProto(message: ModelMessage): Model {
  const { name, configKey, description, lastVersion } = message;
  const aliases: Record<string, ModelAlias> = {};
  for (const alias of message.aliases) aliases[alias.alias] = aliasFromProto(alias);
  return {
    name,
    configKey,
    description,
    lastVersion,
    aliases,
    history: message.history.map(aliasFromProto),
    ...versioned(message),
  };
}

export function modelVersionFromProto(message: ModelVersionMessage): ModelVersion {
  const { workId, fencingToken, sessionId } = message;
  return {
    model: message.model,
    number: message.number,
    state: versionStates.expect(message.state),
    sourceUri: message.sourceUri,
    sha256: message.sha256,
    sizeBytes: message.sizeBytes,
    format: message.format,
    workId: workId === "" ? null : WorkId(workId),
    fencingToken: fencingToken === 0 ? null : tokenOf(fencingToken),
    parentVersion: message.parentVersion,
    gitCommit: message.gitCommit,
    metrics: message.metrics,
    tags: message.tags,
    sessionId: sessionId === "" ? null : SessionId(sessionId),
    registeredAtMs: clusterTime(message.registeredAtMs),
    registeredWallMs: message.registeredWallMs as WallTimeMs,
    committedAtMs: optionalTime(message.committedAtMs),
    ...versioned(message),
  };
}

export function lockFromProto(message: LockMessage): Lock {
  return {
    name: message.name,
    state: lockStates.expect(message.state),
    holder: message.holder === undefined ? null : holderFromProto(message.holder),
    waiters: message.waiters.map(waiterFromProto),
    lockDelayMs: message.lockDelayMs,
    delayUntilMs: optionalTime(message.delayUntilMs),
    purpose: message.purpose,
    lastToken: tokenOf(message.lastToken),
    ...versioned(message),
  };
}

export function sessionFromProto(message: SessionMessage): Session {
  const { capabilities } = message;
  return {
    sessionId: SessionId(message.sessionId),
    nodeId: NodeId(message.nodeId),
    incarnation: message.incarnation,
    principal: message.principal,
    purpose: message.purpose,
    state: sessionStates.expect(message.state),
    ttlMs: message.ttlMs,
    deadlineMs: clusterTime(message.sessionDeadlineMs),
    capabilities: capabilities === undefined ? null : decodeCapabilities(capabilities),
    openedAtMs: clusterTime(message.openedAtMs),
    openedWallMs: message.openedWallMs as WallTimeMs,
    ...versioned(message),
  };
}

/** Null when the event carries no object (it was removed). */
export function objectFromProto(object: WatchEvent["object"]): ObjectValue | null {
  switch (object.oneofKind) {
    case "work":
      return { kind: "work", value: workItemFromProto(object.work) };
    case "job":
      return { kind: "job", value: jobFromProto(object.job) };
    case "model":
      return { kind: "model", value: modelFromProto(object.model) };
    case "modelVersion":
      return { kind: "model_version", value: modelVersionFromProto(object.modelVersion) };
    case "lock":
      return { kind: "lock", value: lockFromProto(object.lock) };
    case "session":
      return { kind: "session", value: sessionFromProto(object.session) };
    case "node":
      return { kind: "node", value: nodeFromProto(object.node) };
    case "partition":
      return { kind: "partition", value: partitionFromProto(object.partition) };
    case undefined:
      return null;
    default:
      return assertNever(object, "object");
  }
}

const noCounts = {
  PENDING: 0,
  CLAIMED: 0,
  RUNNING: 0,
  SUCCEEDED: 0,
  FAILED: 0,
  DEAD: 0,
  CANCELLED: 0,
} as const satisfies Record<WorkState, number>;

const outcomes = {
  succeeded: true,
  failed: true,
  lost: true,
  released: true,
  cancelled: true,
  timeout: true,
} as const satisfies Record<Attempt["outcome"], true>;

function specOf(item: WorkItemMessage): WorkSpec {
  if (item.spec === undefined) throw new WireError("a work item has no spec");
  const spec = decodeWorkSpec(item.spec, "spec.");
  return item.jobId === "" ? spec : { ...spec, jobId: JobId(item.jobId) };
}

function claimFromProto(message: ClaimMessage): Claim {
  return {
    workerId: message.workerId,
    nodeId: NodeId(message.nodeId),
    incarnation: message.incarnation,
    sessionId: SessionId(message.sessionId),
    fencingToken: tokenOf(message.fencingToken),
    claimedAtMs: clusterTime(message.claimedAtMs),
    startedAtMs: optionalTime(message.startedAtMs),
    lastHeartbeatAtMs: clusterTime(message.lastHeartbeatAtMs),
  };
}

function attemptFromProto(message: WorkAttempt): Attempt {
  if (!isOutcome(message.outcome)) throw new WireError(`the outcome "${message.outcome}" is not known to this version`);
  return {
    attempt: message.attempt,
    workerId: message.workerId,
    nodeId: NodeId(message.nodeId),
    fencingToken: tokenOf(message.fencingToken),
    claimedAtMs: clusterTime(message.claimedAtMs),
    endedAtMs: clusterTime(message.endedAtMs),
    outcome: message.outcome,
    error: message.error === undefined ? null : decodeWorkError(message.error, "error."),
  };
}

function isOutcome(outcome: string): outcome is Attempt["outcome"] {
  return Object.hasOwn(outcomes, outcome);
}

function aliasFromProto(message: AliasMessage): ModelAlias {
  const { alias, version, revision, reason, setBy, setAtMs, setWallMs } = message;
  return {
    alias,
    version,
    revision: revision as Revision,
    reason,
    setBy,
    setAtMs: clusterTime(setAtMs),
    setWallMs: setWallMs as WallTimeMs,
  };
}

function holderFromProto(message: HolderMessage): LockHolder {
  return {
    sessionId: SessionId(message.sessionId),
    nodeId: NodeId(message.nodeId),
    fencingToken: tokenOf(message.fencingToken),
    acquiredAtMs: clusterTime(message.acquiredAtMs),
  };
}

function waiterFromProto(message: WaiterMessage): LockWaiter {
  return {
    sessionId: SessionId(message.sessionId),
    nodeId: NodeId(message.nodeId),
    sequence: message.sequence as Sequence,
    enqueuedAtMs: clusterTime(message.enqueuedAtMs),
    waitTimeoutMs: message.waitTimeoutMs,
    lockDelayMs: message.lockDelayMs,
    purpose: message.purpose,
  };
}

function versioned(message: {
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
}): Versioned {
  return {
    createRevision: message.createRevision as Revision,
    modRevision: message.modRevision as Revision,
    version: message.version,
  };
}

/** The reader has refused everything that is not a safe integer ≥ 0. */
const clusterTime = (ms: number): ClusterTimeMs => ms as ClusterTimeMs;
const optionalTime = (ms: number): ClusterTimeMs | null => (ms === 0 ? null : clusterTime(ms));
const tokenOf = (index: number): FencingToken => index as FencingToken;
