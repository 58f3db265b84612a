import type { SwimOptions } from "./options.ts";
import { suspicionBounds } from "./suspicion.ts";

/** What the options become among `n` members, this node included. */

/** Longest suspicion, while nobody confirms. */
export function suspicionMaxMs(options: SwimOptions, n: number): number {
  return suspicionBounds(n, options).maxMs;
}

/** Pause between two full exchanges: as set up to `pushPullScaleFrom` members, then longer with every doubling. */
export function pushPullIntervalMs(options: SwimOptions, n: number): number {
  if (n <= options.pushPullScaleFrom) return options.pushPullIntervalMs;
  return options.pushPullIntervalMs * (1 + Math.ceil(Math.log2(n / options.pushPullScaleFrom)));
}

/**
 * How long two views must differ before that is no mere moment in which news is on its way. Twice as long among so many that a
 * full exchange is dear.
 */
export function disagreementMs(options: SwimOptions, n: number): number {
  return options.repairIntervalMs / (n <= options.pushPullScaleFrom ? 4 : 2);
}
