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

export function drawLoad(dice: Dice): LoadOptions {
  const drawn = actionKinds.filter(() => dice.chance(0.7));
  const clients = dice.int(1, 16);
  const perSecond = dice.logUniform(15, 50);
  return {
    clients,
    keys: dice.int(1, 10),
    // Without work to do there is nothing to lose.
    actions: drawn.includes("enqueue") ? drawn : [...drawn, "enqueue"],
    thinkMs: (LANES * clients * 1_000) / perSecond,
    sessionTtlMs: dice.pick([2_000, 5_000, 10_000]),
    echo: dice.pick([0, 0.05, 0.3]),
    payloadBytes: dice.pick([0, 0, 100, 100, 2_000]),
    keepFinishedMs: dice.pick([0, 5_000, 30_000, 30_000]),
  };
}

/** Of one client: one does this and that, the other works. */
const LANES = 2;
