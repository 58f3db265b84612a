import type { VoterOptions } from "#node";
import type { CheckerName } from "./checkers/checker.ts";
import type { Personality } from "./disk/disk.ts";
import { type LoadOptions, drawLoad } from "./load/options.ts";
import type { NetworkSettings } from "./network.ts";
import { Dice } from "./time/random.ts";

export const faultKinds = [
  "crash",
  "power",
  "pause",
  "slow-node",
  "partition",
  "one-way-cut",
  "loss",
  "duplicate",
  "clog",
  "delay",
  "reset",
  "slow-disk",
  "stall",
  "disk-full",
  "sync-error",
  "write-error",
  "read-error",
  "rot",
  "misdirect",
  "clock-drift",
  "clock-step",
  "clock-freeze",
  "wipe",
  "membership",
  "transfer",
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Everything that a run is made of. A pure function of the seed, and of what a caller overrides by name. */
export interface RunConfig {
  readonly seed: number;
  readonly voters: number;
  /** Nodes that are no voters at first: learners to be, or replacements. */
  readonly spares: number;
  readonly timing: VoterOptions["timing"];
  readonly raft: VoterOptions["raft"];
  readonly sessions: VoterOptions["sessions"];
  readonly network: NetworkSettings;
  /** Messages go through the wire format and back. */
  readonly overTheWire: boolean;
  readonly disk: { readonly personality: Personality; readonly syncMeanMs: number; readonly revertsOnFailedSync: boolean };
  /** Mean simulated seconds between two faults of a kind; kinds that are off are absent. */
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  /** After the faults only a majority comes back; the rest stays dead. */
  readonly onlyMajorityHeals: boolean;
  readonly load: LoadOptions;
  /** The costly search for a linearization at the end. */
  readonly searches: boolean;
  readonly phases: { readonly healthyMs: number; readonly faultsMs: number; readonly livenessMs: number };
}

/** What the shrinker and the command line may fix; the rest stays as the seed says. */
export interface RunOverrides {
  readonly minutes?: number;
  readonly voters?: number;
  readonly faults?: readonly FaultKind[];
  readonly clients?: number;
  /** Checkers whose reports do not count; the run goes on. */
  readonly without?: readonly CheckerName[];
}

const KiB = 1024;
const MiB = 1024 * KiB;

/**
 * Swarm testing (Groce et al., ISSTA '12): each run leaves out half of the faults, so that those that are there are not
 * drowned by the others.
 */
export function swarm(seed: number, overrides: RunOverrides = {}): RunConfig {
  const dice = new Dice(seed).fork("swarm");
  const voters = dice.pick([1, 2, 3, 3, 3, 5, 5, 5, 5, 7]);
  const spares = dice.pick([0, 0, 1, 2]);
  const tickMs = dice.pick([20, 25, 50]);
  const heartbeatMs = tickMs * dice.pick([2, 4]);
  const electionMs = heartbeatMs * dice.pick([4, 6, 10]);
  const snapshotEveryEntries = dice.pick([8, 50, 50, 200, 200, 1000, 1000, 1000]);
  const raft = {
    maxMessageBytes: dice.pick([512, 64 * KiB, MiB]),
    maxInflightBytes: dice.pick([1, 16 * KiB, 8 * MiB]),
    maxUncommittedBytes: dice.pick([64 * KiB, 64 * MiB]),
    snapshotEveryEntries,
    keepEntries: dice.pick([0, 5, 500]),
    segmentBytes: dice.pick([4 * KiB, 64 * KiB, 64 * KiB, 8 * MiB]),
    leaseReads: null,
  };
  const delayMeanMs = dice.logUniform(0.2, heartbeatMs / 8);
  const network = {
    delayMinMs: 0.05,
    delayMeanMs,
    queue: dice.pick([20, 1000, 1000]),
    reorders: dice.chance(0.1),
  };
  const disk = {
    personality: dice.pick(["ordered", "reorder", "worst-case"] as const),
    syncMeanMs: dice.logUniform(0.1, heartbeatMs / 8),
    revertsOnFailedSync: dice.chance(0.5),
  };
  const drawn: Partial<Record<FaultKind, number>> = {};
  for (const kind of faultKinds) {
    const isOn = dice.chance(0.5);
    const everySeconds = dice.logUniform(3, 60);
    if (isOn && (overrides.faults?.includes(kind) ?? true)) drawn[kind] = everySeconds;
  }
  const totalMs = (overrides.minutes ?? 5) * 60_000;
  return {
    seed,
    voters: overrides.voters ?? voters,
    spares,
    timing: { tickMs, heartbeatMs, electionMs },
    raft,
    sessions: { electionGraceMs: 3_000, renewIntervalMs: dice.pick([150, 1_000]) },
    network,
    overTheWire: dice.chance(0.1),
    disk,
    faults: dice.chance(0.05) ? {} : drawn,
    onlyMajorityHeals: dice.chance(0.2),
    load: loadOf(dice.fork("load"), snapshotEveryEntries, overrides.clients),
    searches: dice.fork("checkers").chance(0.1),
    phases: { healthyMs: Math.max(10_000, totalMs * 0.1), faultsMs: totalMs * 0.5, livenessMs: totalMs * 0.4 },
  };
}

/**
 * Whoever writes a snapshot every few entries has little work: each holds the whole state, and would cost more than all else.
 * An operation here is followed by two or three of the worker that takes the item on.
 */
function loadOf(dice: Dice, snapshotEveryEntries: number, clients?: number): LoadOptions {
  const drawn = drawLoad(dice);
  const load = clients === undefined ? drawn : { ...drawn, clients };
  const operationsPerSecond = snapshotEveryEntries < 50 ? 4 : dice.logUniform(4, snapshotEveryEntries < 200 ? 6 : 10);
  const isLarge = snapshotEveryEntries >= 200 && dice.chance(0.05);
  return { ...load, thinkMs: (1_000 * load.clients) / operationsPerSecond, payloadBytes: isLarge ? 10_000 : dice.pick([0, 100]) };
}
