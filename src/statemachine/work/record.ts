import { type Revision, WorkId } from "#kernel";
import { workHash } from "../digest.ts";
import type { Heap, HeapNode } from "../heap.ts";
import type { WorkItem, WorkState } from "../objects.ts";
import type { RequirementClass } from "../state.ts";
import type { Timer } from "../timers.ts";
import { packWork, unpackWork } from "./packed.ts";

/**
 * One version of a work item: what indexes ask for as fields, everything else packed or not. Never changes its meaning, so a
 * snapshot may hold it for as long as it likes.
 */
export class WorkVersion {
  readonly state: WorkState;
  readonly queue: string;
  readonly priority: number;
  readonly availableAtMs: number;
  readonly createRevision: Revision;
  /** Place within the entry that enqueued the item, −1 where it was enqueued alone; with the create revision the item's age. */
  readonly ordinal: number;
  /** What this version adds to the digest. */
  readonly hashA: number;
  readonly hashB: number;
  #form: WorkItem | string;

  /** `queue` is the queue's own copy of its name, so that a million items share it. `packed`, when known, must be of `item`. */
  constructor(item: WorkItem, ordinal: number, queue: string, packed: string | null) {
    this.state = item.state;
    this.queue = queue;
    this.priority = item.spec.priority;
    this.availableAtMs = item.availableAtMs;
    this.createRevision = item.createRevision;
    this.ordinal = ordinal;
    const hash = workHash(item);
    this.hashA = hash.hashA;
    this.hashB = hash.hashB;
    this.#form = packed ?? item;
  }

  /** Unpacked anew at every call where it is packed: take it once. */
  get item(): WorkItem {
    return typeof this.#form === "string" ? unpackWork(this.#form) : this.#form;
  }

  get workId(): WorkId {
    return WorkId(this.ordinal === -1 ? `w-${this.createRevision}` : `w-${this.createRevision}-${this.ordinal}`);
  }

  /** As a line of a snapshot; and stays so: what outlives a snapshot unchanged is cold. */
  packed(): string {
    if (typeof this.#form !== "string") this.#form = packWork(this.#form);
    return this.#form;
  }
}

/** An item's place in the indexes. Is itself the node in the heap of its queue (ready) or of the scheduled items. */
export class WorkRecord implements HeapNode {
  /** Written by the table only. */
  version: WorkVersion;
  position = -1;
  heap: Heap<WorkRecord> | null = null;
  requirementClass: RequirementClass | null = null;
  /** Made when first needed: most items never have a deadline. */
  timer: Timer | null = null;

  constructor(version: WorkVersion) {
    this.version = version;
  }

  get item(): WorkItem {
    return this.version.item;
  }

  get workId(): WorkId {
    return this.version.workId;
  }
}

/** Where an item stands among all: by the entry that made it, then by the place within that entry. */
export type Place = Pick<WorkVersion, "createRevision" | "ordinal">;

/** `w-<index>` for a single item, `w-<index>-<n>` for the n-th of a job. Null: not an id. */
export function placeOfWork(id: string): Place | null {
  const parts = /^w-(\d{1,15})(?:-(\d{1,9}))?$/.exec(id);
  return parts === null ? null : { createRevision: Number(parts[1]) as Revision, ordinal: Number(parts[2] ?? -1) };
}

/** Negative when `a` is older. */
export function comparePlaces(a: Place, b: Place): number {
  return a.createRevision - b.createRevision || a.ordinal - b.ordinal;
}
