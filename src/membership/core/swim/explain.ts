import { retransmitLimit } from "./broadcast-queue.ts";
import { pushPullIntervalMs } from "./derived.ts";
import type { SwimOptions } from "./options.ts";
import { suspicionBounds } from "./suspicion.ts";

/** Times in whole milliseconds from the crash on. */
export interface Quantiles {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface LossFigures {
  /** Share of datagrams that are lost, each on its own; streams are not. */
  readonly loss: number;
  /** Chance that one probe of a healthy member fails with all its second ways. */
  readonly failedProbe: number;
  /** False suspicions of the whole cluster in an hour. A suspicion that is refuted in time is no death. */
  readonly suspicionsPerHour: number;
  /** Packets that one node sends in a minute, indirect probes included. */
  readonly packetsPerMinute: number;
}

/** What a set of options means for a cluster of `members`. Figures of a model, not of a measurement. */
export interface SwimFigures {
  readonly members: number;
  readonly suspicionMinMs: number;
  readonly suspicionMaxMs: number;
  readonly confirmations: number;
  readonly retransmitLimit: number;
  readonly pushPullIntervalMs: number;
  readonly firstSuspicion: Quantiles;
  /** Every other member holds the crashed one dead. */
  readonly deadEverywhere: Quantiles;
  /** Longest time until one given member's own probe reaches the crashed one. */
  readonly worstOwnProbeMs: number;
  /** One ping and one ack per period, without loss and without gossip. */
  readonly idlePacketsPerMinute: number;
  readonly clusterPacketsPerMinute: number;
  /** Gossip alone, while there is something to tell. */
  readonly burstPacketsPerSecond: number;
  readonly burstBytesPerSecond: number;
  readonly loss: readonly LossFigures[];
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export function explainSwim(options: SwimOptions, members: number): SwimFigures {
  const { periodMs, gossipFanOut, gossipIntervalMs, datagramBytes } = options;
  const suspicion = suspicionBounds(members, options);
  const idle = (2 * MINUTE) / periodMs;
  const burst = (gossipFanOut * 1_000) / gossipIntervalMs;
  return {
    members,
    suspicionMinMs: suspicion.minMs,
    suspicionMaxMs: suspicion.maxMs,
    confirmations: suspicion.confirmations,
    retransmitLimit: retransmitLimit(members, options),
    pushPullIntervalMs: pushPullIntervalMs(options, members),
    firstSuspicion: quantiles((q) => firstSuspicionMs(options, members, q)),
    deadEverywhere: quantiles((q) => firstSuspicionMs(options, members, q) + suspicion.minMs + spreadMs(options, members)),
    worstOwnProbeMs: longestRoundMs(options, members),
    idlePacketsPerMinute: Math.round(idle),
    clusterPacketsPerMinute: Math.round(idle * members),
    burstPacketsPerSecond: Math.round(burst),
    burstBytesPerSecond: Math.round(burst * datagramBytes),
    loss: [0.01, 0.03, 0.05].map((loss) => lossFigures(options, members, loss)),
  };
}

/**
 * Members probe with periods that are not in step, so together they probe a given one about once a period, at random: the
 * wait is exponential with mean T, and no longer than one member's own round. The verdict on the ping comes one period later.
 */
function firstSuspicionMs(options: SwimOptions, members: number, quantile: number): number {
  const { periodMs } = options;
  return Math.min(-Math.log(1 - quantile) * periodMs, longestRoundMs(options, members)) + periodMs;
}

/** Round robin over shuffled lists (SWIM §4.3): first in one round, last in the next. */
function longestRoundMs({ periodMs }: SwimOptions, members: number): number {
  return Math.max(1, 2 * (members - 1) - 1) * periodMs;
}

/** Rumours that each teller passes to `fan-out` others reach everybody in about log_{1+f} n ticks. */
function spreadMs({ gossipFanOut, gossipIntervalMs }: SwimOptions, members: number): number {
  return gossipIntervalMs * (Math.log(members) / Math.log(1 + gossipFanOut));
}

/** A direct probe takes two packets, one through a relay four, and the stream stands in for one more relay at worst. */
function lossFigures(options: SwimOptions, members: number, loss: number): LossFigures {
  const { periodMs, streamProbe } = options;
  const relays = Math.min(options.indirectProbes, Math.max(0, members - 2));
  const directFails = 1 - (1 - loss) ** 2;
  const relayFails = 1 - (1 - loss) ** 4;
  const failedProbe = directFails * relayFails ** (relays + (streamProbe ? 1 : 0));
  const rounds = MINUTE / periodMs;
  return {
    loss,
    failedProbe,
    suspicionsPerHour: failedProbe * members * (HOUR / periodMs),
    packetsPerMinute: Math.round(rounds * (2 + directFails * 4 * relays)),
  };
}

function quantiles(at: (quantile: number) => number): Quantiles {
  return { p50Ms: Math.round(at(0.5)), p99Ms: Math.round(at(0.99)) };
}
