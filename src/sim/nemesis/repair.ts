import type { NodeId } from "#kernel";
import { membersOf } from "#raft";
import type { Machine } from "../cluster.ts";
import type { Dice } from "../time/random.ts";
import { type Stage, propose } from "./stage.ts";

/**
 * What an operator does about machines whose data are lost: each is removed, then added again with an empty directory. Now it is
 * started first, and waits without being a member; now it is added first, and is a member that nobody reaches.
 */
export class Repair {
  readonly #stage: Stage;
  readonly #dice: Dice;
  /** Those that nobody repairs. */
  readonly #staysDead: ReadonlySet<NodeId>;
  readonly #underWay = new Set<NodeId>();
  readonly #wipes = new Map<NodeId, number>();

  constructor(stage: Stage, staysDead: ReadonlySet<NodeId>, dice: Dice) {
    this.#stage = stage;
    this.#dice = dice;
    this.#staysDead = staysDead;
  }

  isUnderWay(node: NodeId): boolean {
    return this.#underWay.has(node);
  }

  wipesOf(node: NodeId): number {
    return this.#wipes.get(node) ?? 0;
  }

  /**
   * A fault: all is gone, and the operator may not know. When a majority refuses the empty directory, the process ends. Voters
   * that were cut off from the node ever since it was added take it for what they were to meet, though (docs/decisions/0012),
   * and then there may be no majority: what is left to see is the node's health.
   */
  lose(machine: Machine): void {
    this.wipe(machine);
    this.#watchHealth(machine, null);
  }

  wipe(machine: Machine): void {
    this.#wipes.set(machine.id, this.wipesOf(machine.id) + 1);
    this.#stage.cluster.kill(machine.id, { power: true });
    machine.disk.wipe();
    machine.wasWiped = true;
    this.#stage.cluster.observer.diskFault(machine.id, "wiped");
  }

  begin(machine: Machine): void {
    if (this.#underWay.has(machine.id)) return;
    this.#underWay.add(machine.id);
    const { cluster, scheduler } = this.#stage;
    let back: Return | null = null;
    let dueMs = scheduler.nowMs + REPAIR_WITHIN_MS;
    const look = (): void => {
      if (this.#staysDead.has(machine.id)) return;
      if (scheduler.nowMs > dueMs) {
        back = null;
        dueMs = scheduler.nowMs + REPAIR_WITHIN_MS;
      }
      back = this.#next(machine, back);
      const own = cluster.status(machine.id)?.configuration;
      if (back?.isAdded === true && own !== undefined && membersOf(own).has(machine.id)) {
        this.#underWay.delete(machine.id);
        cluster.count("lost node rejoined");
      } else scheduler.after(REPAIR_EVERY_MS, look);
    };
    scheduler.after(REPAIR_EVERY_MS, look);
  }

  #next(machine: Machine, back: Return | null): Return | null {
    const { cluster, scheduler } = this.#stage;
    const leader = this.#stage.leader();
    const status = leader === null ? null : cluster.status(leader);
    if (status === null || !status.ownTermCommitted || status.configurationIndex > status.commitIndex) return back;
    const isMember = membersOf(status.configuration).has(machine.id);
    if (back === null && isMember) {
      machine.isLost = true;
      cluster.kill(machine.id, { power: false });
      propose(this.#stage, leader!, { kind: "remove", node: machine.id });
      return null;
    }
    const { bootAtMs, addAtMs } = back ?? this.#empty(machine);
    if (scheduler.nowMs >= bootAtMs) {
      machine.isLost = false;
      cluster.boot(machine.id);
    }
    if (!isMember && scheduler.nowMs >= addAtMs) {
      propose(this.#stage, leader!, { kind: "add", node: machine.id, promote: true });
    }
    return { bootAtMs, addAtMs, isAdded: isMember };
  }

  /** Started at once and added after a pause, or the other way round. */
  #empty(machine: Machine): Omit<Return, "isAdded"> {
    this.wipe(machine);
    machine.isLost = true;
    const { nowMs } = this.#stage.scheduler;
    const laterMs = nowMs + this.#dice.between(0, PAUSE_UP_TO_MS);
    const startsFirst = this.#dice.chance(0.5);
    this.#stage.cluster.count(startsFirst ? "lost node started before it is added" : "lost node added before it starts");
    return startsFirst ? { bootAtMs: nowMs, addAtMs: laterMs } : { bootAtMs: laterMs, addAtMs: nowMs };
  }

  #watchHealth(machine: Machine, refusedSinceMs: number | null): void {
    const { scheduler } = this.#stage;
    scheduler.after(REPAIR_EVERY_MS, () => {
      if (this.#underWay.has(machine.id)) return;
      const isRefused = machine.process?.introduction?.isRefused ?? refusedSinceMs !== null;
      const sinceMs = isRefused ? (refusedSinceMs ?? scheduler.nowMs) : null;
      if (sinceMs !== null && scheduler.nowMs - sinceMs >= REFUSED_FOR_MS) this.begin(machine);
      else this.#watchHealth(machine, sinceMs);
    });
  }
}

/** Of a node that is removed and emptied. */
interface Return {
  readonly bootAtMs: number;
  readonly addAtMs: number;
  /** As the leader has it. */
  readonly isAdded: boolean;
}

/** Longer than it takes to meet everybody, or than a leader waits for an answer. */
const PAUSE_UP_TO_MS = 5_000;
const REPAIR_EVERY_MS = 1_000;
const REFUSED_FOR_MS = 3_000;
/** Then it begins anew: the cluster may have been without a leader for all of the time. */
const REPAIR_WITHIN_MS = 30_000;
