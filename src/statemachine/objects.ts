import type {
  ClusterTimeMs,
  FencingToken,
  JobId,
  NodeId,
  Revision,
  Sequence,
  SessionId,
  WallTimeMs,
  WorkId,
  Incarnation,
} from "#kernel";

/** Kinds of replicated objects, as watches and lists name them. */
export type ObjectKind = "work" | "job" | "model" | "model_version" | "lock" | "session" | "node" | "partition";

/** What every replicated object carries (etcd's three numbers). */
export interface Versioned {
  readonly createRevision: Revision;
  readonly modRevision: Revision;
  /** Counts this object's changes from 1. */
  readonly version: number;
}

// ── work queue ──────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * PENDING ─claim→ CLAIMED ─start→ RUNNING ─complete→ SUCCEEDED | FAILED | (retry) PENDING | DEAD; see docs/semantics.md.
 * Terminal: SUCCEEDED, FAILED (said "do not retry"), DEAD (attempts or losses used up: the dead-letter set), CANCELLED.
 */
export type WorkState = "PENDING" | "CLAIMED" | "RUNNING" | "SUCCEEDED" | "FAILED" | "DEAD" | "CANCELLED";

export interface Resources {
  readonly gpuCount: number;
  readonly gpuMemoryMib: number;
  readonly cpu: number;
  readonly memoryMib: number;
  readonly diskMib: number;
}

