/** One thing that will happen. Cancelled by forgetting what to do. */
export interface Scheduled {
  readonly atMs: number;
  readonly sequence: number;
  run: (() => void) | null;
}

/**
 * Simulated time: a heap of events ordered by time, and by the order of scheduling where times are equal. Everything that
 * happens in a run happens as one of these events, so the order is a function of the seed alone.
 */
export class Scheduler {
  readonly #heap: Scheduled[] = [];
  /** What is due at once: nearly half of all events. In order as it stands, so it needs no heap. */
  #due: Scheduled[] = [];
  #firstDue = 0;
  #nowMs = 0;
  #sequence = 0;
  /** Events that ran. */
  executed = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): Scheduled {
    return this.at(this.#nowMs + delayMs, run);
  }

  at(atMs: number, run: () => void): Scheduled {
    const event: Scheduled = { atMs: atMs > this.#nowMs ? atMs : this.#nowMs, sequence: this.#sequence++, run };
    if (event.atMs === this.#nowMs) this.#due.push(event);
    else this.#push(event);
    return event;
  }

  /** Runs the next event and moves time to it; false when there is none up to `untilMs`, where time then stands. */
  step(untilMs: number): boolean {
    for (;;) {
      const next = this.#takeNext(untilMs);
      if (next === null) {
        this.#nowMs = Math.max(this.#nowMs, untilMs);
        return false;
      }
      const { run } = next;
      if (run === null) continue;
      this.#nowMs = next.atMs;
      this.executed += 1;
      next.run = null;
      run();
      return true;
    }
  }

  #takeNext(untilMs: number): Scheduled | null {
    const due = this.#firstDue < this.#due.length ? this.#due[this.#firstDue] : undefined;
    const later = this.#heap[0];
    if (due !== undefined && (later === undefined || isBefore(due, later))) {
      this.#firstDue += 1;
      if (this.#firstDue === this.#due.length && this.#firstDue >= DUE_KEPT) {
        this.#due = [];
        this.#firstDue = 0;
      }
      return due;
    }
    if (later === undefined || later.atMs > untilMs) return null;
    this.#pop();
    return later;
  }

  #push(event: Scheduled): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    const size = heap.length;
    if (size === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

/** What has run is dropped so many at a time: an array that is emptied for each event is made anew for each. */
const DUE_KEPT = 1024;

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}
