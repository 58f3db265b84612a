import type { MonotonicMs, WallTimeMs } from "#kernel";

/** One reading of both clocks, taken together. */
export interface Stamp {
  readonly monotonicMs: MonotonicMs;
  readonly wallMs: WallTimeMs;
}

export interface Clock {
  now(): Stamp;
}

export interface Timer {
  cancel(): void;
}

/** Timers that a shell sets. Cores count ticks instead. */
export interface Timers {
  after(delayMs: number, run: () => void): Timer;
  every(periodMs: number, run: () => void): Timer;
  /** Runs once, after the I/O events that are already waiting have been handed out: one batch per loop turn. */
  soon(run: () => void): void;
}
