import type { Link } from "../network.ts";
import type { FaultKind } from "../swarm.ts";
import type { Dice } from "../time/random.ts";
import { partitionModes, splitOf } from "./partitions.ts";
import { type Injection, type Stage, cutFor } from "./stage.ts";

type NetworkFault = Extract<FaultKind, "partition" | "one-way-cut" | "loss" | "duplicate" | "delay" | "clog" | "reset">;

/** Of the links between the nodes, and of the clients' way to them. */
export function networkFaults(stage: Stage): Readonly<Record<NetworkFault, Injection>> {
  const { cluster, scheduler, later } = stage;
  const { network, nodes } = cluster;
  return {
    partition: (_node, dice) => partition(stage, dice),
    "one-way-cut": (node, dice) => {
      const others = nodes.filter((other) => other !== node);
      const peers = dice.chance(0.5) ? others : others.slice(0, 1);
      const isDeaf = dice.chance(0.5);
      const cuts = peers.map((peer) => (isDeaf ? { from: peer, to: node } : { from: node, to: peer }));
      cutFor(stage, cuts, dice.logUniform(200, 20_000));
      return `${node} ${isDeaf ? "hears" : "reaches"} not ${peers.join()}`;
    },
    loss: (_node, dice) => disturb(stage, dice, (link, { chance }) => void (link.lossChance = chance)),
    duplicate: (_node, dice) => disturb(stage, dice, (link, { chance }) => void (link.duplicateChance = chance)),
    delay: (_node, dice) => disturb(stage, dice, (link, { extraMs }) => void (link.extraDelayMs = extraMs)),
    clog: (_node, dice) => {
      // Swizzle: one link after the other is held up, and they come free in another order.
      const links = dice.shuffled([...network.all()]).slice(0, dice.int(1, nodes.length * 2));
      for (const link of links) {
        later(dice.between(0, 2_000), () => {
          link.cloggedUntilMs = scheduler.nowMs + dice.logUniform(50, 5_000);
        });
      }
      return `${links.length} links`;
    },
    reset: (node, dice) => {
      const peer = dice.pick(nodes);
      if (peer === node) return null;
      network.reset(node, peer);
      return `${node} and ${peer}`;
    },
  };
}

interface Disturbance {
  readonly chance: number;
  readonly extraMs: number;
}

const NO_DISTURBANCE: Disturbance = { chance: 0, extraMs: 0 };

/** All links, or some of them, for a while. */
function disturb({ cluster, later }: Stage, dice: Dice, set: (link: Link, by: Disturbance) => void): string {
  const all = [...cluster.network.all()];
  const links = dice.chance(0.3) ? all : all.filter(() => dice.chance(0.3));
  const by = { chance: dice.logUniform(0.005, 0.5), extraMs: dice.logUniform(1, cluster.electionMs) };
  for (const link of links) set(link, by);
  later(dice.logUniform(500, 20_000), () => {
    for (const link of links) set(link, NO_DISTURBANCE);
  });
  return `on ${links.length} links`;
}

/** Clients may be on either side of it: some nodes they do not reach either. */
function partition(stage: Stage, dice: Dice): string {
  const { cluster, later, leader } = stage;
  const { nodes } = cluster;
  const mode = dice.pick(partitionModes);
  const cuts = splitOf(mode, nodes, leader() ?? dice.pick(nodes), dice);
  const hidden = dice.chance(0.3) ? nodes.filter(() => dice.chance(0.3)) : [];
  for (const node of hidden) cluster.machine(node).isHidden = true;
  const ms = dice.logUniform(300, 30_000);
  cutFor(stage, cuts, ms);
  later(ms, () => {
    for (const node of hidden) cluster.machine(node).isHidden = false;
  });
  return `${mode}, ${cuts.length} directions cut`;
}
