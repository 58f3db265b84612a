import type { NodeId } from "#kernel";
import { type Committed, type Proposal, Verdicts } from "#membership";
import type { Voter } from "#node";
import type { NodeMetrics } from "#observe";
import type { Clock, Log, Timers } from "#ports";
import { NODES_LEVEL, type Reader } from "#statemachine";
import { type ViewOptions, askView } from "./peer-grpc/index.ts";
import type { Pulse } from "./pulse/index.ts";

interface VerdictHost {
  readonly voter: Pick<Voter, "replica" | "propose">;
  readonly pulse: Pick<Pulse, "testimony" | "remove">;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  readonly metrics: Pick<NodeMetrics, "verdicts">;
}

/** Joins what this voter's detector sees, what the other voters say that theirs see, and the log. */
export function startVerdicts(views: ViewOptions, { voter, pulse, clock, timers, log, metrics }: VerdictHost): Verdicts {
  let isLevelTold = false;
  return new Verdicts(views.self, {
    clock,
    timers,
    log,
    look: (about) => pulse.testimony(about),
    ask: (peer, about) => askView(views, peer, about),
    committed: async () => {
      const read = await voter.replica.read({ mode: "stale" }, recordsIn);
      // A quarantined voter must not act on its state.
      if (!read.ok) return null;
      const { level, ...records } = read.value.value;
      const leads = leadershipOf(voter);
      if (level >= NODES_LEVEL) return { index: read.value.revision, leads, ...records };
      if (leads !== null && !isLevelTold) {
        isLevelTold = true;
        log.warn("what the detectors find is not recorded: run `ringraft cluster upgrade`", { feature_level: level });
      }
      return null;
    },
    propose: (proposals) => {
      const proposed = voter.propose(proposals);
      return proposed.ok ? proposed : null;
    },
    remove: (removals) => {
      for (const { kind, member } of removals) log.info(`${kind}: as the log says`, { member });
      pulse.remove(removals);
    },
    onProposed: (kind) => metrics.verdicts(verdictNames[kind]),
  });
}

function recordsIn(reader: Reader): Pick<Committed, "nodes" | "partition"> & { readonly level: number } {
  const partition = reader.partition();
  return {
    level: reader.featureLevel(),
    nodes: new Map(reader.listNodes().map(({ node }) => [node.nodeId, node] as const)),
    partition: partition?.state === "SUSPECTED" ? partition.lost : null,
  };
}

/** One that is being handed over is none any more. */
function leadershipOf({ replica }: Pick<Voter, "replica">): Committed["leads"] {
  const { role, term, ownTermCommitted, transferee, configuration } = replica.status().engine.raft;
  if (role !== "leader" || !ownTermCommitted || transferee !== null) return null;
  const { voters, votersOutgoing } = configuration;
  const halves: readonly (readonly NodeId[])[] = votersOutgoing === null ? [voters] : [voters, votersOutgoing];
  return { term, voters: halves };
}

const verdictNames = {
  nodeDown: "node_down",
  nodeUp: "node_up",
  partitionSuspected: "partition_suspected",
  partitionHealed: "partition_healed",
} as const satisfies Record<Proposal["kind"], string>;
