import { MonotonicMs, WallTimeMs } from "#kernel";
import type { Clock, Timer, Timers } from "#ports";

/** The real clocks: `performance.now` never jumps, `Date.now` follows the system's time and may. */
export function systemClock(): Clock {
  return { now: () => ({ monotonicMs: MonotonicMs(performance.now()), wallMs: WallTimeMs(Date.now()) }) };
}

/**
 * Timers of the event loop. Intervals are Node's: a busy loop skips beats instead of firing a burst of them afterwards,
 * which is what a tick source wants. All of them keep the process alive until they are cancelled.
 */
export function systemTimers(): Timers {
  return {
    after(delayMs, run): Timer {
      const handle = setTimeout(run, delayMs);
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
