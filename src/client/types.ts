import type { ClusterId, FencingToken, JobId, LogIndex, NodeId, Revision, SessionId, WorkId, Incarnation } from "#kernel";
import type {
  Capabilities,
  ClusterNode,
  Event,
  Guard,
  Job,
  Lock,
  Model,
  ModelVersion,
  NodeScheduling,
  NodeSummary,
  ObjectKind,
  ObjectValue,
  Partition,
  Progress,
  Session,
  WorkError,
  WorkItem,
  WorkSpec,
  WorkState,
} from "#statemachine";
import type { WorkBrief } from "#codec";

export type { WorkBrief };

/**
 * The TypeScript client. Every method that can fail rejects with a `ClientError`: `error.refusal.reason` is the stable
 * code, `error.outcome` is `"failed"` (it did not and will not happen) or `"unknown"` (it may have happened; the client
 * has already retried with the same sequence until the deadline).
 */
export interface Client {
  readonly work: WorkApi;
  readonly jobs: JobApi;
  readonly models: ModelApi;
  readonly locks: LockApi;
  readonly nodes: NodeApi;
  readonly cluster: ClusterApi;
  /** Opens a session and keeps it alive. Claims, locks and exactly-once writes go through it. */
  openSession(options?: SessionOptions): Promise<ClientSession>;
  sessions(options?: ReadOptions): Promise<readonly Session[]>;
  watch(options: WatchOptions): AsyncIterable<WatchBatch>;
  members(options?: CallOptions): Promise<readonly Member[]>;
  status(options?: CallOptions): Promise<NodeStatus>;
  close(): Promise<void>;
}

export interface ClientOptions {
  /** `host:port` of client ports; any voter will do, the leader is found from there. */
  readonly endpoints: readonly string[];
  /** Refuse to talk to another cluster than this one. */
  readonly clusterId?: ClusterId;
  /** PEM text; absent = plaintext (loopback only). */
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string; readonly serverName?: string };
  /** For calls that give none. Default 10,000. */
  readonly timeoutMs?: number;
  /** Bound of requests sent and not answered; more wait in line. Default 4,096. */
  readonly maxInflight?: number;
}

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface ReadOptions extends CallOptions {
  /** Default "linearizable". */
  readonly mode?: "linearizable" | "stale";
  readonly minRevision?: Revision;
}

export interface SessionOptions extends CallOptions {
  readonly nodeId?: NodeId;
  readonly incarnation?: number;
  readonly purpose?: string;
  /** Default 15,000; renewed at a third of it. */
  readonly ttlMs?: number;
  readonly capabilities?: Capabilities;
}

/** Enqueue takes a partial spec; the server's defaults fill the rest (docs/semantics.md). */
export type NewWork = Partial<Omit<WorkSpec, "jobId" | "backoff" | "createdBy">> & {
  readonly kind: string;
  readonly backoff?: Partial<WorkSpec["backoff"]>;
  readonly createdBy?: string;
};

/**
 * Reads, and writes without a session (each its own attempt: an `unknown` outcome stays unknown).
 * A `ClientSession` offers the same writes exactly-once.
 */
export interface WorkApi extends WorkWrites {
  get(workId: WorkId, options?: ReadOptions): Promise<WorkItem>;
  list(
    filter?: {
      readonly queue?: string;
      readonly state?: WorkState;
      readonly jobId?: JobId;
      readonly limit?: number;
      readonly pageToken?: string;
    },
    options?: ReadOptions,
  ): Promise<{ readonly items: readonly WorkItem[]; readonly nextPageToken: string }>;
}
export interface WorkWrites {
  enqueue(work: NewWork, options?: CallOptions): Promise<{ readonly item: WorkItem; readonly deduplicated: boolean }>;
  cancel(workId: WorkId, reason: string, options?: CallOptions): Promise<WorkItem>;
  requeue(workId: WorkId, options?: CallOptions): Promise<WorkItem>;
}

/**
 * Work writes for callers that need no more than that it was done and whether to stop: the answer has some 20 bytes instead
 * of the whole item with its payload. Done, refused and retried like the others.
 */
export interface BriefWorkWrites {
  enqueue(work: NewWork, options?: CallOptions): Promise<WorkBrief>;
  start(workId: WorkId, fencingToken: FencingToken, options?: CallOptions): Promise<WorkBrief>;
  progress(workId: WorkId, fencingToken: FencingToken, progress: Progress, options?: CallOptions): Promise<WorkBrief>;
  complete(workId: WorkId, fencingToken: FencingToken, outcome: WorkOutcome, options?: CallOptions): Promise<WorkBrief>;
}

/** How an attempt ended: a result, or an error. */
export interface WorkOutcome {
  readonly result?: string;
  readonly error?: WorkError;
  readonly guards?: readonly Guard[];
}

