import type { Sequence } from "#kernel";

/**
 * A session's request counter and what of it is still open. `firstUnacked` goes with every command: the server may forget
 * the replies below it (Ongaro's thesis §6.3), so a sequence is settled only when nobody will ask for its answer again.
 */
export class SequenceWindow {
  #next = 1;
  #first = 1;
  /** Settled out of order: above `#first`, which is open. */
  readonly #settled = new Set<number>();

  /** The oldest sequence whose answer may still be wanted; the next one when all are settled. */
  get firstUnacked(): Sequence {
    return this.#first as Sequence;
  }

  /** How many replies the server may have to keep for this session. */
  get span(): number {
    return this.#next - this.#first;
  }

  take(): Sequence {
    return this.#next++ as Sequence;
  }

  /** Idempotent: a sequence that is settled already, or was never taken, changes nothing. */
  settle(sequence: Sequence): void {
    if (sequence < this.#first || sequence >= this.#next) return;
    if (sequence !== this.#first) {
      this.#settled.add(sequence);
      return;
    }
    this.#first++;
    while (this.#settled.delete(this.#first)) this.#first++;
  }
}