/** What a worker offers; declared when its session opens. */
export interface Capabilities extends Resources {
  readonly gpuModel: string;
  /** As `major * 1000 + minor * 10`, the way CUDA prints it; 0 = none. */
  readonly cuda: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** What an item needs. Resources are reserved while it is claimed; the rest must match. */
export interface Requirements extends Resources {
  /** Any of these; empty = any model. */
  readonly gpuModels: readonly string[];
  readonly cudaMin: number;
  readonly labels: readonly LabelRule[];
}

/** `values` holds one number for gt and lt, none for exists. */
export interface LabelRule {
  readonly key: string;
  readonly operator: "in" | "not_in" | "exists" | "gt" | "lt";
  readonly values: readonly string[];
}

export interface Backoff {
  readonly initialMs: number;
  readonly multiplier: number;
  readonly maxMs: number;
  /** 0…1: share of the delay that is spread by hash(work_id, attempt), since apply must be deterministic. */
  readonly jitter: number;
}

export interface WorkError {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly cause: "app" | "timeout" | "lost" | "preempted" | "cancelled";
}

/** The fixed part of a work item, as enqueued, with every default filled in. */
export interface WorkSpec {
  readonly queue: string;
  readonly kind: string;
  /** UTF-8 text, mostly JSON; at most 64 KiB. Bulk data belongs behind `payloadUri`. */
  readonly payload: string;
  readonly payloadUri: string;
  /** Higher first; default 0. */
  readonly priority: number;
  /** Wall time before which the item stays scheduled; 0 = at once. */
  readonly runAtMs: number;
  /** Longest time from enqueue to a terminal state; 0 = no limit. */
  readonly deadlineMs: number;
  readonly scheduleToStartTimeoutMs: number;
  readonly startToCloseTimeoutMs: number;
  readonly heartbeatTimeoutMs: number;
  readonly maxAttempts: number;
  readonly maxLosses: number;
  readonly backoff: Backoff;
  /** At most one non-terminal item per key; "" = not unique. */
  readonly uniqueKey: string;
  readonly requires: Requirements | null;
  readonly jobId: JobId | null;
  /** Terminal items are removed after this long (replicated time); 0 = kept. */
  readonly ttlAfterFinishedMs: number;
  readonly createdBy: string;
}

export interface Claim {
  readonly workerId: string;
  readonly nodeId: NodeId;
  readonly incarnation: number;
  readonly sessionId: SessionId;
  readonly fencingToken: FencingToken;
  readonly claimedAtMs: ClusterTimeMs;
  /** Null until Start. */
  readonly startedAtMs: ClusterTimeMs | null;
  readonly lastHeartbeatAtMs: ClusterTimeMs;
}

export interface Progress {
  readonly percent: number;
  readonly step: string;
  readonly message: string;
}

/** One finished attempt; the newest ten are kept. */
export interface Attempt {
  readonly attempt: number;
  readonly workerId: string;
  readonly nodeId: NodeId;
  readonly fencingToken: FencingToken;
  readonly claimedAtMs: ClusterTimeMs;
  readonly endedAtMs: ClusterTimeMs;
  readonly outcome: "succeeded" | "failed" | "lost" | "released" | "cancelled" | "timeout";
  readonly error: WorkError | null;
}

export interface WorkItem extends Versioned {
  readonly workId: WorkId;
  readonly spec: WorkSpec;
  readonly state: WorkState;
  /** Attempts charged so far. A lost or released attempt is not charged. */
  readonly attempt: number;
  readonly lossCount: number;
  /** Counts requeues of the finished item. */
  readonly epoch: number;
  /** Wall time from which it may be claimed (run_at, or retry back-off). */
  readonly availableAtMs: number;
  readonly claim: Claim | null;
  readonly progress: Progress | null;
  readonly cancelRequested: { readonly atMs: ClusterTimeMs; readonly by: string; readonly reason: string } | null;
  readonly result: string;
  readonly lastError: WorkError | null;
  readonly attempts: readonly Attempt[];
  readonly enqueuedAtMs: ClusterTimeMs;
  readonly enqueuedWallMs: WallTimeMs;
  readonly finishedAtMs: ClusterTimeMs | null;
}

// ── jobs: derived from their work items in apply; they have no writer of their own ──────────────────────────────────

export type JobPhase = "PENDING" | "RUNNING" | "SUCCEEDED" | "FAILED" | "CANCELLING" | "CANCELLED";

export interface Job extends Versioned {
  readonly jobId: JobId;
  readonly kind: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly phase: JobPhase;
  readonly counts: Readonly<Record<WorkState, number>>;
  /** Mean percent over all items, finished ones counting 100. */
  readonly percent: number;
  readonly createdAtMs: ClusterTimeMs;
  readonly createdWallMs: WallTimeMs;
  readonly finishedAtMs: ClusterTimeMs | null;
  readonly cancelRequested: boolean;
  readonly createdBy: string;
}

// ── model registry ──────────────────────────────────────────────────────────────────────────────────────────────────

/** UPLOADING ─commit→ READY; the session that registered it is lost → ABORTED. */
export type ModelVersionState = "UPLOADING" | "READY" | "ABORTED" | "ARCHIVED" | "QUARANTINED" | "DELETED";

export interface ModelAlias {
  readonly alias: string;
  readonly version: number;
  readonly revision: Revision;
  readonly reason: string;
  readonly setBy: string;
  readonly setAtMs: ClusterTimeMs;
  readonly setWallMs: WallTimeMs;
}

export interface Model extends Versioned {
  readonly name: string;
  readonly configKey: string;
  readonly description: string;
  readonly lastVersion: number;
  /** By alias name; `previous` is kept automatically when `canonical` moves. */
  readonly aliases: Readonly<Record<string, ModelAlias>>;
  /** Oldest first, the newest 50 moves over all aliases. */
  readonly history: readonly ModelAlias[];
}

export interface ModelVersion extends Versioned {
  readonly model: string;
  readonly number: number;
  readonly state: ModelVersionState;
  readonly sourceUri: string;
  /** Lower-case hex; "" until committed. */
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly format: string;
  readonly workId: WorkId | null;
  readonly fencingToken: FencingToken | null;
  readonly parentVersion: number;
  readonly gitCommit: string;
  readonly metrics: Readonly<Record<string, number>>;
  readonly tags: Readonly<Record<string, string>>;
  readonly sessionId: SessionId | null;
  readonly registeredAtMs: ClusterTimeMs;
  readonly registeredWallMs: WallTimeMs;
  readonly committedAtMs: ClusterTimeMs | null;
}

// ── training locks ──────────────────────────────────────────────────────────────────────────────────────────────────

/** FREE ─acquire→ HELD(token) ─release→ FREE (next waiter granted); holder lost → DELAY(lock_delay_ms) → FREE. */
export type LockState = "FREE" | "HELD" | "DELAY";

export interface LockHolder {
  readonly sessionId: SessionId;
  readonly nodeId: NodeId;
  readonly fencingToken: FencingToken;
  readonly acquiredAtMs: ClusterTimeMs;
}

export interface LockWaiter {
  readonly sessionId: SessionId;
  readonly nodeId: NodeId;
  /** Sequence of the Acquire that waits; its reply names the grant. */
  readonly sequence: Sequence;
  readonly enqueuedAtMs: ClusterTimeMs;
  /** 0 = waits until its session ends. */
  readonly waitTimeoutMs: number;
  readonly lockDelayMs: number;
  readonly purpose: string;
}

export interface Lock extends Versioned {
  readonly name: string;
  readonly state: LockState;
  readonly holder: LockHolder | null;
  /** First in, first out. */
  readonly waiters: readonly LockWaiter[];
  /** Applied when the present holder is lost (default 15,000) or releases with a delay. */
  readonly lockDelayMs: number;
  /** Set in DELAY. */
  readonly delayUntilMs: ClusterTimeMs | null;
  readonly purpose: string;
  /** The newest token ever granted here; never falls, also not over deletion. */
  readonly lastToken: FencingToken;
}

// ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** OPEN → SUSPECT → (OPEN | EXPIRED), OPEN → CLOSED. EXPIRED and CLOSED sessions are removed at once. SUSPECT: its node was declared down. */
export type SessionState = "OPEN" | "SUSPECT";

export interface Session extends Versioned {
  readonly sessionId: SessionId;
  readonly nodeId: NodeId;
  readonly incarnation: number;
  readonly principal: string;
  /** "worker", "tool", "service": for people; decides nothing. */
  readonly purpose: string;
  readonly state: SessionState;
  readonly ttlMs: number;
  readonly deadlineMs: ClusterTimeMs;
  readonly capabilities: Capabilities | null;
  readonly openedAtMs: ClusterTimeMs;
  readonly openedWallMs: WallTimeMs;
}

// ── nodes: what membership found out, and what operators want; a node without a record is UP and OPEN ───────────────

/** UP ─verdict of a majority→ DOWN ─heard from, or a higher incarnation→ UP; forgotten → EVICTED ─readmitted→ UP. */
export type NodeState = "UP" | "DOWN" | "EVICTED";

/** CORDONED and DRAINING nodes get no new claims and finish what they have; DRAINING says that the node is to become empty. */
export type NodeScheduling = "OPEN" | "CORDONED" | "DRAINING";

export type NodeEventName =
  | "NODE_DOWN"
  | "NODE_RECOVERED"
  | "NODE_EVICTED"
  | "NODE_READMITTED"
  | "NODE_CORDONED"
  | "NODE_UNCORDONED"
  | "NODE_DRAINING";

/** The latest thing that happened to a node. */
export interface NodeEvent {
  readonly name: NodeEventName;
  readonly revision: Revision;
  readonly atMs: ClusterTimeMs;
  readonly wallMs: WallTimeMs;
  readonly reason: string;
  /** The operator, as the caller names itself; "" where membership speaks. */
  readonly by: string;
  /** The voters that agreed. */
  readonly observedBy: readonly NodeId[];
}

export interface ClusterNode extends Versioned {
  readonly nodeId: NodeId;
  readonly state: NodeState;
  readonly scheduling: NodeScheduling;
  /** The newest one that a verdict was about; of an EVICTED node the barrier, below which nothing brings it back. */
  readonly incarnation: Incarnation;
  /** Verdicts up to here were contradicted by the node's own sessions, and are not believed again. */
  readonly refuted: Incarnation | null;
  /** Since when it has been in this state. */
  readonly sinceMs: ClusterTimeMs;
  readonly sinceWallMs: WallTimeMs;
  readonly lastEvent: NodeEvent | null;
}

/** A node as a list shows it. */
export interface NodeSummary {
  readonly node: ClusterNode;
  readonly sessions: number;
  /** Work items that it holds now; a DRAINING node with 0 is empty. */
  readonly claims: number;
}

/** The one record about a network that looks cut (PARTITION_SUSPECTED), or did until it healed (PARTITION_HEALED). */
export interface Partition extends Versioned {
  readonly state: "SUSPECTED" | "HEALED";
  /** The side without the leader, in order of their ids; kept when it heals. */
  readonly lost: readonly NodeId[];
  readonly observedBy: readonly NodeId[];
  readonly sinceMs: ClusterTimeMs;
  readonly sinceWallMs: WallTimeMs;
}
