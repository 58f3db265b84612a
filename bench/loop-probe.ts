import { appendFileSync } from "node:fs";
import { monitorEventLoopDelay, PerformanceObserver } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

/** What a process's main thread says of itself, one line of JSON each {@link PERIOD_MS}. Preloaded into the process under test. */
export interface LoopSample {
  /** As Date.now(). */
  readonly atMs: number;
  /** The longest that the event loop was late in this period, garbage collection included. */
  readonly pauseMs: number;
  readonly collectionMs: number;
  readonly residentBytes: number;
  /** Processor time since the start, all threads. */
  readonly cpuMs: number;
}

const PERIOD_MS = 100;
/** Also what a sample may be wrong by. */
const RESOLUTION_MS = 1;

const file = process.env["RINGRAFT_LOOP_PROBE"];
if (isMainThread && file !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  let collectionMs = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) collectionMs = Math.max(collectionMs, duration);
  }).observe({ entryTypes: ["gc"] });
  setInterval(() => {
    const pauseMs = Math.max(0, delay.max / 1e6 - RESOLUTION_MS);
    const { user, system } = process.cpuUsage();
    const residentBytes = process.memoryUsage.rss();
    const sample: LoopSample = { atMs: Date.now(), pauseMs, collectionMs, residentBytes, cpuMs: (user + system) / 1_000 };
    delay.reset();
    collectionMs = 0;
    appendFileSync(file, `${JSON.stringify(sample)}\n`);
  }, PERIOD_MS).unref();
}
