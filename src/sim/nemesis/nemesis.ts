import type { NodeId } from "#kernel";
import type { Cluster, Machine } from "../cluster.ts";
import { noTrouble } from "../disk/disk.ts";
import { type FaultKind, faultKinds } from "../swarm.ts";
import type { Dice } from "../time/random.ts";
import type { Scheduler } from "../time/scheduler.ts";
import { deafen } from "./deaf-voter.ts";
import { diskFaults } from "./disk-faults.ts";
import { membershipFaults } from "./membership-faults.ts";
import { networkFaults } from "./network-faults.ts";
import { processFaults } from "./process-faults.ts";
import { Repair } from "./repair.ts";
import type { Injection, Stage } from "./stage.ts";
import { Succession } from "./succession.ts";

export interface NemesisPorts {
  readonly scheduler: Scheduler;
  readonly dice: Dice;
  readonly onFault: (kind: FaultKind, what: string) => void;
}

/**
 * Injects the faults of a run, each kind at its own pace from its own dice, so that leaving one kind out does not change the
 * others. What damages data that was durable is bounded by the fault atlas: only ever a minority of the voters, so that every
 * run can be survived and every loss is a bug.
 */
export class Nemesis {
  readonly #cluster: Cluster;
  readonly #ports: NemesisPorts;
  /** Machines whose durable data may be damaged: drawn once, a minority of the voters at any time of the run. */
  readonly #atlas: ReadonlySet<NodeId>;
  readonly #staysDead = new Set<NodeId>();
  readonly #repair: Repair;
  readonly #inject: Readonly<Record<FaultKind, Injection>>;
  readonly #deafDice: Dice;
  #isActive = false;

  constructor(cluster: Cluster, ports: NemesisPorts) {
    this.#cluster = cluster;
    this.#ports = ports;
    this.#deafDice = ports.dice.fork("deaf");
    const { voters, faults } = cluster.config;
    const dice = ports.dice.fork("atlas");
    const changes = faults.membership !== undefined;
    // Membership changes leave at least so many.
    const leastVoters = changes && voters > 1 && dice.chance(0.5) ? voters - 1 : voters;
    const minority = Math.floor((leastVoters - 1) / 2);
    this.#atlas = new Set(dice.shuffled(changes ? cluster.nodes : cluster.nodes.slice(0, voters)).slice(0, minority));
    const stage: Stage = {
      cluster,
      scheduler: ports.scheduler,
      isActive: () => this.#isActive,
      later: (delayMs, run) => this.#later(delayMs, run),
      leader: () => this.#leader(),
    };
    this.#repair = new Repair(stage, this.#staysDead, ports.dice.fork("repair"));
    const succession = new Succession(stage, ports.dice.fork("succession"));
    this.#inject = {
      ...processFaults(stage),
      ...networkFaults(stage),
      ...diskFaults(stage, this.#atlas, this.#repair),
      ...membershipFaults(stage, leastVoters, this.#repair),
      succession: () => succession.start(),
    };
    cluster.onDeath = (machine) => this.#supervise(machine);
  }

  start(): void {
    this.#isActive = true;
    for (const kind of faultKinds) {
      const everySeconds = this.#cluster.config.faults[kind];
      if (everySeconds !== undefined) this.#repeat(kind, everySeconds, this.#ports.dice.fork(kind));
    }
  }

  /** Everything is well again from now on, but for the machines that are lost, and for a minority when so drawn. */
  heal(): void {
    const { nodes, config, network } = this.#cluster;
    this.#isActive = false;
    for (const link of network.all()) network.heal(link);
    if (config.onlyMajorityHeals && config.faults.membership === undefined)
      for (const node of this.#atlas) this.#staysDead.add(node);
    for (const node of nodes) {
      const machine = this.#cluster.machine(node);
      Object.assign(machine.disk.trouble, noTrouble);
      machine.clock.thaw();
      machine.clock.drift(this.#ports.scheduler.nowMs, 1);
      machine.isHidden = false;
      this.#cluster.setSlowness(node, 1);
      this.#cluster.resume(node);
      if (machine.process !== null) machine.process.dieAfterEffects = null;
      if (this.#staysDead.has(node)) this.#cluster.kill(node, { power: false });
      else this.#cluster.boot(node);
    }
  }

  /** After the heal: one voter does not hear the leader until what is returned is called; null where nobody may be made deaf. */
  deafen(): (() => void) | null {
    const leader = this.#leader();
    const deaf = leader === null ? null : deafen(this.#cluster, leader, this.#deafDice);
    if (deaf === null) return null;
    this.#ports.onFault("one-way-cut", `${deaf.node} hears not ${leader}, though all else is well`);
    this.#cluster.count("a voter deaf for its leader alone");
    return deaf.mend;
  }

  #repeat(kind: FaultKind, everySeconds: number, dice: Dice): void {
    this.#later(dice.exponential(everySeconds * 1_000), () => {
      const what = this.#inject[kind](this.#victim(dice), dice);
      if (what !== null) this.#ports.onFault(kind, what);
      this.#repeat(kind, everySeconds, dice);
    });
  }

  /** As systemd would: dead processes come back, mostly soon. */
  #supervise(machine: Machine): void {
    const dice = this.#ports.dice.fork(`restart ${machine.lives} of ${machine.id}`);
    if (machine.isLost) this.#repair.begin(machine);
    const delayMs = this.#isActive ? dice.exponential(dice.chance(0.1) ? 30_000 : 2_000) : 200;
    this.#ports.scheduler.after(delayMs, () => {
      if (!this.#staysDead.has(machine.id)) this.#cluster.boot(machine.id);
    });
  }

  #later(delayMs: number, run: () => void): void {
    this.#ports.scheduler.after(delayMs, () => {
      if (this.#isActive) run();
    });
  }

  /** The leader more often than its share: that is where it hurts. */
  #victim(dice: Dice): NodeId {
    const leader = this.#leader();
    return leader !== null && dice.chance(0.4) ? leader : dice.pick(this.#cluster.nodes);
  }

  #leader(): NodeId | null {
    let leader: NodeId | null = null;
    let highest = -1;
    for (const node of this.#cluster.nodes) {
      const status = this.#cluster.status(node);
      if (status?.role !== "leader" || status.term <= highest) continue;
      leader = node;
      highest = status.term;
    }
    return leader;
  }
}
