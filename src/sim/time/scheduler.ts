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
    this.#push(event);
    return event;
  }

  /** Runs the next event and moves time to it; false when there is none up to `untilMs`, where time then stands. */
  step(untilMs: number): boolean {
    const heap = this.#heap;
    for (;;) {
      const next = heap[0];
      if (next === undefined || next.atMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs);
        return false;
      }
      this.#pop();
      const { run } = next;
      if (run === null) continue;
      this.#nowMs = next.atMs;
      this.executed += 1;
      next.run = null;
      run();
      return true;
    }
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

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}
