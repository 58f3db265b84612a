import type { ClusterTimeMs, LogIndex, NodeId, Outcome, Refusal, Revision, SessionId, Term } from "#kernel";
import type { Decision, Event, ObjectKind, ObjectValue, Reader } from "#statemachine";
import type { Configuration, MembershipChange } from "#raft";
import type { EngineStatus } from "#consensus";
import type { Divergence } from "./digest-watch.ts";

/**
 * The replicated state as the doors see it. Everything in and out is a domain value or encoded command bytes; the doors
 * decode, check, hand on, encode, and decide nothing.
 */
export interface Replica {
  /**
   * Submits one encoded `ringraft.v1.Command`. `respond` is called exactly once, maybe before this returns.
   * Claims with `waitMs` and waiting lock acquires are parked on the leader and answered when there is something to say.
   */
  submit(request: SubmitRequest, respond: (answer: Answer) => void): void;
  /** Stop waiting for a parked request (the caller went away). Harmless when it was answered. */
  abandon(request: SubmitRequest): void;
  /** Coalesced: one RenewSessions entry per renew interval. */
  renewSession(
    session: SessionId,
    respond: (answer: Outcome<{ readonly revision: Revision; readonly ttlMs: number }>) => void,
  ): void;
  /** Runs `query` on the applied state once it is fresh enough. */
  read<T>(
    freshness: Freshness,
    query: (reader: Reader) => T,
  ): Promise<Outcome<{ readonly value: T; readonly revision: Revision }>>;
  /** Starts a watch; `sink.push` may be called before this returns. Returns a cancel function. */
  watch(request: WatchSpec, sink: WatchSink): () => void;
  leader(): { readonly id: NodeId | null; readonly term: Term; readonly isSelf: boolean };
  readonly appliedIndex: LogIndex;
}

/** What operators may do to the cluster itself; the leader alone does it, others refuse with NOT_LEADER and its name. */
export interface Administration {
  /** As {@link Engine.reconfigure}: resolves when the change is done. */
  reconfigure(change: MembershipChange): Promise<Outcome<Configuration>>;
  /** As {@link Engine.transferLeadership}; resolves with the new leader. */
  transferLeadership(to: NodeId | null): Promise<Outcome<NodeId>>;
  /** Stands for election here, at once. BAD_STATE while a leader is known: a healthy one is not deposed by a question. */
  campaign(): Outcome<null>;
  /** Resolves with the index of a durable snapshot of everything applied here by now; BAD_STATE while one is being saved. */
  saveSnapshot(): Promise<Outcome<LogIndex>>;
}

/** For `/status`, metrics and people. */
export interface ReplicaStatus {
  readonly appliedIndex: LogIndex;
  readonly clusterTimeMs: ClusterTimeMs;
  readonly snapshotIndex: LogIndex;
  /** Fingerprint of the state at the last index that is a multiple of 1,000: voters compare theirs. */
  readonly digest: { readonly index: LogIndex; readonly value: string } | null;
  /** Voters whose states differ; null while all agree. */
  readonly divergence: Divergence | null;
  /** This node is the one that differs: it does not lead, answers no reads and saves no snapshots. */
  readonly quarantined: boolean;
  readonly inFlight: number;
  readonly parkedClaims: number;
  readonly parkedLocks: number;
  readonly watches: number;
  /** Snapshots that could not be saved since the start. */
  readonly snapshotFailures: number;
  /** Entries that this node has proposed, as a leader, only to let time pass. */
  readonly clockEntries: number;
  readonly counts: ReturnType<Reader["counts"]>;
  readonly engine: EngineStatus;
}

export interface SubmitRequest {
  readonly command: Uint8Array;
  /** The caller's authenticated name; replaces whatever the command says about itself. */
  readonly principal: string;
  /** Milliseconds until the caller stops waiting; null = until the server's own limit. */
  readonly timeoutMs: number | null;
}

export type Answer =
  | { readonly kind: "decided"; readonly decision: Decision }
  | { readonly kind: "refused"; readonly refusal: Refusal };

export type Freshness =
  | { readonly mode: "linearizable" }
  | { readonly mode: "stale" }
  | { readonly mode: "min_revision"; readonly revision: Revision };

export interface WatchSpec {
  /** First revision wanted; 0 = from now on (with `snapshot`: from the snapshot on). */
  readonly fromRevision: Revision;
  readonly snapshot: boolean;
  readonly kinds: readonly ObjectKind[];
  readonly keyPrefix: string;
}

export interface WatchSink {
  /** One revision's events, a snapshot batch, or a bookmark (no events). */
  push(batch: WatchOutput): void;
  /**
   * False while the reader is behind: the watch then stays where it is in the shared history, and goes on with a later change
   * or bookmark. Absent = always ready.
   */
  ready?(): boolean;
  /** The watch is over: COMPACTED, OVERLOADED (the reader is too slow), or the node stops. */
  end(refusal: Refusal): void;
}

export interface WatchOutput {
  readonly revision: Revision;
  readonly events: readonly Event[];
  /** Present state instead of changes. */
  readonly snapshot: readonly (ObjectValue & { readonly key: string })[] | null;
  readonly snapshotEnd: boolean;
}
