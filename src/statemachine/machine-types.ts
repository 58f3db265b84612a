import type { ClusterTimeMs, JobId, LogIndex, Revision, Sequence, SessionId, WallTimeMs, WorkId } from "#kernel";
import type { Command } from "./command.ts";
import type {
  Job,
  Lock,
  Model,
  ModelVersion,
  NodeSummary,
  ObjectKind,
  Partition,
  Session,
  WorkItem,
  WorkState,
} from "./objects.ts";
import type { Decision, Event, ObjectValue } from "./reply.ts";

/** What the machine needs to know about the log entry that it applies. */
export interface EntryContext {
  readonly index: LogIndex;
  readonly clusterTimeMs: ClusterTimeMs;
  readonly wallTimeMs: WallTimeMs;
}

export interface Applied {
  readonly decision: Decision;
  /** In the order in which they happened; timers that fired before the command come first. */
  readonly events: readonly Event[];
}

/** Fixed numbers of the state machine. They are part of its behaviour: all voters must have the same. */
export interface MachineLimits {
  readonly maxPayloadBytes: number;
  readonly maxItemsPerJob: number;
  readonly maxClaimItems: number;
  readonly maxQueuedItems: number;
  readonly maxSessions: number;
  readonly maxRepliesPerSession: number;
  readonly maxWaitersPerLock: number;
  readonly maxLocks: number;
  readonly maxModels: number;
  readonly maxVersionsPerModel: number;
  readonly maxTimersPerEntry: number;
  readonly maxNodes: number;
  readonly minTtlMs: number;
  readonly maxTtlMs: number;
  /** How long a worker may take to answer a cancel before its claim ends without it. */
  readonly cancelGraceMs: number;
  /** What a session keeps at least when its node is declared down. */
  readonly nodeDownGraceMs: number;
}

/** The replicated state. Synchronous, deterministic; the same entries give the same replies, events and digest everywhere. */
export interface StateMachine {
  /** Applies a `command` entry: fires the due timers first, then the command. Never throws for bad commands: it refuses. */
  apply(command: Command, context: EntryContext): Applied;
  /** Applies a `leader` entry: every session gets at least `electionGraceMs` more. */
  leaderChanged(context: EntryContext, electionGraceMs: number): readonly Event[];
  /** Applies an entry that changes no object (configuration), so that revision and clock advance. */
  skip(context: EntryContext): readonly Event[];

  readonly revision: Revision;
  readonly clusterTimeMs: ClusterTimeMs;
  /** When the next timer is due (cluster time for leases and timeouts, wall time for run_at); nulls when there is none. */
  nextDeadlines(): { readonly clusterMs: ClusterTimeMs | null; readonly wallMs: WallTimeMs | null };

  read(): Reader;

  /**
   * The state of this moment, one JSON document per line-less string, made as it is walked: entries may be applied meanwhile
   * and do not show. All of them in order restore the machine ({@link Restoration}). First is a header.
   */
  snapshot(): Iterable<string>;
  /** Order-independent fingerprint of the whole state, 16 hex digits. */
  digest(): string;
}

/** Reads of the applied state. Values are immutable and may be kept. */
export interface Reader {
  work(id: WorkId): WorkItem | null;
  listWork(filter: {
    readonly queue?: string;
    readonly state?: WorkState;
    readonly jobId?: JobId;
    readonly limit: number;
    readonly after?: string;
  }): readonly WorkItem[];
  /** True when a claim by this session on these queues would return an item now: the long poll's wake-up test. */
  claimable(session: SessionId, queues: readonly string[], wallMs: WallTimeMs): boolean;
  /** What this session was answered under `sequence`; null when that was not decided yet, is forgotten, or the session is gone. */
  decided(session: SessionId, sequence: Sequence): Decision | null;
  queueCounts(): ReadonlyMap<string, Readonly<Record<WorkState, number>>>;
  job(id: JobId): Job | null;
  listJobs(filter: { readonly limit: number; readonly after?: string }): readonly Job[];
  model(name: string): Model | null;
  listModels(): readonly Model[];
  modelVersion(model: string, number: number): ModelVersion | null;
  listVersions(model: string): readonly ModelVersion[];
  lock(name: string): Lock | null;
  listLocks(): readonly Lock[];
  session(id: SessionId): Session | null;
  listSessions(): readonly Session[];
  /** Every node that has a record or a session, in order of their ids. */
  listNodes(): readonly NodeSummary[];
  /** Null: the network never looked cut. */
  partition(): Partition | null;
  featureLevel(): number;
  counts(): {
    readonly sessions: number;
    readonly locksHeld: number;
    readonly work: Readonly<Record<WorkState, number>>;
    readonly models: number;
    readonly jobs: number;
  };
  /**
   * Every object of these kinds (all when empty) whose key starts with `prefix`, as of this call, however slowly it is walked:
   * the "snapshot" half of snapshot-then-follow.
   */
  objects(kinds: readonly ObjectKind[], prefix: string): Iterable<ObjectValue & { readonly key: string }>;
}

/** A machine in the making. Takes a snapshot's documents in order; throws {@link InvariantError} on any that cannot be. */
export interface Restoration<M extends StateMachine = StateMachine> {
  add(document: string): void;
  /** Throws unless the documents were a whole snapshot, to the digest that its header names. */
  finish(): M;
}
