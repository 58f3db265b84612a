import {
  JobId,
  NodeId,
  type Outcome,
  type Revision,
  type Sequence,
  SessionId,
  WorkId,
  accepted,
  assertNever,
  refusal,
  refused,
} from "#kernel";
import type { Command, Guard, Operation } from "#statemachine";
import type { Command as CommandMessage } from "#gen/ringraft/v1/command.js";
import type { SubmitJobRequest } from "#gen/ringraft/v1/job.js";
import type { AcquireLockRequest } from "#gen/ringraft/v1/lock.js";
import type { CommitVersionRequest, RegisterVersionRequest, SetAliasRequest } from "#gen/ringraft/v1/model.js";
import type { Guard as GuardMessage } from "#gen/ringraft/v1/refusal.js";
import type { OpenSessionRequest } from "#gen/ringraft/v1/session.js";
import type { ClaimRequest, CompleteRequest } from "#gen/ringraft/v1/work.js";
import {
  FieldRefused,
  count,
  duration,
  invalid,
  name,
  notDoneYet,
  numbers,
  optionalName,
  payload,
  range,
  text,
  texts,
  token,
} from "./checks.ts";
import { type Envelope, readEnvelope, readOperation } from "./envelope.ts";
import { codecLimits, commandDefaults } from "./limits.ts";
import { decodeNodeOperation } from "./nodes.ts";
import { WireError } from "./wire-reader.ts";
import { decodeCapabilities, decodeProgress, decodeWorkError, decodeWorkSpec } from "./work-spec.ts";

export interface DecodedCommand {
  readonly command: Command;
  /** `ClaimRequest.wait_ms`: how long the replica may hold an empty claim. The state machine never sees it; 0 for all others. */
  readonly waitMs: number;
}

/**
 * One encoded `ringraft.v1.Command` → the state machine's command, every default filled in. Total and deterministic, because
 * voters decode log entries with it as well: bad bytes, a missing or impossible field (INVALID_ARGUMENT) and a field that
 * this version does not do (UNIMPLEMENTED) are refused by name.
 *
 * `renew_sessions` and `advance_clock` decode here; a door keeps them out with {@link admitCommand}.
 */
export function decodeCommand(bytes: Uint8Array): Outcome<DecodedCommand> {
  try {
    return accepted(commandOf(readEnvelope(bytes)));
  } catch (error) {
    return refused(refusalOf(error, "command"));
  }
}

/** What a caller gets for an error thrown while its request was decoded. */
export function refusalOf(error: unknown, what: string): ReturnType<typeof refusal> {
  if (error instanceof FieldRefused) return error.refusal;
  if (error instanceof WireError) return refusal("INVALID_ARGUMENT", `the ${what} cannot be read: ${error.message}`);
  // The generated code's own complaint about a map entry, and a stack that nested messages have filled.
  if (error instanceof Error) return refusal("INVALID_ARGUMENT", `the ${what} cannot be read`);
  throw error;
}

function commandOf(envelope: Envelope): DecodedCommand {
  const { sessionId, sequence, firstUnackedSequence } = envelope;
  optionalName(sessionId, "", "session_id");
  if (sessionId === "" && sequence !== 0) throw invalid("", "session_id", "is required with a sequence");
  if (sessionId !== "" && sequence === 0) throw invalid("", "sequence", "is required with a session_id, from 1");
  if (firstUnackedSequence > sequence) {
    throw invalid("", "first_unacked_sequence", `${firstUnackedSequence} is above the sequence ${sequence}`);
  }
  const operation = readOperation(envelope);
  return {
    command: {
      sessionId: sessionId === "" ? null : SessionId(sessionId),
      sequence: sessionId === "" ? null : (sequence as Sequence),
      firstUnackedSequence: firstUnackedSequence as Sequence,
      operation: operationOf(operation, sessionId),
    },
    waitMs: operation.oneofKind === "claimWork" ? waitOf(operation.claimWork) : 0,
  };
}

