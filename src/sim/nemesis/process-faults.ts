import type { NodeId } from "#kernel";
import type { FaultKind } from "../swarm.ts";
import type { Dice } from "../time/random.ts";
import { splitOf } from "./partitions.ts";
import { type Injection, type Stage, cutFor } from "./stage.ts";

type ProcessFault = Extract<
  FaultKind,
  "crash" | "power" | "pause" | "slow-node" | "stop" | "clock-drift" | "clock-step" | "clock-freeze"
>;

/** Of processes, and of the clocks that they go by. */
export function processFaults(stage: Stage): Readonly<Record<ProcessFault, Injection>> {
  const { cluster, scheduler, later, leader } = stage;
  return {
    crash: (node, dice) => crash(stage, node, false, dice),
    power: (node, dice) => crash(stage, node, true, dice),
    pause: (node, dice) => {
      cluster.pause(node);
      if (node === leader() && dice.chance(0.5)) return strand(stage, node, dice);
      const ms = dice.logUniform(50, 20_000);
      later(ms, () => cluster.resume(node));
      return `${node} for ${Math.round(ms)} ms`;
    },
    "slow-node": (node, dice) => {
      const slowness = dice.logUniform(2, 50);
      cluster.setSlowness(node, slowness);
      later(dice.between(1_000, 20_000), () => cluster.setSlowness(node, 1));
      return `${node} ×${slowness.toFixed(1)}`;
    },
    stop: (node) => {
      if (cluster.machine(node).process === null) return null;
      cluster.stop(node);
      return node;
    },
    "clock-drift": (node, dice) => {
      const rate = dice.between(0.95, 1.05);
      cluster.machine(node).clock.drift(scheduler.nowMs, rate);
      return `${node} ×${rate.toFixed(3)}`;
    },
    "clock-step": (node, dice) => {
      const byMs = dice.between(-3_600_000, 3_600_000);
      cluster.machine(node).clock.step(byMs);
      return `${node} by ${Math.round(byMs / 1_000)} s`;
    },
    "clock-freeze": (node, dice) => {
      const { clock } = cluster.machine(node);
      clock.freeze(scheduler.nowMs);
      later(dice.logUniform(100, 10_000), () => clock.thaw());
      return node;
    },
  };
}

/** Now, or between any two effects that come; one in a few losses of power is everybody's. */
function crash({ cluster }: Stage, node: NodeId, power: boolean, dice: Dice): string | null {
  if (power && dice.chance(0.15)) {
    for (const each of cluster.nodes) cluster.kill(each, { power: true });
    return "all nodes";
  }
  const { process } = cluster.machine(node);
  if (process === null) return null;
  if (dice.chance(0.3)) {
    cluster.kill(node, { power });
    return node;
  }
  process.losesPower = power;
  process.dieAfterEffects = dice.int(0, 40);
  return `${node} after ${process.dieAfterEffects} effects`;
}

/** A leader that is cut off and sleeps: it wakes up as if no time had passed, and nobody tells it that another one leads. */
function strand(stage: Stage, leader: NodeId, dice: Dice): string {
  const { electionMs, nodes } = stage.cluster;
  const ms = electionMs * dice.logUniform(1, 4);
  stage.later(ms, () => stage.cluster.resume(leader));
  cutFor(stage, splitOf("isolate-leader", nodes, leader, dice), ms + 2 * electionMs);
  return `${leader}, cut off, for ${Math.round(ms)} ms`;
}
