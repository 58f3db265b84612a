import type { RejectReason, SwimCounters } from "./types.ts";

/** Counted since the boot. */
export interface Counters extends Mutable<Omit<SwimCounters, "rejected">> {
  readonly rejected: Record<RejectReason, number>;
}

export function newCounters(): Counters {
  return {
    datagramsSent: 0,
    datagramsReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
    probes: 0,
    failedProbes: 0,
    indirectAcks: 0,
    nacks: 0,
    streamAcks: 0,
    suspicionsRefuted: 0,
    pushPulls: 0,
    repairs: 0,
    selfHealed: 0,
    refusedFull: 0,
    unknownMessages: 0,
    rejected: {
      "too-short": 0,
      "too-long": 0,
      version: 0,
      label: 0,
      "source-budget": 0,
      "unknown-key": 0,
      forged: 0,
      replayed: 0,
      malformed: 0,
      "not-allowed": 0,
      "wrong-target": 0,
      implausible: 0,
    },
  };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
