import type { Revision } from "#kernel";
import type { Event } from "#statemachine";

export interface HistoryOptions {
  readonly maxEvents: number;
  /** Estimate of what the remembered object versions hold alive. */
  readonly maxBytes: number;
}

/** All events of one revision, at least one: a watch never sees half of them. */
export type Change = readonly Event[];

/** The newest changes, oldest first, bounded by events and by bytes. Watches read it with a cursor and copy nothing. */
export class History {
  readonly #options: HistoryOptions;
  #changes: (Change | undefined)[] = [];
  /** Position of the oldest change in the array; what lies before it is forgotten and freed now and then. */
  #head = 0;
  /** Position of the oldest change counted from the start of this history: cursors stay valid while the array moves. */
  #dropped = 0;
  #events = 0;
  #bytes = 0;
  #completeFrom: number;

  constructor(options: HistoryOptions, appliedRevision: Revision) {
    this.#options = options;
    this.#completeFrom = appliedRevision + 1;
  }

  /** Every change from this revision on is here. */
  get completeFrom(): Revision {
    return this.#completeFrom as Revision;
  }

  push(change: Change): void {
    this.#changes.push(change);
    this.#events += change.length;
    this.#bytes += estimatedBytes(change);
    while (this.#isOver()) this.#dropOldest();
  }

  /** The cursor of the first change at or after `revision`. */
  seek(revision: Revision): number {
    let low = this.#head;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (revisionOf(this.#changes[middle]!) < revision) low = middle + 1;
      else high = middle;
    }
    return low - this.#head + this.#dropped;
  }

  /** `undefined`: nothing there yet. `null`: forgotten already. */
  at(cursor: number): Change | undefined | null {
    return cursor < this.#dropped ? null : this.#changes[cursor - this.#dropped + this.#head];
  }

  #isOver(): boolean {
    const { maxEvents, maxBytes } = this.#options;
    return (this.#events > maxEvents || this.#bytes > maxBytes) && this.#changes.length - this.#head > 1;
  }

  #dropOldest(): void {
    const oldest = this.#changes[this.#head]!;
    this.#changes[this.#head] = undefined;
    this.#head += 1;
    this.#dropped += 1;
    this.#events -= oldest.length;
    this.#bytes -= estimatedBytes(oldest);
    this.#completeFrom = revisionOf(oldest) + 1;
    if (this.#head < COMPACT_AT || this.#head * 2 < this.#changes.length) return;
    this.#changes = this.#changes.slice(this.#head);
    this.#head = 0;
  }
}

export function revisionOf(change: Change): Revision {
  return change[0]!.revision;
}

const COMPACT_AT = 1_024;
const OBJECT_BYTES = 512;

/** Payloads are what varies; versions of one item share theirs, so this errs on the safe side. */
function estimatedBytes(events: readonly Event[]): number {
  let bytes = 0;
  for (const { object } of events) {
    bytes += OBJECT_BYTES;
    if (object?.kind === "work") bytes += object.value.spec.payload.length + object.value.result.length;
  }
  return bytes;
}
