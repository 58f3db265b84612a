import type { ClusterTimeMs, LogIndex, NodeId, Outcome, Refusal, Term, WallTimeMs } from "#kernel";
import type { Configuration, Entry, MembershipChange, RaftStatus, SnapshotMeta } from "#raft";

/**
 * The contract of consensus is one total order of commands. `raft` fills it today; `bully`, `hybrid` and `etcd` fill the
 * same one later, and one conformance suite runs against each.
 *
 * Committed at the promised index with the same term means done; with another term, provably dropped (the same sequence
 * may be tried again); leadership lost means unknown.
 */
export interface Engine {
  /** Puts commands into the log, in order, without gaps. Synchronous: either all have a place, or all are refused. */
  propose(commands: readonly Uint8Array[]): Proposed;
  /** Resolves with an index: once that is applied here, a local read sees every write acknowledged before the call. */
  readBarrier(): Promise<Outcome<LogIndex>>;
  /** The sink has applied up to here; opens the window for more. */
  applied(index: LogIndex): void;
  /**
   * Stores `snapshot` durably; the log before it may go then. `snapshot.index` must be the last applied index at the moment
   * of the call. Resolves when it is durable; a second call while one is running is refused with BAD_STATE.
   */
  saveSnapshot(snapshot: StateSnapshot): Promise<Outcome<SnapshotMeta>>;
  /**
   * Changes who votes. Resolves when the change is done: committed and, where it went through a joint configuration, left
   * again; an `add` with `promote` once the learner is in, and `promote` once it is marked: the promotion follows when it has
   * caught up. BAD_STATE names what stands against it; UNKNOWN_OUTCOME when leadership was lost meanwhile.
   */
  reconfigure(change: MembershipChange): Promise<Outcome<Configuration>>;
  /** Hands the lead to `to`, or to the voter that is furthest along. Resolves with the new leader, or TIMEOUT: nothing changed. */
  transferLeadership(to: NodeId | null): Promise<Outcome<NodeId>>;
  /** Starts an election here, at once; with a live leader elsewhere it changes nothing. */
  campaign(): void;
  /** Whether this node may lead. One that must not gives the lead up and takes none; it votes and keeps the log. */
  allowLeading(allowed: boolean): void;
  /** Tells `to`, or all other voters, what this node's state is. Not repeated when it gets lost. */
  reportDigest(report: DigestReport, to: NodeId | null): void;
  leader(): { readonly id: NodeId | null; readonly term: Term; readonly isSelf: boolean };
  /** The replicated clock as this leader would stamp it now; the last applied one on a follower. */
  clusterNow(): { readonly clusterTimeMs: ClusterTimeMs; readonly wallTimeMs: WallTimeMs };
  status(): EngineStatus;
  readonly guarantees: { readonly quorum: boolean; readonly linearizableReads: boolean; readonly fencing: boolean };
  close(): Promise<void>;
}

/** The whole replicated state at one index, as bytes. `content` may be produced lazily: it must not change while it is read. */
export interface StateSnapshot {
  readonly index: LogIndex;
  readonly digest: string;
  readonly content: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

export type Proposed =
  | { readonly ok: true; readonly term: Term; readonly firstIndex: LogIndex }
  | { readonly ok: false; readonly refusal: Refusal };

/** What the engine tells the replica. Handed over at assembly; called synchronously, in log order. */
export interface EngineSink {
  onCommitted(entries: readonly Entry[]): void;
  /** Replace the whole state by this snapshot's content (chunks as they stand in the store). Resolves when restored. */
  onRestore(meta: SnapshotMeta, content: AsyncIterable<Uint8Array>): Promise<void>;
  /** What another voter's state is. */
  onDigest(from: NodeId, report: DigestReport): void;
  /** Leader, term or role changed. */
  onStatus(status: EngineStatus): void;
  /** The node cannot go on (disk failed, invariant broken): stop the process. */
  onFatal(error: Error): void;
}

export interface EngineStatus {
  readonly raft: RaftStatus;
  readonly connectedPeers: ReadonlySet<NodeId>;
  /** False when neither the newest nor the committed configuration names this node. True while it knows of none. */
  readonly isMember: boolean;
}

/** What a voter's state adds up to after applying `index`. */
export interface DigestReport {
  readonly index: LogIndex;
  readonly digest: string;
  /** Of what the digest covers: voters of different versions have nothing to compare. */
  readonly digestVersion: number;
}
