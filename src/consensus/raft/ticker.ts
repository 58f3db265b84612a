import type { Clock, Timer, Timers } from "#ports";
import type { CoreStamp } from "#raft";

/**
 * Turns elapsed time into ticks. Periods that a stall swallowed (a suspended process, a long garbage collection) are one
 * late tick: timers fire before the sockets are read, though the leader's heartbeats may be waiting there, and a burst of
 * ticks would elect over a leader that is well. For the same reason a late tick lets the waiting I/O go first.
 */
export class Ticker {
  readonly #tickMs: number;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #tick: (stamp: CoreStamp) => void;
  #timer: Timer | null = null;
  #lastMs = 0;

  constructor(tickMs: number, ports: { readonly clock: Clock; readonly timers: Timers }, tick: (stamp: CoreStamp) => void) {
    this.#tickMs = tickMs;
    this.#clock = ports.clock;
    this.#timers = ports.timers;
    this.#tick = tick;
  }

  start(): void {
    this.#lastMs = this.#clock.now().monotonicMs;
    this.#timer = this.#timers.every(this.#tickMs, () => this.#onTimer());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #onTimer(): void {
    const stamp = this.#clock.now();
    const isLate = stamp.monotonicMs - this.#lastMs >= 2 * this.#tickMs;
    this.#lastMs = stamp.monotonicMs;
    if (!isLate) return this.#tick(stamp);
    this.#timers.soon(() => {
      if (this.#timer !== null) this.#tick(this.#clock.now());
    });
  }
}
