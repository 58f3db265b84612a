import type { FencingToken, JobId, NodeId, Revision, Sequence, SessionId, WorkId, Incarnation } from "#kernel";
import type { Capabilities, NodeScheduling, Progress, WorkError, WorkSpec } from "./objects.ts";

/**
 * One log entry of kind `command`. With a session the pair (session, sequence) is executed at most once and answered from
 * the reply table ever after; without one (both null) a lost answer leaves the outcome unknown.
 */
export interface Command {
  readonly sessionId: SessionId | null;
  readonly sequence: Sequence | null;
  /** Replies below this are no longer wanted; the table forgets them. */
  readonly firstUnackedSequence: Sequence;
  readonly operation: Operation;
}

/** "This write holds only while lock `lock` is still held under `fencingToken`." Checked in apply. */
export interface Guard {
  readonly lock: string;
  readonly fencingToken: FencingToken;
}

export type Operation =
  // sessions
  | {
      readonly kind: "openSession";
      readonly nodeId: NodeId;
      readonly incarnation: number;
      readonly principal: string;
      readonly purpose: string;
      readonly ttlMs: number;
      readonly capabilities: Capabilities | null;
    }
  | { readonly kind: "renewSessions"; readonly sessionIds: readonly SessionId[] }
  | { readonly kind: "closeSession" }
  /** Carries only time: the leader appends it when a timer is due and no traffic carries the time. */
  | { readonly kind: "advanceClock" }
  // work queue
  | { readonly kind: "enqueueWork"; readonly spec: WorkSpec }
  | { readonly kind: "claimWork"; readonly workerId: string; readonly queues: readonly string[]; readonly maxItems: number }
  | { readonly kind: "startWork"; readonly workId: WorkId; readonly fencingToken: FencingToken }
  | { readonly kind: "progressWork"; readonly workId: WorkId; readonly fencingToken: FencingToken; readonly progress: Progress }
  | {
      readonly kind: "completeWork";
      readonly workId: WorkId;
      readonly fencingToken: FencingToken;
      readonly result: string;
      /** Null = succeeded. */
      readonly error: WorkError | null;
      readonly guards: readonly Guard[];
    }
  | { readonly kind: "releaseWork"; readonly workId: WorkId; readonly fencingToken: FencingToken; readonly reason: string }
  | { readonly kind: "cancelWork"; readonly workId: WorkId; readonly reason: string; readonly by: string }
  | { readonly kind: "requeueWork"; readonly workId: WorkId }
  // jobs
  | {
      readonly kind: "submitJob";
      readonly jobKind: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly items: readonly WorkSpec[];
      readonly createdBy: string;
    }
  | { readonly kind: "cancelJob"; readonly jobId: JobId; readonly reason: string; readonly by: string }
  // model registry
  | {
      readonly kind: "registerVersion";
      readonly model: string;
      readonly configKey: string;
      readonly description: string;
      readonly sourceUri: string;
      readonly format: string;
      readonly workId: WorkId | null;
      readonly fencingToken: FencingToken | null;
      readonly parentVersion: number;
      readonly gitCommit: string;
      readonly tags: Readonly<Record<string, string>>;
      readonly guards: readonly Guard[];
    }
  | {
      readonly kind: "commitVersion";
      readonly model: string;
      readonly number: number;
      readonly sha256: string;
      readonly sizeBytes: number;
      readonly metrics: Readonly<Record<string, number>>;
      readonly guards: readonly Guard[];
    }
  | {
      readonly kind: "setAlias";
      readonly model: string;
      readonly alias: string;
      readonly version: number;
      /** Compare-and-set: the alias's present revision; 0 = must not exist; null = whatever it is. */
      readonly expectedAliasRevision: Revision | null;
      readonly reason: string;
      readonly by: string;
      readonly guards: readonly Guard[];
    }
  // training locks
  | {
      readonly kind: "acquireLock";
      readonly name: string;
      /** False: answer at once, never queue. */
      readonly wait: boolean;
      /** 0 = until the session ends. */
      readonly waitTimeoutMs: number;
      readonly lockDelayMs: number;
      readonly purpose: string;
    }
  | { readonly kind: "releaseLock"; readonly name: string; readonly fencingToken: FencingToken }
  | { readonly kind: "cancelAcquire"; readonly name: string }
  | { readonly kind: "forceReleaseLock"; readonly name: string; readonly reason: string; readonly by: string }
  // nodes, by operators
  | {
      readonly kind: "setNodeScheduling";
      readonly nodeId: NodeId;
      readonly scheduling: NodeScheduling;
      readonly reason: string;
      readonly by: string;
    }
  | {
      readonly kind: "forgetNode";
      readonly nodeId: NodeId;
      /** Above every incarnation that the node is known by. Drawn once, by whoever asks, so that all detectors use the same. */
      readonly barrier: Incarnation;
      readonly reason: string;
      readonly by: string;
    }
  | { readonly kind: "readmitNode"; readonly nodeId: NodeId; readonly reason: string; readonly by: string }
  // nodes, by the leader for a majority of voters
  | {
      readonly kind: "nodeDown";
      readonly nodeId: NodeId;
      readonly incarnation: Incarnation;
      readonly observedBy: readonly NodeId[];
    }
  | {
      readonly kind: "nodeUp";
      readonly nodeId: NodeId;
      readonly incarnation: Incarnation;
      readonly observedBy: readonly NodeId[];
    }
  | { readonly kind: "partitionSuspected"; readonly lost: readonly NodeId[]; readonly observedBy: readonly NodeId[] }
  | { readonly kind: "partitionHealed"; readonly observedBy: readonly NodeId[] }
  /** Switches on what newer versions do differently, once every voter runs a version that can. */
  | { readonly kind: "raiseFeatureLevel"; readonly level: number };

export type OperationKind = Operation["kind"];
