import type { LogIndex, NodeId, SessionId } from "#kernel";
import type { RaftCore } from "#consensus";
import type { BatchId, Entry, HardState, Input, Message, RaftStatus, Ready } from "#raft";
import type { WatchOutput, WatchSpec } from "#replica";
import type { Operation } from "./history.ts";

/**
 * What the simulated world tells its checkers, synchronously and in simulated order. The world knows more than any node: an
 * observer outlives crashes, so what a node forgets is not forgotten here. An observer only looks; it throws nothing and
 * reports by {@link Report}.
 */
export interface Observer {
  /** A process came up on what its disk gave it; `life` counts them per node from 1. `status` is the recovered state. */
  started?(node: NodeId, life: number, status: RaftStatus, log: RecoveredLog): void;
  /** The process is gone: crash, fatal error, or wiped. `why` is null for a crash that the world injected. */
  stopped?(node: NodeId, why: Error | null): void;
  /** One input went into the core; `status` is the state after it. Called before anything that follows from it happens. */
  stepped?(node: NodeId, input: ObservedStep, status: RaftStatus): void;
  /** What the core asks its shell to do, before the shell does any of it. */
  drained?(node: NodeId, ready: Ready, status: RaftStatus): void;
  /** This batch has been reported durable to the core. Whether it really is: {@link DurableLogs}. */
  persisted?(node: NodeId, batch: BatchId, hardState: HardState | null, entries: readonly Entry[]): void;
  /** A message has left the node for the network (whatever becomes of it there). */
  sent?(from: NodeId, to: NodeId, message: Message): void;
  /** Committed entries are handed to the state machine of this node. */
  committed?(node: NodeId, entries: readonly Entry[]): void;
  /** Applied on this node up to `index`. `digest` of the whole state is computed only when it is asked for. */
  applied?(node: NodeId, index: LogIndex, digest: () => string): void;
  /** The node replaced its state by a snapshot. */
  restored?(node: NodeId, index: LogIndex, digest: () => string): void;
  /** A client operation has begun, or has ended (its `outcome` is set now). */
  invoked?(operation: Operation): void;
  returned?(operation: Operation): void;
  /** A client may rely on its session until `certainUntilMs`; called at every renewal that was answered. */
  leased?(session: SessionId, certainUntilMs: number): void;
  /** A client has opened a stream of a watch (a new one when it resumes), got something from it, or has lost it. */
  watching?(stream: WatchStream): void;
  watched?(stream: WatchStream, output: WatchOutput): void;
  /** The world has hurt this disk on purpose: what is on it may be gone or wrong, or the process may have to refuse to start. */
  diskFault?(node: NodeId, fault: DiskFault): void;
  /** All faults are over: from here on liveness is owed. */
  healed?(): void;
  /** The run has ended, everything is quiet. */
  ended?(): void;
}

/** An input, or one of the core's synchronous calls. */
export type ObservedStep =
  | Input
  | { readonly kind: "propose"; readonly commands: number }
  | { readonly kind: "changeMembership" | "transferLeadership" };

/** The log that a life begins with, to be asked while `started` runs. */
export type RecoveredLog = Pick<RaftCore, "termAt" | "configurationAt">;

/** Faults that may cost a node its data or its start. A crash that drops or tears what was never synced is none of them. */
export type DiskFault = "wiped" | "rot" | "misdirected" | "end damaged" | "EIO" | "ENOSPC" | "fsync failed";

/** Whether what was durable may be gone. A disk that refuses to write more has lost nothing. */
export function losesData(fault: DiskFault): boolean {
  return fault === "wiped" || fault === "rot" || fault === "misdirected" || fault === "end damaged";
}

/** One stream of a watch. Streams with the same `watch` are one watch that was resumed. */
export interface WatchStream {
  readonly watch: number;
  readonly node: NodeId;
  readonly spec: WatchSpec;
}

/** The first report ends the run. `checker` is the stable name of the property, `problem` says what was seen. */
export type Report = (checker: string, problem: string) => void;

/** What the disks would still hold if every machine lost power now: read from the simulated platters, not from the nodes. */
export interface DurableLogs {
  /** The term of the entry at `index` in the durable log of `node`; "snapshot" when a durable snapshot covers it; null when absent. */
  termAt(node: NodeId, index: LogIndex): number | "snapshot" | null;
}

/** The world as a checker may look at it. */
export interface WorldView {
  readonly nowMs: number;
  readonly nodes: readonly NodeId[];
  /** The base of the randomized election timeout, on a clock that neither drifts nor stands. */
  readonly electionMs: number;
  isUp(node: NodeId): boolean;
  /** Null while the node is down. */
  status(node: NodeId): RaftStatus | null;
  readonly durable: DurableLogs;
  /** Adds one to a sometimes-counter; see `counters.ts`. */
  count(name: string): void;
}
