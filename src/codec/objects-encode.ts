import { type JobId, type WorkId, assertNever } from "#kernel";
import type {
  Attempt,
  Capabilities,
  Claim,
  Job,
  Lock,
  Model,
  ModelVersion,
  ObjectValue,
  Requirements,
  Resources,
  Session,
  WorkError,
  WorkItem,
  WorkSpec,
} from "#statemachine";
import type { Job as JobMessage } from "#gen/ringraft/v1/job.js";
import type { Lock as LockMessage } from "#gen/ringraft/v1/lock.js";
import type { Model as ModelMessage, ModelVersion as ModelVersionMessage } from "#gen/ringraft/v1/model.js";
import type { Session as SessionMessage } from "#gen/ringraft/v1/session.js";
import type { WatchEvent } from "#gen/ringraft/v1/watch.js";
import type {
  Capabilities as CapabilitiesMessage,
  Claim as ClaimMessage,
  Requirements as RequirementsMessage,
  Resources as ResourcesMessage,
  WorkAttempt,
  WorkError as WorkErrorMessage,
  WorkItem as WorkItemMessage,
  WorkSpec as WorkSpecMessage,
} from "#gen/ringraft/v1/work.js";
import { failureCauses, jobPhases, lockStates, sessionStates, versionStates, workStates } from "./enums.ts";
import { nodeToProto, partitionToProto } from "./nodes.ts";

/** Null in the domain is 0 or "" in the protocol: no time, token or id is ever 0. */
export function workItemToProto(item: WorkItem): WorkItemMessage {
  const { claim, progress, lastError, cancelRequested, attempts } = item;
  const message: WorkItemMessage = {
    workId: item.workId,
    spec: workSpecToProto(item.spec),
    state: workStates.code(item.state),
    attempt: item.attempt,
    lossCount: item.lossCount,
    epoch: item.epoch,
    availableAtMs: item.availableAtMs,
    cancelRequested: cancelRequested !== null,
    cancelReason: cancelRequested?.reason ?? "",
    cancelRequestedAtMs: cancelRequested?.atMs ?? 0,
    cancelRequestedBy: cancelRequested?.by ?? "",
    result: item.result,
    attempts: attempts.length === 0 ? [] : attempts.map(attemptToProto),
    enqueuedAtMs: item.enqueuedAtMs,
    enqueuedWallMs: item.enqueuedWallMs,
    finishedAtMs: item.finishedAtMs ?? 0,
    jobId: item.spec.jobId ?? NO_JOB,
    createRevision: item.createRevision,
    modRevision: item.modRevision,
    version: item.version,
  };
  // Set afterwards, and only when there is something: an optional field of a message is absent, never undefined.
  if (claim !== null) message.claim = claimToProto(claim);
  if (progress !== null) message.progress = progress;
  if (lastError !== null) message.lastError = workErrorToProto(lastError);
  return message;
}

export function workSpecToProto(spec: WorkSpec): WorkSpecMessage {
  const message: WorkSpecMessage = {
    queue: spec.queue,
    kind: spec.kind,
    payload: spec.payload,
    payloadUri: spec.payloadUri,
    priority: spec.priority,
    runAtMs: spec.runAtMs,
    deadlineMs: spec.deadlineMs,
    scheduleToStartTimeoutMs: spec.scheduleToStartTimeoutMs,
    startToCloseTimeoutMs: spec.startToCloseTimeoutMs,
    heartbeatTimeoutMs: spec.heartbeatTimeoutMs,
    maxAttempts: spec.maxAttempts,
    maxLosses: spec.maxLosses,
    backoff: spec.backoff,
    uniqueKey: spec.uniqueKey,
    ttlAfterFinishedMs: spec.ttlAfterFinishedMs,
    createdBy: spec.createdBy,
    dependsOn: NONE,
    onDependencyFailure: "",
    concurrencyKey: "",
    rateKey: "",
    uniqueTtlMs: 0,
    prefers: NONE,
  };
  if (spec.requires !== null) message.requires = requirementsToProto(spec.requires);
  return message;
}

