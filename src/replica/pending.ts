import { type LogIndex, type Refusal, type Term, invariant } from "#kernel";
import type { Command } from "#statemachine";
import type { Answer, SubmitRequest } from "./types.ts";

/** One command on its way through the log. One object per command: the hot path allocates nothing else for it. */
export interface Slot {
  readonly request: SubmitRequest | null;
  /** Decoded at the door and used again at apply. */
  readonly command: Command;
  readonly bytes: Uint8Array;
  /** Local monotonic time at which the caller stops waiting. */
  readonly deadlineMs: number;
  respond: (answer: Answer) => void;
  index: LogIndex;
  term: Term;
}

/**
 * Commands that are in the log and not yet applied, found by index. The indexes of one leadership lie close together, so a
 * ring addressed by the low bits of the index does it: no hashing, no allocation per command.
 */
export class PendingRing {
  #slots: (Slot | null)[];
  #size = 0;

  constructor(capacity = 1_024) {
    this.#slots = emptySlots(capacity);
  }

  get size(): number {
    return this.#size;
  }

  add(slot: Slot): void {
    while (this.#at(slot.index) !== null) this.#grow();
    this.#slots[slot.index & (this.#slots.length - 1)] = slot;
    this.#size += 1;
  }

  /** Removes and returns the command that was proposed at `index`; null when this node proposed none there. */
  take(index: LogIndex): Slot | null {
    if (this.#size === 0) return null;
    const slot = this.#at(index);
    if (slot === null || slot.index !== index) return null;
    this.#slots[index & (this.#slots.length - 1)] = null;
    this.#size -= 1;
    return slot;
  }

  /** Answers everything with `refusal` and forgets it. */
  refuseAll(refusal: Refusal): void {
    if (this.#size === 0) return;
    const refused = this.#slots;
    this.#slots = emptySlots(refused.length);
    this.#size = 0;
    for (const slot of refused) slot?.respond({ kind: "refused", refusal });
  }

  /** Visits every command that still waits; the visitor may not add any. */
  forEach(visit: (slot: Slot) => void): void {
    if (this.#size > 0) for (const slot of this.#slots) if (slot !== null) visit(slot);
  }

  #at(index: LogIndex): Slot | null {
    return this.#slots[index & (this.#slots.length - 1)]!;
  }

  #grow(): void {
    const { length } = this.#slots;
    invariant(length < MAX_CAPACITY, `more than ${MAX_CAPACITY} commands are in flight`);
    const old = this.#slots;
    this.#slots = emptySlots(length * 2);
    for (const slot of old) if (slot !== null) this.#slots[slot.index & (length * 2 - 1)] = slot;
  }
}

/** Far above what maxUncommittedBytes lets into the log. */
const MAX_CAPACITY = 1 << 24;

function emptySlots(capacity: number): (Slot | null)[] {
  return Array.from({ length: capacity }, () => null);
}
