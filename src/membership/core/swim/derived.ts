import type { SwimOptions } from "./options.ts";

/** What the options become among `n` members, this node included. */

/** Shortest suspicion, reached when K others confirm. It grows with the logarithm of n, as the time does that gossip needs. */
export function suspicionMinMs({ suspicionMultiplier, periodMs }: SwimOptions, n: number): number {
  return Math.round(suspicionMultiplier * Math.max(1, Math.log10(Math.max(1, n))) * periodMs);
}

/** Longest suspicion, while nobody confirms (Lifeguard). */
export function suspicionMaxMs(options: SwimOptions, n: number): number {
  return Math.round(options.suspicionMaxMultiplier * suspicionMinMs(options, n));
}

/** K, or 0 where too few others exist to confirm: then every suspicion is of the shortest kind. */
export function confirmationsNeeded({ suspicionConfirmations }: SwimOptions, n: number): number {
  return n - 2 < suspicionConfirmations ? 0 : suspicionConfirmations;
}

/** How often each member passes one record on. */
export function retransmitLimit({ retransmitMultiplier }: SwimOptions, n: number): number {
  return retransmitMultiplier * Math.ceil(Math.log10(n + 1));
}

/** Pause between two full exchanges: as set up to `pushPullScaleFrom` members, then longer with every doubling. */
export function pushPullIntervalMs(options: SwimOptions, n: number): number {
  if (n <= options.pushPullScaleFrom) return options.pushPullIntervalMs;
  return options.pushPullIntervalMs * (1 + Math.ceil(Math.log2(n / options.pushPullScaleFrom)));
}
