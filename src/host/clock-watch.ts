import type { Clock, Log, Timer, Timers } from "#ports";
import type { Counter } from "#observe";

/**
 * Raises CLOCK_JUMP when the wall clock steps against the monotonic one: somebody set the time, a virtual machine was moved or
 * restored, or the machine slept. Leases do not care, since they run by the log's clock; schedules by wall time and the log's
 * dates do. A clock that is slewed, even for hours, changes too little between two looks to be noticed.
 */
export function watchWallClock(clock: Clock, timers: Timers, log: Log, jumps: Counter): Timer {
  let lastOffsetMs = offsetMs(clock);
  return timers.every(LOOK_PERIOD_MS, () => {
    const nowMs = offsetMs(clock);
    const stepMs = Math.round(nowMs - lastOffsetMs);
    lastOffsetMs = nowMs;
    if (Math.abs(stepMs) <= MAX_STEP_MS) return;
    jumps.add();
    log.warn("CLOCK_JUMP: the wall clock stepped against the monotonic clock", { step_ms: stepMs });
  });
}

function offsetMs(clock: Clock): number {
  const { wallMs, monotonicMs } = clock.now();
  return wallMs - monotonicMs;
}

const LOOK_PERIOD_MS = 1_000;
const MAX_STEP_MS = 1_000;
