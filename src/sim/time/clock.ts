import { type MonotonicMs, WallTimeMs } from "#kernel";
import type { Stamp } from "#ports";

/** The clocks of one machine: the monotonic one may run a little fast or slow, the wall clock may stand anywhere. */
export class SimClock {
  /** Of the monotonic clock against the world's. */
  #rate = 1;
  #anchorMs = 0;
  #anchorMonotonicMs: number;
  #wallOffsetMs: number;
  #frozen: Stamp | null = null;

  constructor(bootedAtMs: number, wallOffsetMs: number) {
    this.#anchorMonotonicMs = bootedAtMs;
    this.#wallOffsetMs = wallOffsetMs;
  }

  get rate(): number {
    return this.#rate;
  }

  now(nowMs: number): Stamp {
    if (this.#frozen !== null) return this.#frozen;
    const monotonicMs = this.#anchorMonotonicMs + (nowMs - this.#anchorMs) * this.#rate;
    return { monotonicMs: monotonicMs as MonotonicMs, wallMs: WallTimeMs(Math.floor(monotonicMs + this.#wallOffsetMs)) };
  }

  drift(nowMs: number, rate: number): void {
    this.#anchorMonotonicMs += (nowMs - this.#anchorMs) * this.#rate;
    this.#anchorMs = nowMs;
    this.#rate = rate;
  }

  /** Someone sets the wall clock. */
  step(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** Both clocks stand still (a broken hypervisor), until {@link thaw}. */
  freeze(nowMs: number): void {
    this.#frozen = this.now(nowMs);
  }

  thaw(): void {
    this.#frozen = null;
  }
}
