import type { NodeId } from "#kernel";
import { membersOf } from "#raft";
import type { Machine } from "../cluster.ts";
import { type Stage, propose } from "./stage.ts";

/** What an operator does about machines whose data are lost: each is removed, then added again with an empty directory. */
export class Repair {
  readonly #stage: Stage;
  /** Those that nobody repairs. */
  readonly #staysDead: ReadonlySet<NodeId>;
  readonly #underWay = new Set<NodeId>();
  readonly #wipes = new Map<NodeId, number>();

  constructor(stage: Stage, staysDead: ReadonlySet<NodeId>) {
    this.#stage = stage;
    this.#staysDead = staysDead;
  }

  isUnderWay(node: NodeId): boolean {
    return this.#underWay.has(node);
  }

  wipesOf(node: NodeId): number {
    return this.#wipes.get(node) ?? 0;
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
    let step: Step = "remove";
    let dueMs = scheduler.nowMs + REPAIR_WITHIN_MS;
    const look = (): void => {
      if (this.#staysDead.has(machine.id)) return;
      if (scheduler.nowMs > dueMs) {
        step = "remove";
        dueMs = scheduler.nowMs + REPAIR_WITHIN_MS;
      }
      step = this.#next(machine, step);
      const own = cluster.status(machine.id)?.configuration;
      if (step === "join" && own !== undefined && membersOf(own).has(machine.id)) {
        this.#underWay.delete(machine.id);
        cluster.count("lost node rejoined");
      } else scheduler.after(REPAIR_EVERY_MS, look);
    };
    scheduler.after(REPAIR_EVERY_MS, look);
  }

  #next(machine: Machine, step: Step): Step {
    const { cluster } = this.#stage;
    const leader = this.#stage.leader();
    const status = leader === null ? null : cluster.status(leader);
    if (status === null || !status.ownTermCommitted || status.configurationIndex > status.commitIndex) return step;
    const isMember = membersOf(status.configuration).has(machine.id);
    if (step === "remove" && isMember) {
      machine.isLost = true;
      cluster.kill(machine.id, { power: false });
      propose(this.#stage, leader!, { kind: "remove", node: machine.id });
      return step;
    }
    if (step === "remove") this.wipe(machine);
    machine.isLost = false;
    cluster.boot(machine.id);
    if (!isMember) propose(this.#stage, leader!, { kind: "add", node: machine.id, promote: true });
    return isMember ? "join" : "add";
  }
}

type Step = "remove" | "add" | "join";

const REPAIR_EVERY_MS = 1_000;
/** Then it begins anew: the cluster may have been without a leader for all of the time. */
const REPAIR_WITHIN_MS = 30_000;