function operationOf(message: CommandMessage["operation"], session: string): Operation {
  switch (message.oneofKind) {
    case "openSession":
      return openSession(message.openSession);
    case "closeSession":
      checkOwnSession(message.closeSession.sessionId, session);
      return { kind: "closeSession" };
    case "renewSessions":
    case "advanceClock":
      return leaderOperation(message);
    case "enqueueWork":
    case "claimWork":
    case "startWork":
    case "progressWork":
    case "completeWork":
    case "releaseWork":
    case "cancelWork":
    case "requeueWork":
      return workOperation(message);
    case "submitJob":
      return submitJob(message.submitJob);
    case "cancelJob":
      return { kind: "cancelJob", jobId: JobId(name(message.cancelJob.jobId, "", "job_id")), ...reasonOf(message.cancelJob) };
    case "registerVersion":
      return registerVersion(message.registerVersion);
    case "commitVersion":
      return commitVersion(message.commitVersion);
    case "setAlias":
      return setAlias(message.setAlias);
    case "acquireLock":
      return acquireLock(message.acquireLock);
    case "releaseLock": {
      const { releaseLock } = message;
      return {
        kind: "releaseLock",
        name: name(releaseLock.name, "", "name"),
        fencingToken: token(releaseLock.fencingToken, "", "fencing_token"),
      };
    }
    case "forceReleaseLock":
      return {
        kind: "forceReleaseLock",
        name: name(message.forceReleaseLock.name, "", "name"),
        ...reasonOf(message.forceReleaseLock),
      };
    case "cancelAcquire":
      return { kind: "cancelAcquire", name: name(message.cancelAcquire.name, "", "name") };
    case "setNodeScheduling":
    case "forgetNode":
    case "readmitNode":
    case "nodeDown":
    case "nodeUp":
    case "partitionSuspected":
    case "partitionHealed":
    case "raiseFeatureLevel":
      return decodeNodeOperation(message);
    case undefined:
      throw invalid("", "operation", "is required");
    default:
      return assertNever(message, "operation");
  }
}

type Asked<Kind extends string> = Extract<CommandMessage["operation"], { oneofKind: Kind }>;

function workOperation(
  message: Asked<
    "enqueueWork" | "claimWork" | "startWork" | "progressWork" | "completeWork" | "releaseWork" | "cancelWork" | "requeueWork"
  >,
): Operation {
  switch (message.oneofKind) {
    case "enqueueWork":
      if (message.enqueueWork.spec === undefined) throw invalid("", "spec", "is required");
      return { kind: "enqueueWork", spec: decodeWorkSpec(message.enqueueWork.spec, "spec.") };
    case "claimWork":
      return claimWork(message.claimWork);
    case "startWork":
      return { kind: "startWork", ...claimed(message.startWork) };
    case "progressWork":
      if (message.progressWork.progress === undefined) throw invalid("", "progress", "is required");
      return {
        kind: "progressWork",
        workId: workId(message.progressWork.workId),
        fencingToken: token(message.progressWork.fencingToken, "", "fencing_token"),
        progress: decodeProgress(message.progressWork.progress, "progress."),
      };
    case "completeWork":
      return completeWork(message.completeWork);
    case "releaseWork":
      return { kind: "releaseWork", ...claimed(message.releaseWork), reason: text(message.releaseWork.reason, "", "reason") };
    case "cancelWork":
      return { kind: "cancelWork", workId: workId(message.cancelWork.workId), ...reasonOf(message.cancelWork) };
    case "requeueWork":
      return { kind: "requeueWork", workId: workId(message.requeueWork.workId) };
    default:
      return assertNever(message, "operation");
  }
}

function leaderOperation(message: Asked<"renewSessions" | "advanceClock">): Operation {
  if (message.oneofKind === "advanceClock") return { kind: "advanceClock" };
  const { sessionIds } = message.renewSessions;
  count(sessionIds.length, 1, codecLimits.maxSessionsPerRenewal, "", "session_ids");
  return { kind: "renewSessions", sessionIds: sessionIds.map((id) => SessionId(name(id, "", "session_ids"))) };
}

function openSession(request: OpenSessionRequest): Operation {
  const { nodeId, incarnation, principal, purpose, ttlMs, capabilities } = request;
  return {
    kind: "openSession",
    nodeId: NodeId(name(nodeId, "", "node_id")),
    incarnation,
    principal: text(principal, "", "principal"),
    purpose: optionalName(purpose, "", "purpose"),
    ttlMs: range(ttlMs || commandDefaults.sessionTtlMs, codecLimits.minTtlMs, codecLimits.maxTtlMs, "", "ttl_ms"),
    capabilities: capabilities === undefined ? null : decodeCapabilities(capabilities),
  };
}

/** Closing ends the session that the command belongs to; another one named here would be silently spared. */
function checkOwnSession(named: string, session: string): void {
  if (session === "") throw invalid("", "session_id", "is required");
  if (named !== "" && named !== session) throw invalid("", "session_id", "of the request is not the session of the command");
}

function claimWork(request: ClaimRequest): Operation {
  const { queues } = request;
  count(queues.length, 0, codecLimits.maxQueuesPerClaim, "", "queues");
  for (const queue of queues) name(queue, "", "queues");
  return {
    kind: "claimWork",
    workerId: name(request.workerId, "", "worker_id"),
    queues: queues.length === 0 ? [commandDefaults.queue] : queues,
    maxItems: range(request.maxItems || commandDefaults.maxClaimItems, 1, codecLimits.maxClaimItems, "", "max_items"),
  };
}

