import { assertNever } from "#kernel";
import type { Command, Guard, Operation, OperationKind, WorkSpec } from "#statemachine";
import { Command as CommandMessage } from "#gen/ringraft/v1/command.js";
import { commandDefaults } from "./limits.ts";
import { capabilitiesToProto, workErrorToProto, workSpecToProto } from "./objects-encode.ts";
import { nodeOperationToProto } from "./nodes.ts";
import { writeProgressReport } from "./progress-report.ts";
import { WireWriter } from "./wire-writer.ts";
import { writeOptions } from "./wire.ts";

/**
 * The bytes of one command: what the client sends is what the log keeps. `waitMs` belongs to a claim and is ignored elsewhere.
 * Does not check limits; the decoder does.
 */
export function encodeCommand(command: Command, waitMs = 0): Uint8Array {
  writer.reset();
  if (command.operation.kind === "progressWork") writeProgressReport(writer, command, command.operation);
  else CommandMessage.internalBinaryWrite(commandToProto(command, waitMs), writer, writeOptions);
  return writer.finishShared();
}

function commandToProto(command: Command, waitMs: number): CommandMessage {
  return {
    sessionId: command.sessionId ?? "",
    sequence: command.sequence ?? 0,
    firstUnackedSequence: command.firstUnackedSequence,
    operation: operationToProto(command.operation, waitMs),
  };
}

const writer = new WireWriter();

/** A partial spec with the server's defaults filled in, for a caller that gives little more than a kind. */
export function completeWorkSpec(
  spec: Partial<Omit<WorkSpec, "backoff">> & { readonly kind: string; readonly backoff?: Partial<WorkSpec["backoff"]> },
): WorkSpec {
  return { ...emptySpec, ...spec, backoff: { ...commandDefaults.backoff, ...spec.backoff } };
}

const emptySpec: Omit<WorkSpec, "kind" | "backoff"> = {
  queue: commandDefaults.queue,
  payload: "",
  payloadUri: "",
  priority: 0,
  runAtMs: 0,
  deadlineMs: 0,
  scheduleToStartTimeoutMs: 0,
  startToCloseTimeoutMs: 0,
  heartbeatTimeoutMs: 0,
  maxAttempts: commandDefaults.maxAttempts,
  maxLosses: commandDefaults.maxLosses,
  uniqueKey: "",
  requires: null,
  jobId: null,
  ttlAfterFinishedMs: 0,
  createdBy: "",
};

function operationToProto(operation: Operation, waitMs: number): CommandMessage["operation"] {
  switch (operation.kind) {
    case "openSession":
    case "renewSessions":
    case "closeSession":
    case "advanceClock":
      return sessionOperation(operation);
    case "enqueueWork":
    case "claimWork":
    case "startWork":
    case "progressWork":
    case "completeWork":
    case "releaseWork":
    case "cancelWork":
    case "requeueWork":
      return workOperation(operation, waitMs);
    case "submitJob": {
      const { jobKind, labels, items, createdBy } = operation;
      return {
        oneofKind: "submitJob",
        submitJob: { kind: jobKind, labels: { ...labels }, items: items.map(workSpecToProto), createdBy },
      };
    }
    case "cancelJob":
      return { oneofKind: "cancelJob", cancelJob: operation };
    case "registerVersion":
    case "commitVersion":
    case "setAlias":
      return modelOperation(operation);
    case "acquireLock":
      return { oneofKind: "acquireLock", acquireLock: { ...operation, mode: "", maxHolders: 0 } };
    case "releaseLock":
      return { oneofKind: "releaseLock", releaseLock: operation };
    case "cancelAcquire":
      return { oneofKind: "cancelAcquire", cancelAcquire: operation };
    case "forceReleaseLock":
      return { oneofKind: "forceReleaseLock", forceReleaseLock: operation };
    case "setNodeScheduling":
    case "forgetNode":
    case "readmitNode":
    case "nodeDown":
    case "nodeUp":
    case "partitionSuspected":
    case "partitionHealed":
    case "raiseFeatureLevel":
      return nodeOperationToProto(operation);
    default:
      return assertNever(operation, "operation");
  }
}

type Given<Kind extends OperationKind> = Extract<Operation, { kind: Kind }>;

function sessionOperation(
  operation: Given<"openSession" | "renewSessions" | "closeSession" | "advanceClock">,
): CommandMessage["operation"] {
  switch (operation.kind) {
    case "openSession": {
      const { capabilities, ...session } = operation;
      return {
        oneofKind: "openSession",
        openSession: capabilities === null ? session : { ...session, capabilities: capabilitiesToProto(capabilities) },
      };
    }
    case "renewSessions":
      return { oneofKind: "renewSessions", renewSessions: { sessionIds: [...operation.sessionIds] } };
    case "closeSession":
      return { oneofKind: "closeSession", closeSession: { sessionId: "" } };
    case "advanceClock":
      return { oneofKind: "advanceClock", advanceClock: {} };
    default:
      return assertNever(operation, "operation");
  }
}

function workOperation(
  operation: Given<
    "enqueueWork" | "claimWork" | "startWork" | "progressWork" | "completeWork" | "releaseWork" | "cancelWork" | "requeueWork"
  >,
  waitMs: number,
): CommandMessage["operation"] {
  switch (operation.kind) {
    case "enqueueWork":
      return { oneofKind: "enqueueWork", enqueueWork: { spec: workSpecToProto(operation.spec) } };
    case "claimWork": {
      const { workerId, queues, maxItems } = operation;
      return { oneofKind: "claimWork", claimWork: { workerId, queues: [...queues], maxItems, waitMs } };
    }
    case "startWork":
      return { oneofKind: "startWork", startWork: operation };
    case "progressWork":
      return { oneofKind: "progressWork", progressWork: operation };
    case "completeWork": {
      const { workId, fencingToken, result, error } = operation;
      const completeWork = { workId, fencingToken, result, guards: guardMessages(operation.guards) };
      return {
        oneofKind: "completeWork",
        completeWork: error === null ? completeWork : { ...completeWork, error: workErrorToProto(error) },
      };
    }
    case "releaseWork":
      return { oneofKind: "releaseWork", releaseWork: operation };
    case "cancelWork":
      return { oneofKind: "cancelWork", cancelWork: operation };
    case "requeueWork":
      return { oneofKind: "requeueWork", requeueWork: operation };
    default:
      return assertNever(operation, "operation");
  }
}

function modelOperation(operation: Given<"registerVersion" | "commitVersion" | "setAlias">): CommandMessage["operation"] {
  const guards = guardMessages(operation.guards);
  switch (operation.kind) {
    case "registerVersion": {
      const { workId, fencingToken, tags } = operation;
      return {
        oneofKind: "registerVersion",
        registerVersion: {
          ...operation,
          workId: workId ?? "",
          fencingToken: fencingToken ?? 0,
          tags: { ...tags },
          guards,
        },
      };
    }
    case "commitVersion":
      return { oneofKind: "commitVersion", commitVersion: { ...operation, metrics: { ...operation.metrics }, guards } };
    case "setAlias": {
      const { expectedAliasRevision, ...alias } = operation;
      const message = { ...alias, guards, gates: [] };
      return {
        oneofKind: "setAlias",
        setAlias: expectedAliasRevision === null ? message : { ...message, expectedAliasRevision },
      };
    }
    default:
      return assertNever(operation, "operation");
  }
}

function guardMessages(guards: readonly Guard[]): Guard[] {
  return [...guards];
}
