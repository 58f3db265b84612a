import { NodeId } from "#kernel";
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
  "stop",
  "disk-low",
  "damaged-end",
  "clone",
  "succession",
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
  readonly election: VoterOptions["election"];
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

/** Of a run that reads by lease: no clock of it goes faster or slower than by half of this. */
const CLOCK_DRIFT_BOUND = 0.1;
export const MIN_FREE_BYTES = 1e9;
const KiB = 1024;
const MiB = 1024 * KiB;

/**
 * Swarm testing (Groce et al., ISSTA '12): each run leaves out half of the faults, so that those that are there are not
 * drowned by the others.
 */
export function swarm(seed: number, overrides: RunOverrides = {}): RunConfig {
  const dice = new Dice(seed).fork("swarm");
  const voters = dice.pick([1, 2, 3, 3, 3, 5, 5, 5, 5, 7]);
  const spares = dice.pick([0, 1, 1, 2]);
  // Ratios are what matters to Raft; shorter ticks cost more events for the same number of elections.
  const tickMs = dice.pick([25, 50, 50]);
  const heartbeatMs = tickMs * dice.pick([2, 4]);
  const electionMs = heartbeatMs * dice.pick([4, 6, 10]);
  const readsByLease = dice.fork("lease reads").chance(0.25);
  const snapshotEveryEntries = dice.pick([20, 50, 100, 200, 200, 1000, 1000, 1000]);
  // The least of both lets every entry travel alone; but one at a time, nobody would ever catch up.
  const maxMessageBytes = dice.pick([1, 512, 64 * KiB, MiB]);
  const maxInflightBytes = dice.pick([1, 16 * KiB, 8 * MiB]);
  const raft = {
    maxMessageBytes,
    maxInflightBytes: maxMessageBytes === 1 ? Math.max(maxInflightBytes, 16 * KiB) : maxInflightBytes,
    maxUncommittedBytes: dice.pick([64 * KiB, 64 * MiB]),
    snapshotEveryEntries,
    keepEntries: dice.pick([0, 5, 500]),
    segmentBytes: dice.pick([4 * KiB, 64 * KiB, 64 * KiB, MiB]),
    minFreeBytes: MIN_FREE_BYTES,
    leaseReads: readsByLease ? { leaseMs: Math.floor(electionMs * (1 - CLOCK_DRIFT_BOUND) - 2 * tickMs) } : null,
  };
  const delayMeanMs = dice.logUniform(0.2, heartbeatMs / 8);
  const network = {
    delayMinMs: 0.05,
    delayMeanMs,
    queue: dice.pick([20, 1000, 1000]),
    // Entries that travel alone and overtake each other are refused one by one: that is all such a run would be about, at more
    // than twice the cost, and a follower that is slow as well would never catch up.
    reorders: dice.chance(0.25) && maxMessageBytes > 1,
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
  // A clock that stands drifts more than any bound, and leases are off where a site cannot promise one.
  if (readsByLease) delete drawn["clock-freeze"];
  const election = electionOf(dice.fork("election"), overrides.voters ?? voters, readsByLease);
  // Nobody promises that who was removed disturbs nobody when votes are given in a leader's presence.
  if (!guardsLeader(election)) for (const kind of ["membership", "wipe", "rot", "misdirect"] as const) delete drawn[kind];
  const totalMs = (overrides.minutes ?? 5) * 60_000;
  return {
    seed,
    voters: overrides.voters ?? voters,
    spares,
    timing: { tickMs, heartbeatMs, electionMs },
    raft,
    election,
    sessions: { electionGraceMs: 3_000, renewIntervalMs: dice.pick([150, 1_000]) },
    network,
    overTheWire: dice.chance(0.1),
    disk,
    faults: dice.chance(0.05) ? {} : drawn,
    onlyMajorityHeals: dice.chance(0.2),
    load: drawLoad(dice.fork("load"), snapshotEveryEntries, overrides.clients),
    searches: dice.fork("checkers").chance(0.1),
    phases: { healthyMs: Math.max(10_000, totalMs * 0.1), faultsMs: totalMs * 0.5, livenessMs: totalMs * 0.4 },
  };
}

/** Without PreVote or CheckQuorum in a tenth of the runs, as in the paper; leases need both. */
function electionOf(dice: Dice, voters: number, readsByLease: boolean): VoterOptions["election"] {
  const hasPriorities = dice.chance(0.3);
  const priorities = new Map(Array.from({ length: hasPriorities ? voters : 0 }, (_, at) => [nodeName(at), voters - at]));
  const preempt = hasPriorities && dice.chance(0.5);
  const isBare = dice.chance(0.1) && !readsByLease;
  const [preVote, checkQuorum] = isBare
    ? dice.pick([
        [false, false],
        [true, false],
        [false, true],
      ] as const)
    : [true, true];
  return { priorities, preempt, preVote, checkQuorum };
}

/** Whether nobody who comes back to a healthy cluster may depose its leader. */
function guardsLeader({ preVote = true, checkQuorum = true }: VoterOptions["election"]): boolean {
  return preVote && checkQuorum;
}

/** Whether the lead of a healthy cluster stays where it is. */
export const keepsLeader = (election: VoterOptions["election"]): boolean => guardsLeader(election) && !election.preempt;

export const nodeName = (at: number): NodeId => NodeId(`n${at + 1}`);
