import { MonotonicMs, WallTimeMs } from "#kernel";
import type { Clock, Timer, Timers } from "#ports";

/** The real clocks: `performance.now` never jumps, `Date.now` follows the system's time and may. */
export function systemClock(): Clock {
  return { now: () => ({ monotonicMs: MonotonicMs(performance.now()), wallMs: WallTimeMs(Date.now()) }) };
}

/** Node runs a timer with a longer delay at once: a handler's timeout of a month ended it after a millisecond. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/**
 * Timers of the event loop. Intervals are Node's: a busy loop skips beats instead of firing a burst of them afterwards,
 * which is what a tick source wants. All of them keep the process alive until they are cancelled.
 */
export function systemTimers(): Timers {
  return {
    after(delayMs, run): Timer {
      let handle: NodeJS.Timeout;
      const arm = (leftMs: number): void => {
        if (leftMs <= MAX_DELAY_MS) handle = setTimeout(run, leftMs);
        else handle = setTimeout(() => arm(leftMs - MAX_DELAY_MS), MAX_DELAY_MS);
      };
      arm(delayMs);
      return { cancel: () => clearTimeout(handle) };
    },
    every(periodMs, run): Timer {
      const handle = setInterval(run, periodMs);
      return { cancel: () => clearInterval(handle) };
    },
    soon(run): void {
      setImmediate(run);
    },
  };
}
