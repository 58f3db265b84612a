import { monitorEventLoopDelay } from "node:perf_hooks";
import type { ProcessView } from "#observe";

/** A sample every 20 ms costs nothing that can be measured and still sees every stall that a heartbeat could feel. */
const RESOLUTION_MS = 20;

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
