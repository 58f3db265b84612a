import type { Capabilities, WorkSpec } from "./objects.ts";
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
  minTtlMs: 1_000,
  maxTtlMs: 3_600_000,
  cancelGraceMs: 30_000,
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

/** Consul's lock delay: time for a lost holder's last writes to arrive before the next one starts. */
export const defaultLockDelayMs = 15_000;

/** Every default of a work item filled in. */
export const defaultWorkSpec: WorkSpec = {
  queue: "default",
  kind: "",
  payload: "",
  payloadUri: "",
  priority: 0,
  runAtMs: 0,
  deadlineMs: 0,
  scheduleToStartTimeoutMs: 0,
  startToCloseTimeoutMs: 0,
  heartbeatTimeoutMs: 0,
  maxAttempts: 3,
  maxLosses: 10,
  backoff: { initialMs: 1_000, multiplier: 2, maxMs: 300_000, jitter: 0.2 },
  uniqueKey: "",
  requires: null,
  jobId: null,
  ttlAfterFinishedMs: 0,
  createdBy: "",
};

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
