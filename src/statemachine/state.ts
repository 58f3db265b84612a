import { type ClusterTimeMs, type JobId, NO_INDEX, type Revision, type SessionId, type WallTimeMs, type WorkId } from "#kernel";
import { Digest } from "./digest.ts";
import { Heap, type HeapNode } from "./heap.ts";
import type { MachineLimits } from "./machine-types.ts";
import type {
  Job,
  Lock,
  Model,
  ModelVersion,
  ObjectKind,
  Requirements,
  Resources,
  Session,
  WorkItem,
  WorkState,
} from "./objects.ts";
import type { Decision, Event, ObjectValue } from "./reply.ts";
import { type Timer, type TimerHeap, timerHeap } from "./timers.ts";

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
  readonly work = new Map<WorkId, WorkRecord>();
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

/** Is itself the node in the heap of its queue (ready) or of the scheduled items. */
export interface WorkRecord extends HeapNode {
  item: WorkItem;
  /** Place within the entry that enqueued it; with the create revision the item's age. */
  readonly ordinal: number;
  heap: Heap<WorkRecord> | null;
  requirementClass: RequirementClass | null;
  /** Made when first needed: most items never have a deadline. */
  timer: Timer | null;
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

/** Older first: by the entry that made it, then by the place within that entry. */
export function isOlder(a: WorkRecord, b: WorkRecord): boolean {
  if (a.item.createRevision !== b.item.createRevision) return a.item.createRevision < b.item.createRevision;
  return a.ordinal < b.ordinal;
}

export const byAge = (a: WorkRecord, b: WorkRecord): number => (isOlder(a, b) ? -1 : 1);

function availableBefore(a: WorkRecord, b: WorkRecord): boolean {
  if (a.item.availableAtMs !== b.item.availableAtMs) return a.item.availableAtMs < b.item.availableAtMs;
  return isOlder(a, b);
}

const noEvents: readonly Event[] = [];
