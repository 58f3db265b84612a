import type { LogIndex } from "#kernel";

/** Readers that wait until an index is applied here. Few and short-lived; the common read finds its index applied already. */
export class AppliedWaiters {
  #waiting: Waiting[] = [];

  get size(): number {
    return this.#waiting.length;
  }

  /** Resolves with true when `index` is applied, with false at `deadlineMs` or at the end of the node. */
  wait(index: LogIndex, deadlineMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      this.#waiting.push({ index, deadlineMs, resolve });
    });
  }

  applied(index: LogIndex): void {
    if (this.#waiting.length > 0) this.#settle((waiting) => waiting.index <= index, true);
  }

  expire(nowMs: number): void {
    if (this.#waiting.length > 0) this.#settle((waiting) => waiting.deadlineMs <= nowMs, false);
  }

  stop(): void {
    this.#settle(() => true, false);
  }

  #settle(isDue: (waiting: Waiting) => boolean, reached: boolean): void {
    const due = this.#waiting.filter(isDue);
    if (due.length === 0) return;
    this.#waiting = this.#waiting.filter((waiting) => !isDue(waiting));
    for (const { resolve } of due) resolve(reached);
  }
}

interface Waiting {
  readonly index: LogIndex;
  readonly deadlineMs: number;
  readonly resolve: (reached: boolean) => void;
}