export interface JobApi extends JobWrites {
  get(jobId: JobId, options?: ReadOptions): Promise<Job>;
  list(
    filter?: { readonly limit?: number; readonly pageToken?: string },
    options?: ReadOptions,
  ): Promise<{ readonly jobs: readonly Job[]; readonly nextPageToken: string }>;
}
export interface JobWrites {
  submit(
    job: {
      readonly kind: string;
      readonly items: readonly NewWork[];
      readonly labels?: Readonly<Record<string, string>>;
      readonly createdBy?: string;
    },
    options?: CallOptions,
  ): Promise<{ readonly job: Job; readonly workIds: readonly WorkId[] }>;
  cancel(jobId: JobId, reason: string, options?: CallOptions): Promise<Job>;
}

export interface ModelApi {
  get(model: string, options?: ReadOptions): Promise<Model>;
  list(options?: ReadOptions): Promise<readonly Model[]>;
  version(
    model: string,
    which: { readonly number: number } | { readonly alias: string },
    options?: ReadOptions,
  ): Promise<ModelVersion>;
  versions(model: string, options?: ReadOptions): Promise<readonly ModelVersion[]>;
}
export interface ModelWrites {
  registerVersion(
    version: {
      readonly model: string;
      readonly sourceUri: string;
      readonly configKey?: string;
      readonly description?: string;
      readonly format?: string;
      readonly workId?: WorkId;
      readonly fencingToken?: FencingToken;
      readonly parentVersion?: number;
      readonly gitCommit?: string;
      readonly tags?: Readonly<Record<string, string>>;
      readonly guards?: readonly Guard[];
    },
    options?: CallOptions,
  ): Promise<ModelVersion>;
  commitVersion(
    version: {
      readonly model: string;
      readonly number: number;
      readonly sha256: string;
      readonly sizeBytes: number;
      readonly metrics?: Readonly<Record<string, number>>;
      readonly guards?: readonly Guard[];
    },
    options?: CallOptions,
  ): Promise<ModelVersion>;
  setAlias(
    alias: {
      readonly model: string;
      readonly alias: string;
      readonly version: number;
      readonly expectedAliasRevision?: Revision;
      readonly reason?: string;
      readonly by?: string;
      readonly guards?: readonly Guard[];
    },
    options?: CallOptions,
  ): Promise<Model>;
}

export interface LockApi {
  get(name: string, options?: ReadOptions): Promise<Lock>;
  list(options?: ReadOptions): Promise<readonly Lock[]>;
  /** Rejects with FENCED when the token is not the holder's. Always linearizable. */
  check(name: string, fencingToken: FencingToken, options?: CallOptions): Promise<Lock>;
  forceRelease(name: string, reason: string, options?: CallOptions): Promise<Lock>;
}

/** What the cluster has agreed on about its nodes. Every change answers with the node as it is then, also when it was so already. */
export interface NodeApi {
  list(options?: ReadOptions): Promise<NodeList>;
  /** CORDONED and DRAINING nodes get no new claims; OPEN takes that back. */
  setScheduling(nodeId: NodeId, scheduling: NodeScheduling, options?: OperatorOptions): Promise<ClusterNode>;
  /** BAD_STATE while the node has sessions; CONFLICT when the barrier is not above what the cluster knows. */
  forget(nodeId: NodeId, barrier: Incarnation, options?: OperatorOptions): Promise<ClusterNode>;
  readmit(nodeId: NodeId, options?: OperatorOptions): Promise<ClusterNode>;
}

export interface OperatorOptions extends CallOptions {
  readonly reason?: string;
  readonly by?: string;
}

export interface NodeList {
  /** Those with a record or a session, in order of their ids. */
  readonly nodes: readonly NodeSummary[];
  readonly partition: Partition | null;
  readonly featureLevel: number;
}

/** A live session. */
export interface ClientSession {
  readonly id: SessionId;
  /** Aborts when the session has ended or its end can no longer be ruled out. Stop whatever no fencing token guards. */
  readonly lost: AbortSignal;
  /**
   * Aborts when the session is over for good: the server said so, or it was closed. Between `lost` and `ended`, fenced work
   * may go on (an outage of the quorum stops the sessions' clock too); renewing goes on as well.
   */
  readonly ended: AbortSignal;
  /** `uncertain` heals when a renewal gets through; `lost` does not go back. */
  readonly state: "certain" | "uncertain" | "ended";
  readonly work: WorkWrites & {
    claim(
      request: {
        readonly workerId: string;
        readonly queues: readonly string[];
        readonly maxItems?: number;
        readonly waitMs?: number;
      },
      options?: CallOptions,
    ): Promise<readonly WorkItem[]>;
    start(workId: WorkId, fencingToken: FencingToken, options?: CallOptions): Promise<WorkItem>;
    /** The returned item says whether a cancel was requested. */
    progress(workId: WorkId, fencingToken: FencingToken, progress: Progress, options?: CallOptions): Promise<WorkItem>;
    complete(workId: WorkId, fencingToken: FencingToken, outcome: WorkOutcome, options?: CallOptions): Promise<WorkItem>;
    release(workId: WorkId, fencingToken: FencingToken, reason: string, options?: CallOptions): Promise<WorkItem>;
    /** The same writes, answered without the item. */
    readonly brief: BriefWorkWrites;
  };
  readonly jobs: JobWrites;
  readonly models: ModelWrites;
  readonly locks: {
    acquire(
      name: string,
      options?: CallOptions & {
        readonly wait?: boolean;
        readonly waitTimeoutMs?: number;
        readonly lockDelayMs?: number;
        readonly purpose?: string;
      },
    ): Promise<HeldLock>;
    release(name: string, fencingToken: FencingToken, options?: CallOptions): Promise<Lock>;
  };
  /** Ends the session on the server: claims are released as lost, locks become free. */
  close(): Promise<void>;
}

