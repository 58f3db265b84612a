/** What one request may hold. Checked when a command is decoded, so that nothing larger is ever proposed (docs/limits.md). */
export const codecLimits = {
  /** Names, keys, ids and queues. */
  maxNameBytes: 256,
  /** Messages, reasons, URIs, label values. */
  maxTextBytes: 4_096,
  /** `payload` and `result`. */
  maxPayloadBytes: 65_536,
  /** Labels, tags, metrics, label rules, GPU models: entries of one map or list. */
  maxEntries: 128,
  maxGuards: 16,
  maxQueuesPerClaim: 32,
  maxClaimItems: 1_000,
  maxClaimWaitMs: 60_000,
  maxItemsPerJob: 1_000,
  maxSessionsPerRenewal: 10_000,
  maxNodesPerVerdict: 10_000,
  minTtlMs: 1_000,
  maxTtlMs: 3_600_000,
  /** Ten years: a duration beyond it is a mistake in units. */
  maxDurationMs: 315_360_000_000,
  maxAttempts: 1_000,
} as const;

/** What an absent field of a command means. Proto3 cannot tell 0 from absent, so 0 asks for the default too. */
export const commandDefaults = {
  queue: "default",
  maxAttempts: 3,
  maxLosses: 10,
  backoff: { initialMs: 1_000, multiplier: 2, maxMs: 300_000, jitter: 0.2 },
  maxClaimItems: 1,
  sessionTtlMs: 15_000,
  /** Consul's lock delay: time for a lost holder's last writes to arrive before the next one starts. */
  lockDelayMs: 15_000,
} as const;