export function jobToProto(job: Job): JobMessage {
  return {
    ...job,
    labels: { ...job.labels },
    counts: { ...job.counts },
    phase: jobPhases.code(job.phase),
    finishedAtMs: job.finishedAtMs ?? 0,
  };
}

export function modelToProto(model: Model): ModelMessage {
  return { ...model, aliases: Object.values(model.aliases), history: [...model.history] };
}

export function modelVersionToProto(version: ModelVersion): ModelVersionMessage {
  return {
    ...version,
    state: versionStates.code(version.state),
    workId: version.workId ?? NO_WORK,
    fencingToken: version.fencingToken ?? 0,
    sessionId: version.sessionId ?? "",
    metrics: { ...version.metrics },
    tags: { ...version.tags },
    committedAtMs: version.committedAtMs ?? 0,
  };
}

export function lockToProto(lock: Lock): LockMessage {
  const { holder, ...rest } = lock;
  const message: LockMessage = {
    ...rest,
    state: lockStates.code(lock.state),
    waiters: [...lock.waiters],
    delayUntilMs: lock.delayUntilMs ?? 0,
  };
  if (holder !== null) message.holder = holder;
  return message;
}

export function sessionToProto(session: Session): SessionMessage {
  const { deadlineMs, capabilities, ...rest } = session;
  const message: SessionMessage = { ...rest, sessionDeadlineMs: deadlineMs, state: sessionStates.code(session.state) };
  if (capabilities !== null) message.capabilities = capabilitiesToProto(capabilities);
  return message;
}

/** The `oneof object` of a watch event. */
export function objectToProto(object: ObjectValue): WatchEvent["object"] {
  switch (object.kind) {
    case "work":
      return { oneofKind: "work", work: workItemToProto(object.value) };
    case "job":
      return { oneofKind: "job", job: jobToProto(object.value) };
    case "model":
      return { oneofKind: "model", model: modelToProto(object.value) };
    case "model_version":
      return { oneofKind: "modelVersion", modelVersion: modelVersionToProto(object.value) };
    case "lock":
      return { oneofKind: "lock", lock: lockToProto(object.value) };
    case "session":
      return { oneofKind: "session", session: sessionToProto(object.value) };
    case "node":
      return { oneofKind: "node", node: nodeToProto(object.value) };
    case "partition":
      return { oneofKind: "partition", partition: partitionToProto(object.value) };
    default:
      return assertNever(object, "object");
  }
}

export function capabilitiesToProto(capabilities: Capabilities): CapabilitiesMessage {
  const { gpuModel, cuda, labels } = capabilities;
  return { resources: resourcesToProto(capabilities), gpuModel, cuda, labels: { ...labels } };
}

export function workErrorToProto(error: WorkError): WorkErrorMessage {
  return { ...error, cause: failureCauses.code(error.cause) };
}

/** Shared by all messages that have none; nobody writes to an encoded list. */
const NONE: never[] = [];
const NO_JOB = "" as JobId;
const NO_WORK = "" as WorkId;

function claimToProto(claim: Claim): ClaimMessage {
  return { ...claim, startedAtMs: claim.startedAtMs ?? 0 };
}

function attemptToProto(attempt: Attempt): WorkAttempt {
  const { error, ...rest } = attempt;
  return error === null ? rest : { ...rest, error: workErrorToProto(error) };
}

function requirementsToProto(requires: Requirements): RequirementsMessage {
  return {
    resources: resourcesToProto(requires),
    gpuModel: [...requires.gpuModels],
    cudaMin: requires.cudaMin,
    labels: requires.labels.map((rule) => ({ ...rule, values: [...rule.values] })),
  };
}

function resourcesToProto(resources: Resources): ResourcesMessage {
  const { gpuCount, gpuMemoryMib, cpu, memoryMib, diskMib } = resources;
  return { gpuCount, gpuMemoryMib, cpu, memoryMib, diskMib };
}