export interface HeldLock {
  readonly name: string;
  readonly fencingToken: FencingToken;
  /** Use as a guard of later writes. */
  readonly guard: Guard;
  release(options?: CallOptions): Promise<void>;
}

export interface WatchOptions {
  /** First revision wanted; absent = from now on. */
  readonly fromRevision?: Revision;
  /** First every present object, then what changes. */
  readonly snapshot?: boolean;
  readonly kinds?: readonly ObjectKind[];
  readonly keyPrefix?: string;
  readonly signal?: AbortSignal;
}

/** Resumes by itself after a lost connection, without gap or repetition; ends with COMPACTED when history is gone. */
export interface WatchBatch {
  readonly revision: Revision;
  readonly events: readonly Event[];
  readonly snapshot: readonly (ObjectValue & { readonly key: string })[] | null;
  readonly snapshotEnd: boolean;
}

/** Who belongs to the cluster, and changes of that. Every change is for the leader, which the client finds. */
export interface ClusterApi {
  /** What the leader knows; with `mode: "stale"`, what any voter has. */
  members(options?: ReadOptions): Promise<Membership>;
  /** Resolves once the node is a learner. Without `learner` it becomes a voter by itself when it has caught up. */
  add(nodeId: NodeId, options?: CallOptions & { readonly learner?: boolean }): Promise<ClusterVoters>;
  remove(nodeId: NodeId, options?: CallOptions): Promise<ClusterVoters>;
  promote(nodeId: NodeId, options?: CallOptions): Promise<ClusterVoters>;
  /** A voter goes on as a learner. */
  demote(nodeId: NodeId, options?: CallOptions): Promise<ClusterVoters>;
  /** One voter out and another in, in one step. */
  replace(remove: NodeId, add: NodeId, options?: CallOptions): Promise<ClusterVoters>;
  /** Null: to the voter that is furthest along. Resolves with the new leader. */
  transferLeadership(to: NodeId | null, options?: CallOptions): Promise<NodeId>;
  /** The voter that is asked stands for election; BAD_STATE while it knows a leader. */
  triggerElection(options?: CallOptions): Promise<void>;
  /** Only once every voter runs a version that knows the level; UNIMPLEMENTED from one that does not. */
  raiseFeatureLevel(level: number, options?: CallOptions): Promise<void>;
  /** The voter that is asked saves its state; `readSnapshot` then reads the file from the same voter, piece by piece. */
  saveSnapshot(options?: CallOptions): Promise<LogIndex>;
  readSnapshot(
    index: LogIndex,
    offset: number,
    options?: CallOptions,
  ): Promise<{ readonly data: Uint8Array; readonly totalBytes: number }>;
}

export interface Membership {
  readonly members: readonly ClusterMember[];
  /** Index of the log entry that holds the configuration. */
  readonly configurationIndex: LogIndex;
  readonly configurationCommitted: boolean;
}

export interface ClusterMember extends Member {
  readonly peerAddress: string;
  /** Joint configuration only: votes in the half that is being left. */
  readonly outgoing: boolean;
  readonly learner: boolean;
  /** A learner that becomes a voter as soon as it has caught up. */
  readonly promoting: boolean;
  /** The last entry that is durable there. This and the rest is what the leader knows; null from other voters. */
  readonly matchIndex: LogIndex | null;
  readonly lagEntries: number | null;
  /** `probe`, `replicate` or `snapshot`; null for the leader itself. */
  readonly progress: string | null;
  readonly recentlyActive: boolean | null;
}

export interface ClusterVoters {
  readonly voters: readonly NodeId[];
  /** Voters of the half that is being left; empty unless the configuration is joint. */
  readonly outgoing: readonly NodeId[];
  readonly learners: readonly NodeId[];
  readonly promoting: readonly NodeId[];
}

export interface Member {
  readonly nodeId: NodeId;
  readonly clientAddress: string;
  readonly voter: boolean;
  readonly leader: boolean;
}

export interface NodeStatus {
  readonly memberId: NodeId;
  readonly clusterId: ClusterId;
  readonly leaderId: NodeId | null;
  readonly role: string;
  readonly term: number;
  readonly commitIndex: Revision;
  readonly appliedIndex: Revision;
}
