import { monitorEventLoopDelay } from "node:perf_hooks";
import type { ProcessView } from "#observe";

/**
 * One heartbeat of the fastest profile, so that a stall which a peer could feel is seen. Every sample wakes the thread: taken
 * each 20 ms they were a fifth of an idle voter's processor time.
 */
const RESOLUTION_MS = 100;

/** Returns a function that looks at this process; the event loop's delay is counted since the look before. */
export function processViewer(): () => ProcessView {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  const startTimeSeconds = performance.timeOrigin / 1_000;
  return () => {
    const { user, system } = process.cpuUsage();
    // The histogram counts the resolution itself as delay.
    const lagMs = delay.count === 0 ? 0 : Math.max(0, delay.percentile(99) / 1e6 - RESOLUTION_MS);
    delay.reset();
    return {
      eventLoopLagSeconds: lagMs / 1_000,
      residentBytes: process.memoryUsage.rss(),
      cpuSeconds: (user + system) / 1e6,
      startTimeSeconds,
    };
  };
}
