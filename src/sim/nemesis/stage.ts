import type { NodeId } from "#kernel";
import type { MembershipChange } from "#raft";
import type { Cluster } from "../cluster.ts";
import type { Cut } from "./partitions.ts";
import type { Dice } from "../time/random.ts";
import type { Scheduler } from "../time/scheduler.ts";

/** What faults have to do with: the cluster, and time as long as there are faults at all. */
export interface Stage {
  readonly cluster: Cluster;
  readonly scheduler: Scheduler;
  /** Whether faults are still to come: false once everything has healed. */
  readonly isActive: () => boolean;
  /** Runs it, unless the faults are over by then: after the heal all is undone already. */
  readonly later: (delayMs: number, run: () => void) => void;
  /** Whoever leads the highest term. */
  readonly leader: () => NodeId | null;
}

/** Injects one fault, on `node` if it is one for a single node. Says in words what was done; null when there was nobody to do it to. */
export type Injection = (node: NodeId, dice: Dice) => string | null;

/** Cuts these directions for so long. */
export function cutFor({ cluster: { network }, later }: Stage, cuts: readonly Cut[], ms: number): void {
  for (const { from, to } of cuts) network.cut(from, to);
  later(ms, () => {
    for (const { from, to } of cuts) network.link(from, to).isCut = false;
  });
}

/** Asks this node, as an operator would, and counts whether it was done. */
export function propose({ cluster }: Stage, leader: NodeId, change: MembershipChange): void {
  const { process } = cluster.machine(leader);
  if (process === null || process.voter === null) return;
  const { replica } = process.voter;
  const told = (isDone: boolean): void => cluster.count(`membership: ${change.kind} ${isDone ? "done" : "refused or not told"}`);
  process.enter(() => void replica.reconfigure(change).then((outcome) => told(outcome.ok)));
}
