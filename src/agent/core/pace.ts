import type { Random } from "#kernel";

/**
 * When an item's progress is sent. A chatty program is slowed to one report a second; a silent one still gets a heartbeat,
 * which is also how the agent hears of a cancel when its watch is behind.
 */
export class ProgressPace {
  readonly #heartbeatMs: number;
  #sentAtMs: number;
  #pending = false;

  /** `heartbeatTimeoutMs`: the item's own limit, 0 = none. */
  constructor(heartbeatTimeoutMs: number, nowMs: number) {
    this.#heartbeatMs = heartbeatTimeoutMs === 0 ? HEARTBEAT_MS : Math.min(HEARTBEAT_MS, heartbeatTimeoutMs / 3);
    this.#sentAtMs = nowMs;
  }

  reported(): void {
    this.#pending = true;
  }

  sent(nowMs: number): void {
    this.#sentAtMs = nowMs;
    this.#pending = false;
  }

  get nextAtMs(): number {
    return this.#sentAtMs + (this.#pending ? Math.min(LEAST_PAUSE_MS, this.#heartbeatMs) : this.#heartbeatMs);
  }
}

/** How many items to ask for: what is free, and none while draining. */
export function claimCount(slots: number, running: number, draining: boolean): number {
  return draining ? 0 : Math.max(0, slots - running);
}

/** Pause after the `failures`-th failed claim or open in a row. */
export function retryPauseMs(failures: number, random: Random): number {
  const full = Math.min(MAX_PAUSE_MS, 100 * 2 ** Math.min(failures, 10));
  return full / 2 + (full / 2) * random();
}

const HEARTBEAT_MS = 5_000;
const LEAST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 5_000;
