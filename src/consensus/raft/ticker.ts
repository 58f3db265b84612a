import type { CoreStamp, Role } from "#raft";
import type { Clock, Timer, Timers } from "#ports";

export interface TickerOptions {
  readonly tickMs: number;
  readonly electionTicks: number;
}

/**
 * Turns elapsed time into ticks: one per period, however late the timer fires, and never in a burst that elects.
 *
 * After a stall (a suspended process, a long garbage collection) the timers fire before the sockets are read, though the
 * leader's heartbeats may be waiting there. So late ticks are stepped only after the waiting I/O has been handed out, and
 * there are too few of them to use up an election timeout on their own. A leader gets more of them: CheckQuorum shall soon
 * notice that the others went on without it.
 */
export class Ticker {
  readonly #options: TickerOptions;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #tick: (stamp: CoreStamp) => void;
  readonly #role: () => Role;
  #timer: Timer | null = null;
  #tickedUpToMs = 0;

  constructor(
    options: TickerOptions,
    ports: { readonly clock: Clock; readonly timers: Timers },
    core: { readonly tick: (stamp: CoreStamp) => void; readonly role: () => Role },
  ) {
    this.#options = options;
    this.#clock = ports.clock;
    this.#timers = ports.timers;
    this.#tick = core.tick;
    this.#role = core.role;
  }

  start(): void {
    this.#tickedUpToMs = this.#clock.now().monotonicMs;
    this.#timer = this.#timers.every(this.#options.tickMs, () => this.#onTimer());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #onTimer(): void {
    const periods = this.#periodsElapsed();
    if (periods <= 1) return this.#fire(periods);
    this.#timers.soon(() => {
      if (this.#timer !== null) this.#fire(Math.min(periods, this.#mostTicksAfterStall()));
    });
  }

  /** Timers may fire a little early; half a period of tolerance keeps the long-run rate without losing a beat. */
  #periodsElapsed(): number {
    const { tickMs } = this.#options;
    const periods = Math.floor((this.#clock.now().monotonicMs - this.#tickedUpToMs) / tickMs + 0.5);
    this.#tickedUpToMs += periods * tickMs;
    return periods;
  }

  #mostTicksAfterStall(): number {
    const { electionTicks } = this.#options;
    return Math.max(1, this.#role() === "leader" ? electionTicks - 1 : electionTicks >> 1);
  }

  #fire(count: number): void {
    for (let fired = 0; fired < count; fired += 1) this.#tick(this.#clock.now());
  }
}
