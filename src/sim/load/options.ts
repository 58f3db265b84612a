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
  readonly actions: ReadonlySet<ActionKind>;
  /** Mean pause of a client between two operations. */
  readonly thinkMs: number;
  readonly sessionTtlMs: number;
  /** Share of writes whose bytes are sent a second time, as a client does that lost its patience. */
  readonly echo: number;
  readonly payloadBytes: number;
}

export function drawLoad(dice: Dice): LoadOptions {
  const drawn = actionKinds.filter(() => dice.chance(0.7));
  return {
    clients: dice.int(1, 16),
    keys: dice.int(1, 10),
    // Without work to do there is nothing to lose.
    actions: new Set<ActionKind>([...drawn, "enqueue"]),
    thinkMs: dice.logUniform(30, 500),
    sessionTtlMs: dice.pick([2_000, 5_000, 15_000]),
    echo: dice.pick([0, 0.05, 0.3]),
    payloadBytes: dice.pick([0, 100, 10_000]),
  };
}