function waitOf(request: ClaimRequest): number {
  return range(request.waitMs, 0, codecLimits.maxClaimWaitMs, "", "wait_ms");
}

function completeWork(request: CompleteRequest): Operation {
  return {
    kind: "completeWork",
    ...claimed(request),
    result: payload(request.result, "", "result"),
    error: request.error === undefined ? null : decodeWorkError(request.error, "error."),
    guards: guardsOf(request.guards),
  };
}

function submitJob(request: SubmitJobRequest): Operation {
  count(request.items.length, 1, codecLimits.maxItemsPerJob, "", "items");
  return {
    kind: "submitJob",
    jobKind: name(request.kind, "", "kind"),
    labels: texts(request.labels, "", "labels"),
    items: request.items.map((spec, i) => decodeWorkSpec(spec, `items[${i}].`)),
    createdBy: optionalName(request.createdBy, "", "created_by"),
  };
}

function registerVersion(request: RegisterVersionRequest): Operation {
  const { workId, fencingToken } = request;
  if (workId === "" && fencingToken !== 0) throw invalid("", "work_id", "is required with a fencing_token");
  return {
    kind: "registerVersion",
    model: name(request.model, "", "model"),
    configKey: optionalName(request.configKey, "", "config_key"),
    description: text(request.description, "", "description"),
    sourceUri: text(request.sourceUri, "", "source_uri"),
    format: optionalName(request.format, "", "format"),
    workId: workId === "" ? null : WorkId(name(workId, "", "work_id")),
    fencingToken: workId === "" ? null : token(fencingToken, "", "fencing_token"),
    parentVersion: request.parentVersion,
    gitCommit: optionalName(request.gitCommit, "", "git_commit"),
    tags: texts(request.tags, "", "tags"),
    guards: guardsOf(request.guards),
  };
}

function commitVersion(request: CommitVersionRequest): Operation {
  if (!/^[0-9a-f]{64}$/.test(request.sha256)) throw invalid("", "sha256", "must be 64 lower-case hexadecimal digits");
  return {
    kind: "commitVersion",
    model: name(request.model, "", "model"),
    number: range(request.number, 1, 0xffff_ffff, "", "number"),
    sha256: request.sha256,
    sizeBytes: request.sizeBytes,
    metrics: numbers(request.metrics, "", "metrics"),
    guards: guardsOf(request.guards),
  };
}

function setAlias(request: SetAliasRequest): Operation {
  notDoneYet(request.gates.length > 0, "", "gates");
  return {
    kind: "setAlias",
    model: name(request.model, "", "model"),
    alias: name(request.alias, "", "alias"),
    version: range(request.version, 1, 0xffff_ffff, "", "version"),
    expectedAliasRevision: (request.expectedAliasRevision ?? null) as Revision | null,
    ...reasonOf(request),
    guards: guardsOf(request.guards),
  };
}

function acquireLock(request: AcquireLockRequest): Operation {
  notDoneYet(request.mode !== "" && request.mode !== "exclusive", "", "mode");
  notDoneYet(request.maxHolders > 1, "", "max_holders");
  return {
    kind: "acquireLock",
    name: name(request.name, "", "name"),
    wait: request.wait,
    waitTimeoutMs: duration(request.waitTimeoutMs, "", "wait_timeout_ms"),
    lockDelayMs: duration(request.lockDelayMs ?? commandDefaults.lockDelayMs, "", "lock_delay_ms"),
    purpose: text(request.purpose, "", "purpose"),
  };
}

function guardsOf(guards: readonly GuardMessage[]): readonly Guard[] {
  if (guards.length === 0) return NO_GUARDS;
  count(guards.length, 0, codecLimits.maxGuards, "", "guards");
  return guards.map((guard, i) => ({
    lock: name(guard.lock, "", `guards[${i}].lock`),
    fencingToken: token(guard.fencingToken, "", `guards[${i}].fencing_token`),
  }));
}

const NO_GUARDS: readonly Guard[] = [];

function workId(id: string): WorkId {
  return WorkId(name(id, "", "work_id"));
}

function claimed(request: { readonly workId: string; readonly fencingToken: number }) {
  return { workId: workId(request.workId), fencingToken: token(request.fencingToken, "", "fencing_token") };
}

function reasonOf(request: { readonly reason: string; readonly by: string }) {
  return { reason: text(request.reason, "", "reason"), by: optionalName(request.by, "", "by") };
}
