import type { NodeId } from "#kernel";
import { type MembershipChange, membersOf, votersOf } from "#raft";
import type { FaultKind } from "../swarm.ts";
import type { Dice } from "../time/random.ts";
import type { Repair } from "./repair.ts";
import { type Injection, type Stage, cutFor, propose } from "./stage.ts";

type MembershipFault = Extract<FaultKind, "membership" | "transfer">;

/** Of who the voters are and who leads them. */
export function membershipFaults(
  stage: Stage,
  leastVoters: number,
  repair: Repair,
): Readonly<Record<MembershipFault, Injection>> {
  return {
    membership: (_node, dice) => change(stage, leastVoters, repair, dice),
    transfer: (node, dice) => {
      const leader = stage.leader();
      const process = leader === null ? null : stage.cluster.machine(leader).process;
      if (process === null || process.voter === null) return null;
      const to = dice.chance(0.3) ? null : node;
      const { replica } = process.voter;
      process.enter(() => void replica.transferLeadership(to).catch(() => undefined));
      return `from ${leader} to ${to ?? "anybody"}`;
    },
  };
}

function change(stage: Stage, leastVoters: number, repair: Repair, dice: Dice): string | null {
  const { cluster, scheduler } = stage;
  const leader = stage.leader();
  const process = leader === null ? null : cluster.machine(leader).process;
  const status = leader === null ? null : cluster.status(leader);
  if (process === null || process.voter === null || status === null) return null;
  const { configuration } = status;
  const voters = [...votersOf(configuration)];
  const members = membersOf(configuration);
  // Who is out only until it is repaired has a place to come back to. Given to another's, it would leave one voter less than
  // the fault atlas counts with, and the run could not be survived.
  const outside = cluster.nodes.filter((node) => !members.has(node) && !repair.isUnderWay(node));
  // For the same reason nobody takes a voter's place before it has caught up: until then it counts for nothing.
  const ready = configuration.learners.filter((node) => cluster.status(node)?.suspect === false && !repair.isUnderWay(node));
  if (ready.length > 0 && dice.chance(0.6)) return replaceApart(stage, process.node, voters, ready, dice);
  const possible: MembershipChange[] = [];
  for (const node of outside) possible.push({ kind: "add", node, promote: dice.chance(0.5) });
  if (ready.length > 0) {
    const remove = dice.chance(0.4) ? process.node : dice.pick(voters);
    possible.push({ kind: "replace", remove, add: dice.pick(ready) });
  }
  for (const node of configuration.learners) possible.push({ kind: "promote", node }, { kind: "remove", node });
  if (voters.length > leastVoters) {
    // A leader that removes itself has to hand over.
    const node = dice.chance(0.4) ? process.node : dice.pick(voters);
    possible.push({ kind: "remove", node }, { kind: "demote", node });
  }
  if (possible.length === 0) return null;
  const proposed = dice.pick(possible);
  propose(stage, process.node, proposed);
  if (dice.chance(0.3)) killOnceJoint(stage, process.node, scheduler.nowMs + JOINT_WITHIN_MS);
  return JSON.stringify(proposed);
}

/**
 * As many learners as there are ask for places at once, of which one may get it. The old voters stay here, the leader and the
 * learners there: two majorities, if a change counts on one side too early or does not wait for the one before.
 */
function replaceApart(stage: Stage, leader: NodeId, voters: readonly NodeId[], ready: readonly NodeId[], dice: Dice): string {
  const leaving = dice.shuffled(voters.filter((voter) => voter !== leader));
  const changes = ready.slice(0, leaving.length).map((add, at) => ({ kind: "replace", remove: leaving[at]!, add }) as const);
  for (const [at, each] of changes.entries()) stage.later(at * LOOK_EVERY_MS, () => propose(stage, leader, each));
  const side = new Set([leader, ...ready]);
  const between = [...stage.cluster.network.all()].filter(({ from, to }) => side.has(from) !== side.has(to));
  cutFor(stage, between, dice.logUniform(1_000, 20_000));
  return JSON.stringify(changes);
}

/** The successor has to lead the cluster out of the joint configuration. */
function killOnceJoint(stage: Stage, leader: NodeId, untilMs: number): void {
  const { cluster, scheduler } = stage;
  const status = cluster.status(leader);
  if (!stage.isActive() || status?.role !== "leader" || scheduler.nowMs > untilMs) return;
  if (status.configuration.votersOutgoing !== null) cluster.kill(leader, { power: false });
  else scheduler.after(LOOK_EVERY_MS, () => killOnceJoint(stage, leader, untilMs));
}

const JOINT_WITHIN_MS = 2_000;
const LOOK_EVERY_MS = 1;
