import type { Dice } from "../time/random.ts";

/** What clients do; each run does some of it. Workers are always there, or nothing would ever finish. */
export const actionKinds = [
  "enqueue",
  "submitJob",
  "cancelWork",
  "requeueWork",
  "lock",
  "alias",
  "read",
  "staleRead",
  "watch",
  "withoutSession",
  "death",
  "forceRelease",
] as const;

export type ActionKind = (typeof actionKinds)[number];

export interface LoadOptions {
  readonly clients: number;
  /** Locks, models and queues: fewer means more contention. */
  readonly keys: number;
  readonly actions: readonly ActionKind[];
  /** Mean pause of a client between two operations. */
  readonly thinkMs: number;
  readonly sessionTtlMs: number;
  /** Share of writes whose bytes are sent a second time, as a client does that lost its patience. */
  readonly echo: number;
  readonly payloadBytes: number;
  /** Finished items are removed after this long; 0 = kept. */
  readonly keepFinishedMs: number;
}

/**
 * Whoever writes a snapshot every few entries has little work and keeps none of it: each holds the whole state, and would cost
 * more than all else.
 */
export function drawLoad(dice: Dice, snapshotEveryEntries: number, givenClients?: number): LoadOptions {
  const drawn = actionKinds.filter(() => dice.chance(0.7));
  const drawnClients = dice.int(1, 16);
  const clients = givenClients ?? drawnClients;
  // Of their own accord, some of which come to nothing. Workers, who take on what is there, add one or two to each.
  const operationsPerSecond = snapshotEveryEntries < 50 ? 5 : dice.logUniform(5, snapshotEveryEntries < 200 ? 7 : 10);
  const isLarge = snapshotEveryEntries >= 200 && dice.chance(0.05);
  return {
    clients,
    keys: dice.int(1, 10),
    // Without work to do there is nothing to lose.
    actions: drawn.includes("enqueue") ? drawn : [...drawn, "enqueue"],
    thinkMs: (1_000 * clients) / operationsPerSecond,
    sessionTtlMs: dice.pick([2_000, 5_000, 10_000]),
    echo: dice.pick([0, 0.05, 0.3]),
    payloadBytes: isLarge ? 10_000 : dice.pick([0, 100]),
    keepFinishedMs: dice.pick([snapshotEveryEntries < 200 ? 30_000 : 0, 5_000, 30_000, 30_000]),
  };
}
