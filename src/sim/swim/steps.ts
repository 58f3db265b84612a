import { assertNever, type NodeId } from "#kernel";
import { type MemberView, removalBarrier } from "#membership/core";
import { keyNamed } from "./aead.ts";
import type { Cluster } from "./cluster.ts";
import type { Machine } from "./machine.ts";
import type { Action, Selector, Sight, Step } from "./scenario/script.ts";

/** A sight that was not as the script expects it. */
export interface SightFault {
  readonly step: Step;
  readonly atMs: number;
  readonly problem: string;
}

/** Puts the steps of the script on the clock; `startMs` is the script's zero. */
export function scheduleSteps(
  steps: readonly Step[],
  cluster: Cluster,
  { startMs, runMs }: { readonly startMs: number; readonly runMs: number },
  onFault: (fault: SightFault) => void,
): void {
  for (const step of steps) {
    for (let turn = 0; turn < step.times; turn += 1) {
      const offsetMs = turn * (step.everyMs ?? 0);
      // The first turn always happens: the reader of the file has checked that it comes before the end.
      if (turn > 0 && step.toMs + offsetMs > runMs) break;
      cluster.scheduler.at(startMs + step.fromMs + offsetMs, () => perform(step, cluster, onFault));
    }
  }
}

function perform(step: Step, cluster: Cluster, onFault: (fault: SightFault) => void): void {
  const { action, fromMs, toMs } = step;
  if (action.kind === "see") {
    const problem = whatIsSeen(action.observers, action.of, action.sight, cluster);
    if (problem !== null) onFault({ step, atMs: cluster.measures.atMs, problem });
    return;
  }
  for (const machine of cluster.selection.machines(action.of)) {
    if (fromMs === toMs) act(action, machine, cluster);
    else cluster.scheduler.after(cluster.dice.between(0, toMs - fromMs), () => act(action, machine, cluster));
  }
}

function act(action: Exclude<Action, { readonly kind: "see" }>, machine: Machine, cluster: Cluster): void {
  const { network, scheduler, dice } = cluster;
  switch (action.kind) {
    case "kill":
      return cluster.stop(machine, false);
    case "crash":
      return cluster.stop(machine, true);
    case "start":
      machine.keys = action.keys ?? machine.keys;
      return cluster.start(machine, cluster.stateOf(action.state), action.moved);
    case "restart": {
      cluster.stop(machine, false);
      const state = cluster.stateOf(action.state);
      scheduler.after(dice.between(action.down.fromMs, action.down.toMs), () => cluster.start(machine, state, action.moved));
      return;
    }
    case "leave":
      return cluster.leave(machine);
    case "duplicate":
      return cluster.duplicate(machine);
    case "move":
      return cluster.move(machine);
    case "announce":
      return cluster.announce(machine, action.planes);
    case "pause": {
      const { process } = machine;
      return hold(
        action.forMs,
        machine,
        cluster,
        () => process?.pause(),
        () => process?.resume(),
      );
    }
    case "block": {
      const { process } = machine;
      return hold(
        action.forMs,
        machine,
        cluster,
        () => process?.block(),
        () => process?.unblock(),
      );
    }
    case "starve": {
      const { process } = machine;
      return hold(
        action.forMs,
        machine,
        cluster,
        () => process?.starve(action.by),
        () => process?.starve(null),
      );
    }
    case "partition": {
      const own = cluster.selection.machines(action.of);
      const others =
        action.from === null ? cluster.machines.filter((each) => !own.includes(each)) : cluster.selection.machines(action.from);
      const both = (isCut: boolean): void => {
        for (const other of others) {
          network.cut(machine, other, isCut);
          network.cut(other, machine, isCut);
        }
      };
      return hold(
        action.forMs,
        machine,
        cluster,
        () => both(true),
        () => both(false),
      );
    }
    case "cut": {
      const others = cluster.selection.machines(action.to);
      const toAll = (isCut: boolean): void => {
        for (const other of others) if (other !== machine) network.cut(machine, other, isCut);
      };
      // A path that is cut says nothing about the health of its ends.
      return between(
        action.forMs,
        cluster,
        () => toAll(true),
        () => toAll(false),
      );
    }
    case "drop udp":
      return hold(
        action.forMs,
        machine,
        cluster,
        () => (machine.faults.udp += 1),
        () => (machine.faults.udp -= 1),
      );
    case "drop plane": {
      const { planes } = machine.faults;
      const plane = cluster.planeNamed(action.plane);
      return hold(
        action.forMs,
        machine,
        cluster,
        () => (planes[plane]! += 1),
        () => (planes[plane]! -= 1),
      );
    }
    case "lose":
      return between(
        action.forMs,
        cluster,
        () => (machine.faults.lossChance = action.chance),
        () => (machine.faults.lossChance = 0),
      );
    case "slow":
      return between(
        action.forMs,
        cluster,
        () => (machine.faults.slowMs += action.byMs),
        () => (machine.faults.slowMs -= action.byMs),
      );
    case "drift":
      machine.process?.drift(action.rate);
      return;
    case "key":
      if (action.command === "remove-key") machine.removedKeys.add(action.key);
      machine.process?.command({ kind: action.command, key: keyNamed(action.key) });
      return;
    case "forget":
      for (const by of cluster.selection.machines(action.by)) forget(machine.id, by);
      return;
    default:
      return assertNever(action, "action");
  }
}

/** The operator's command, at one member. */
function forget(member: NodeId, { process }: Machine): void {
  const held = process?.view().members.find(({ record }) => record.id === member);
  if (held !== undefined) process?.command({ kind: "forget", member, barrier: removalBarrier(held.record.incarnation) });
}

/** A fault that makes its node count as faulty, until it ends and a while after. */
function hold(forMs: number | null, machine: Machine, cluster: Cluster, begin: () => void, end: () => void): void {
  const { measures } = cluster;
  between(
    forMs,
    cluster,
    () => {
      measures.faultBegins(machine);
      begin();
    },
    () => {
      end();
      measures.faultEnds(machine);
    },
  );
}

function between(forMs: number | null, cluster: Cluster, begin: () => void, end: () => void): void {
  begin();
  cluster.measures.changed();
  if (forMs === null) return;
  cluster.scheduler.after(forMs, () => {
    end();
    cluster.measures.changed();
  });
}

function whatIsSeen(observers: Selector, of: Selector, sight: Sight, cluster: Cluster): string | null {
  const members = cluster.selection.machines(of);
  for (const { id, process } of cluster.selection.machines(observers)) {
    if (process === null || process.isPaused) continue;
    const view = process.view();
    for (const member of members) {
      if (member.id === id) continue;
      const held = view.members.find(({ record }) => record.id === member.id);
      if (!isSeen(held, sight)) return `${id} sees ${member.id} ${sightText(held)}`;
    }
  }
  return null;
}

function isSeen(held: MemberView | undefined, { state, reach }: Sight): boolean {
  if (held === undefined) return state === "absent";
  if (reach !== null && held.reach !== reach) return false;
  const own = held.record.state;
  return state === "running" ? own === "alive" || own === "suspect" : own === state;
}

function sightText(held: MemberView | undefined): string {
  return held === undefined ? "not at all" : `${held.record.state} by ${held.reach}`;
}
