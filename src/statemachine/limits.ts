import type { Capabilities } from "./objects.ts";
import type { MachineLimits } from "./machine-types.ts";

/** The limits of a production cluster. All voters must run with the same: they decide what is refused. */
export const defaultLimits: MachineLimits = {
  maxPayloadBytes: 65_536,
  maxItemsPerJob: 1_000,
  maxClaimItems: 100,
  maxQueuedItems: 1_000_000,
  maxSessions: 10_000,
  maxRepliesPerSession: 4_096,
  maxWaitersPerLock: 1_000,
  maxLocks: 100_000,
  maxModels: 10_000,
  maxVersionsPerModel: 100_000,
  maxTimersPerEntry: 1_000,
  maxNodes: 10_000,
  minTtlMs: 1_000,
  maxTtlMs: 3_600_000,
  cancelGraceMs: 30_000,
  nodeDownGraceMs: 10_000,
};

/** Sizes that no cluster needs to change. Bytes are of UTF-8. */
export const fixedLimits = {
  nameBytes: 256,
  textBytes: 4_096,
  mapEntries: 64,
  listEntries: 64,
  sessionsPerRenewal: 10_000,
  guards: 16,
  attemptsKept: 10,
  aliasHistoryKept: 50,
  /** Ten years: longer than any duration that makes sense, short enough that a sum of two stays exact. */
  durationMs: 315_576_000_000,
  /** The last instant that a Date can show. */
  wallMs: 8_640_000_000_000_000,
  lockDelayMs: 60_000,
  attempts: 1_000,
} as const;

/** A worker that offers nothing but itself: it claims items without requirements. */
export const emptyCapabilities: Capabilities = {
  gpuCount: 0,
  gpuMemoryMib: 0,
  cpu: 0,
  memoryMib: 0,
  diskMib: 0,
  gpuModel: "",
  cuda: 0,
  labels: {},
};
