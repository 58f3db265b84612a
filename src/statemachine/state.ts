import { type ClusterTimeMs, type JobId, NO_INDEX, type NodeId, type Revision, type SessionId, type WallTimeMs } from "#kernel";
import { Digest } from "./digest.ts";
import { Heap } from "./heap.ts";
import type { MachineLimits } from "./machine-types.ts";
import type {
  ClusterNode,
  Job,
  Lock,
  Model,
  ModelVersion,
  ObjectKind,
  Partition,
  Requirements,
  Resources,
  Session,
  WorkState,
} from "./objects.ts";
import type { Decision, Event, ObjectValue } from "./reply.ts";
import { type Timer, type TimerHeap, timerHeap } from "./timers.ts";
import { comparePlaces, type WorkRecord } from "./work/record.ts";
import { WorkTable } from "./work/table.ts";

/**
 * Everything that is replicated, with the indexes derived from it. Objects are immutable and stand in records; records
 * and indexes are the machine's own and never leave it. Whatever an index says must follow from the objects alone, since
 * a restored machine has nothing else.
 */
export class State {
  readonly limits: MachineLimits;
  /** The entry being applied. */
  revision: Revision = NO_INDEX;
  now = 0 as ClusterTimeMs;
  wall = 0 as WallTimeMs;
  readonly digest = new Digest();

  readonly sessions = new Map<SessionId, SessionRecord>();
  readonly work = new WorkTable();
  readonly queues = new Map<string, Queue>();
  /** PENDING items that wait for their wall time, over all queues. */
  readonly scheduled = new Heap<WorkRecord>(availableBefore);
  /** The one non-terminal item of each unique key. */
  readonly uniqueKeys = new Map<string, WorkRecord>();
  readonly jobs = new Map<JobId, JobRecord>();
  /** Jobs whose items changed in this entry. */
  readonly touchedJobs = new Set<JobRecord>();
  readonly models = new Map<string, ModelRecord>();
  readonly locks = new Map<string, LockRecord>();
  /** FREE locks with somebody in line: granted at the start of the next entry. */
  readonly grantable = new Set<LockRecord>();
  readonly nodes = new Map<NodeId, ClusterNode>();
  partition: Partition | null = null;
  /** See features.ts. */
  featureLevel = 0;

  /** Apart from the others, because every due session ends before anything is granted. */
  readonly sessionTimers: TimerHeap = timerHeap();
  readonly objectTimers: TimerHeap = timerHeap();

  readonly workCounts: WorkCounts = noWork();
  locksHeld = 0;
  /** Heads of requirement classes that claims have looked at: what a claim costs, for tests. */
  candidatesInspected = 0;
  #events: Event[] | null = null;

  constructor(limits: MachineLimits) {
    this.limits = limits;
  }

  emit(kind: ObjectKind, key: string, object: ObjectValue | null): void {
    const event: Event = { revision: this.revision, kind, key, object };
    // A literal has room for just this one; `push` onto an empty array makes room for 17, and histories keep them all.
    if (this.#events === null) this.#events = [event];
    else this.#events.push(event);
  }

  /** The events since the last call. */
  takeEvents(): readonly Event[] {
    const events = this.#events;
    if (events === null) return noEvents;
    this.#events = null;
    return events;
  }
}

export type WorkCounts = Record<WorkState, number>;
export type MutableResources = { -readonly [K in keyof Resources]: Resources[K] };

export interface SessionRecord {
  session: Session;
  readonly timer: Timer;
  /** Replies below are forgotten. */
  firstUnacked: number;
  readonly replies: Map<number, Decision>;
  readonly claims: Set<WorkRecord>;
  /** Sum over `claims`. */
  readonly reserved: MutableResources;
  /** Held or waited for. */
  readonly locks: Set<LockRecord>;
  /** Versions in UPLOADING, by `model/number`. */
  readonly uploads: Map<string, { readonly record: ModelRecord; readonly number: number }>;
}

export interface Queue {
  readonly name: string;
  readonly counts: WorkCounts;
  /** Ready items by what they require, so that a claim looks at one head per distinct requirement. */
  readonly classes: Map<string, RequirementClass>;
}

export interface RequirementClass {
  readonly key: string;
  readonly requires: Requirements | null;
  readonly ready: Heap<WorkRecord>;
}

export interface JobRecord {
  job: Job;
  /** Those not yet removed, oldest first. */
  readonly items: Set<WorkRecord>;
  readonly counts: WorkCounts;
  readonly total: number;
  /** Hundredths of a percent over all items. An integer, so that no order of additions can make a difference. */
  percentSum: number;
}

export interface ModelRecord {
  model: Model;
  /** Version n at n − 1. */
  readonly versions: ModelVersion[];
}

export interface LockRecord {
  lock: Lock;
  readonly timer: Timer;
}

export const noWork = (): WorkCounts => ({
  PENDING: 0,
  CLAIMED: 0,
  RUNNING: 0,
  SUCCEEDED: 0,
  FAILED: 0,
  DEAD: 0,
  CANCELLED: 0,
});

/** Live until the instant of its deadline, also when the cap on timers has put its removal off to the next entry. */
function isLive(state: State, record: SessionRecord): boolean {
  return record.session.deadlineMs > state.now;
}

export function liveSession(state: State, id: SessionId | null): SessionRecord | null {
  if (id === null) return null;
  const record = state.sessions.get(id);
  return record !== undefined && isLive(state, record) ? record : null;
}

export const byAge = (a: WorkRecord, b: WorkRecord): number => comparePlaces(a.version, b.version);

function availableBefore({ version: a }: WorkRecord, { version: b }: WorkRecord): boolean {
  return a.availableAtMs === b.availableAtMs ? comparePlaces(a, b) < 0 : a.availableAtMs < b.availableAtMs;
}

const noEvents: readonly Event[] = [];
