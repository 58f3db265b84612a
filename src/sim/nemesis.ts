import { type NodeId, assertNever } from "#kernel";
import { type MembershipChange, membersOf, votersOf } from "#raft";
import type { Cluster, Machine } from "./cluster.ts";
import type { SimDisk } from "./disk/disk.ts";
import { type Cut, partitionModes, splitOf } from "./partitions.ts";
import { type FaultKind, MIN_FREE_BYTES, faultKinds } from "./swarm.ts";
import { Succession } from "./succession.ts";
import type { Dice } from "./time/random.ts";
import type { Scheduler } from "./time/scheduler.ts";

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
  /** Membership changes leave at least so many. */
  readonly #leastVoters: number;
  readonly #staysDead = new Set<NodeId>();
  readonly #succession: Succession;
  readonly #repairing = new Set<NodeId>();
  /** Data directories that someone has copied. */
  readonly #copies = new Map<NodeId, SimDisk>();
  #isActive = false;

  constructor(cluster: Cluster, ports: NemesisPorts) {
    this.#cluster = cluster;
    this.#ports = ports;
    const { voters, faults } = cluster.config;
    const dice = ports.dice.fork("atlas");
    const changes = faults.membership !== undefined;
    this.#leastVoters = changes && voters > 1 && dice.chance(0.5) ? voters - 1 : voters;
    const minority = Math.floor((this.#leastVoters - 1) / 2);
    this.#atlas = new Set(dice.shuffled(changes ? cluster.nodes : cluster.nodes.slice(0, voters)).slice(0, minority));
    this.#succession = new Succession(cluster, {
      dice: ports.dice.fork("succession"),
      leader: () => this.#leader(),
      later: (delayMs, run) => this.#later(delayMs, run),
    });
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
      Object.assign(machine.disk.trouble, {
        slowSyncMs: 0,
        stalledUntilMs: 0,
        isFull: false,
        freeBytes: null,
        failingWrites: 0,
        failingSyncs: 0,
        failingReads: 0,
      });
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

  #repeat(kind: FaultKind, everySeconds: number, dice: Dice): void {
    this.#ports.scheduler.after(dice.exponential(everySeconds * 1_000), () => {
      if (!this.#isActive) return;
      const what = this.#inject(kind, dice);
      if (what !== null) this.#ports.onFault(kind, what);
      this.#repeat(kind, everySeconds, dice);
    });
  }

  /** As systemd would: dead processes come back, mostly soon. */
  #supervise(machine: Machine): void {
    const dice = this.#ports.dice.fork(`restart ${machine.lives} of ${machine.id}`);
    if (machine.isLost) this.#repair(machine);
    const delayMs = this.#isActive ? dice.exponential(dice.chance(0.1) ? 30_000 : 2_000) : 200;
    this.#ports.scheduler.after(delayMs, () => {
      if (!this.#staysDead.has(machine.id)) this.#cluster.boot(machine.id);
    });
  }

  /** Returns what was done in words, or null when there was nobody to do it to. */
  #inject(kind: FaultKind, dice: Dice): string | null {
    const { network, nodes } = this.#cluster;
    const node = this.#victim(dice);
    const machine = this.#cluster.machine(node);
    const { trouble } = machine.disk;
    const nowMs = this.#ports.scheduler.nowMs;
    switch (kind) {
      case "crash":
      case "power":
        return this.#crash(node, kind === "power", dice);
      case "pause": {
        this.#cluster.pause(node);
        if (node === this.#leader() && dice.chance(0.5)) return this.#strand(node, dice);
        const ms = dice.logUniform(50, 20_000);
        this.#later(ms, () => this.#cluster.resume(node));
        return `${node} for ${Math.round(ms)} ms`;
      }
      case "slow-node": {
        const slowness = dice.logUniform(2, 50);
        this.#cluster.setSlowness(node, slowness);
        this.#later(dice.between(1_000, 20_000), () => this.#cluster.setSlowness(node, 1));
        return `${node} ×${slowness.toFixed(1)}`;
      }
      case "partition":
        return this.#partition(dice);
      case "one-way-cut": {
        const others = nodes.filter((other) => other !== node);
        const peers = dice.chance(0.5) ? others : others.slice(0, 1);
        const isDeaf = dice.chance(0.5);
        for (const peer of peers) network.cut(isDeaf ? peer : node, isDeaf ? node : peer);
        this.#later(dice.logUniform(200, 20_000), () => {
          for (const peer of peers) network.link(isDeaf ? peer : node, isDeaf ? node : peer).isCut = false;
        });
        return `${node} ${isDeaf ? "hears" : "reaches"} not ${peers.join()}`;
      }
      case "loss":
      case "duplicate":
      case "delay": {
        const links = dice.chance(0.3) ? [...network.all()] : [...network.all()].filter(() => dice.chance(0.3));
        const chance = dice.logUniform(0.005, 0.5);
        const extraMs = dice.logUniform(1, this.#cluster.electionMs);
        for (const link of links) {
          if (kind === "loss") link.lossChance = chance;
          else if (kind === "duplicate") link.duplicateChance = chance;
          else link.extraDelayMs = extraMs;
        }
        this.#later(dice.logUniform(500, 20_000), () => {
          for (const link of links) {
            if (kind === "loss") link.lossChance = 0;
            else if (kind === "duplicate") link.duplicateChance = 0;
            else link.extraDelayMs = 0;
          }
        });
        return `on ${links.length} links`;
      }
      case "clog": {
        // Swizzle: one link after the other is held up, and they come free in another order.
        const links = dice.shuffled([...network.all()]).slice(0, dice.int(1, nodes.length * 2));
        for (const link of links) {
          this.#later(dice.between(0, 2_000), () => {
            link.cloggedUntilMs = this.#ports.scheduler.nowMs + dice.logUniform(50, 5_000);
          });
        }
        return `${links.length} links`;
      }
      case "reset": {
        const peer = dice.pick(nodes);
        if (peer === node) return null;
        network.reset(node, peer);
        return `${node} and ${peer}`;
      }
      case "slow-disk": {
        trouble.slowSyncMs = dice.logUniform(5, 1_000);
        this.#later(dice.logUniform(500, 20_000), () => {
          trouble.slowSyncMs = 0;
        });
        return `${node} by ${Math.round(trouble.slowSyncMs)} ms`;
      }
      case "stall":
        trouble.stalledUntilMs = nowMs + dice.logUniform(100, 20_000);
        return node;
      case "disk-full":
        trouble.isFull = true;
        this.#cluster.observer.diskFault(node, "ENOSPC");
        this.#later(dice.logUniform(200, 15_000), () => {
          trouble.isFull = false;
        });
        return node;
      case "sync-error":
        trouble.failingSyncs = 1;
        this.#cluster.observer.diskFault(node, "fsync failed");
        return node;
      case "write-error":
        trouble.failingWrites = 1;
        this.#cluster.observer.diskFault(node, "EIO");
        return node;
      case "read-error":
        trouble.failingReads = 1;
        this.#cluster.observer.diskFault(node, "EIO");
        return node;
      case "rot":
      case "misdirect":
        return this.#damage(kind, dice);
      case "wipe": {
        const victim = this.#damageable(dice);
        if (victim === null) return null;
        if (this.#repairing.has(victim.id)) return null;
        this.#wipe(victim);
        return victim.id;
      }
      case "clock-drift": {
        const rate = dice.between(0.95, 1.05);
        machine.clock.drift(nowMs, rate);
        return `${node} ×${rate.toFixed(3)}`;
      }
      case "clock-step": {
        const byMs = dice.between(-3_600_000, 3_600_000);
        machine.clock.step(byMs);
        return `${node} by ${Math.round(byMs / 1_000)} s`;
      }
      case "clock-freeze":
        machine.clock.freeze(nowMs);
        this.#later(dice.logUniform(100, 10_000), () => machine.clock.thaw());
        return node;
      case "membership":
        return this.#changeMembership(dice);
      case "transfer": {
        const leader = this.#leader();
        const process = leader === null ? null : this.#cluster.machine(leader).process;
        if (process === null || process.voter === null) return null;
        const to = dice.chance(0.3) ? null : node;
        const { replica } = process.voter;
        process.enter(() => void replica.transferLeadership(to).catch(() => undefined));
        return `from ${leader} to ${to ?? "anybody"}`;
      }
      case "stop":
        if (machine.process === null) return null;
        this.#cluster.stop(node);
        return node;
      case "disk-low": {
        trouble.freeBytes = MIN_FREE_BYTES / 2;
        this.#later(dice.logUniform(1_000, 20_000), () => {
          trouble.freeBytes = null;
        });
        return node;
      }
      case "damaged-end": {
        const victim = this.#damageable(dice);
        if (victim === null) return null;
        this.#cluster.kill(victim.id, { power: true });
        const where = victim.disk.damageEnd(dice);
        if (where !== null) this.#cluster.observer.diskFault(victim.id, "end damaged");
        return where === null ? null : `${victim.id} ${where}`;
      }
      case "clone":
        return this.#clone(machine, dice);
      case "succession": {
        const falls = this.#succession.start();
        return falls === null ? null : `${falls} leaders`;
      }
      default:
        return assertNever(kind, "fault");
    }
  }

  #crash(node: NodeId, power: boolean, dice: Dice): string | null {
    if (power && dice.chance(0.15)) {
      for (const each of this.#cluster.nodes) this.#cluster.kill(each, { power: true });
      return "all nodes";
    }
    const { process } = this.#cluster.machine(node);
    if (process === null) return null;
    if (dice.chance(0.3)) {
      this.#cluster.kill(node, { power });
      return node;
    }
    process.losesPower = power;
    process.dieAfterEffects = dice.int(0, 40);
    return `${node} after ${process.dieAfterEffects} effects`;
  }

  #partition(dice: Dice): string {
    const { nodes } = this.#cluster;
    const mode = dice.pick(partitionModes);
    const cuts = splitOf(mode, nodes, this.#leader() ?? dice.pick(nodes), dice);
    const hidden = dice.chance(0.3) ? nodes.filter(() => dice.chance(0.3)) : [];
    for (const node of hidden) this.#cluster.machine(node).isHidden = true;
    const ms = dice.logUniform(300, 30_000);
    this.#cut(cuts, ms);
    this.#later(ms, () => {
      for (const node of hidden) this.#cluster.machine(node).isHidden = false;
    });
    return `${mode}, ${cuts.length} directions cut`;
  }

  /** A leader that is cut off and sleeps: it wakes up as if no time had passed, and nobody tells it that another one leads. */
  #strand(leader: NodeId, dice: Dice): string {
    const { electionMs, nodes } = this.#cluster;
    const ms = electionMs * dice.logUniform(1, 4);
    this.#later(ms, () => this.#cluster.resume(leader));
    this.#cut(splitOf("isolate-leader", nodes, leader, dice), ms + 2 * electionMs);
    return `${leader}, cut off, for ${Math.round(ms)} ms`;
  }

  #cut(cuts: readonly Cut[], ms: number): void {
    const { network } = this.#cluster;
    for (const { from, to } of cuts) network.cut(from, to);
    this.#later(ms, () => {
      for (const { from, to } of cuts) network.link(from, to).isCut = false;
    });
  }

  #damageable(dice: Dice): Machine | null {
    if (this.#atlas.size === 0) return null;
    return this.#cluster.machine(dice.pick([...this.#atlas]));
  }

  #damage(kind: "rot" | "misdirect", dice: Dice): string | null {
    const machine = this.#damageable(dice);
    const damaged = machine?.disk.damage(kind, dice) ?? null;
    if (machine === null || damaged === null) return null;
    this.#cluster.observer.diskFault(machine.id, kind === "rot" ? "rot" : "misdirected");
    // Found at the next start; while the process lives, its page cache hides much.
    if (dice.chance(0.5)) this.#cluster.kill(machine.id, { power: false });
    return damaged;
  }

  #wipe(machine: Machine): void {
    this.#copies.delete(machine.id);
    this.#cluster.kill(machine.id, { power: true });
    machine.disk.wipe();
    machine.wasWiped = true;
    this.#cluster.observer.diskFault(machine.id, "wiped");
  }

  /** First a copy is made and its origin starts once more; the next time the copy is started too. */
  #clone({ id, disk, process }: Machine, dice: Dice): string | null {
    // Who was removed is forgotten, and its copy is rightly welcome.
    if (process === null || this.#cluster.config.faults.membership !== undefined || this.#repairing.has(id)) return null;
    const copy = this.#copies.get(id);
    if (copy === undefined) {
      if (disk.damaged) return null;
      this.#copies.set(id, this.#cluster.copyOf(id, dice.fork(`copy of ${id}`)));
      this.#cluster.kill(id, { power: false });
      return `${id} copied`;
    }
    this.#copies.delete(id);
    void this.#cluster.startCopy(id, copy);
    return `the copy of ${id} started`;
  }

  /** As an operator would: a machine whose data are lost is removed, then added again with an empty directory. */
  #repair(machine: Machine): void {
    if (this.#repairing.has(machine.id)) return;
    this.#repairing.add(machine.id);
    let step: "remove" | "add" | "join" = "remove";
    let dueMs = this.#ports.scheduler.nowMs + REPAIR_WITHIN_MS;
    const look = (): void => {
      if (this.#staysDead.has(machine.id)) return;
      if (this.#ports.scheduler.nowMs > dueMs) {
        step = "remove";
        dueMs = this.#ports.scheduler.nowMs + REPAIR_WITHIN_MS;
      }
      step = this.#repairStep(machine, step);
      const own = this.#cluster.status(machine.id)?.configuration;
      if (step === "join" && own !== undefined && membersOf(own).has(machine.id)) {
        this.#repairing.delete(machine.id);
        this.#cluster.count("lost node rejoined");
        this.#watchHealth(machine);
      } else this.#ports.scheduler.after(REPAIR_EVERY_MS, look);
    };
    this.#ports.scheduler.after(REPAIR_EVERY_MS, look);
  }

  /**
   * Who gets over the removal by a snapshot does not learn of it, and goes on refusing a node that has been added since. It
   * stands in that node's health clause, and the way out is to do it once more.
   */
  #watchHealth(machine: Machine, refusedSinceMs: number | null = null): void {
    this.#ports.scheduler.after(REPAIR_EVERY_MS, () => {
      if (this.#repairing.has(machine.id)) return;
      const { nowMs } = this.#ports.scheduler;
      const isRefused = machine.process?.introduction?.isRefused ?? refusedSinceMs !== null;
      const sinceMs = isRefused ? (refusedSinceMs ?? nowMs) : null;
      if (sinceMs === null || nowMs - sinceMs < REFUSED_FOR_MS) return this.#watchHealth(machine, sinceMs);
      this.#cluster.count("lost node removed once more");
      this.#repair(machine);
    });
  }

  #repairStep(machine: Machine, step: "remove" | "add" | "join"): "remove" | "add" | "join" {
    const leader = this.#leader();
    const status = leader === null ? null : this.#cluster.status(leader);
    if (status === null || !status.ownTermCommitted || status.configurationIndex > status.commitIndex) return step;
    const isMember = membersOf(status.configuration).has(machine.id);
    if (step === "remove" && isMember) {
      // Stopped first: a node that runs on after its removal is met once more with the directory that is to go.
      machine.isLost = true;
      this.#cluster.kill(machine.id, { power: false });
      this.#propose(leader!, { kind: "remove", node: machine.id });
      return step;
    }
    if (step === "remove") this.#wipe(machine);
    machine.isLost = false;
    this.#cluster.boot(machine.id);
    // Those that lag behind get a moment to learn of the removal before they learn of the addition.
    if (step === "remove") return "add";
    if (!isMember) this.#propose(leader!, { kind: "add", node: machine.id, promote: true });
    return isMember ? "join" : "add";
  }

  #propose(leader: NodeId, change: MembershipChange): void {
    const { process } = this.#cluster.machine(leader);
    if (process === null || process.voter === null) return;
    const { replica } = process.voter;
    process.enter(() => void replica.reconfigure(change).then((outcome) => this.#told(change, outcome.ok)));
  }

  #changeMembership(dice: Dice): string | null {
    const leader = this.#leader();
    const process = leader === null ? null : this.#cluster.machine(leader).process;
    const status = leader === null ? null : this.#cluster.status(leader);
    if (process === null || process.voter === null || status === null) return null;
    const { configuration } = status;
    const voters = [...votersOf(configuration)];
    const members = new Set(membersOf(configuration));
    // Who is out only until it is repaired has a place to come back to. Given to another's, it would leave one voter less than
    // the fault atlas counts with, and the run could not be survived.
    const outside = this.#cluster.nodes.filter((node) => !members.has(node) && !this.#repairing.has(node));
    if (outside.length > 0 && dice.chance(0.4)) return this.#replaceApart(process.node, voters, outside, dice);
    const possible: MembershipChange[] = [];
    if (outside.length > 0) {
      possible.push({ kind: "add", node: dice.pick(outside), promote: dice.chance(0.7) });
      const remove = dice.chance(0.4) ? process.node : dice.pick(voters);
      possible.push({ kind: "replace", remove, add: dice.pick(outside) });
    }
    for (const node of configuration.learners) possible.push({ kind: "promote", node }, { kind: "remove", node });
    if (voters.length > this.#leastVoters) {
      // A leader that removes itself has to hand over.
      const node = dice.chance(0.4) ? process.node : dice.pick(voters);
      possible.push({ kind: "remove", node }, { kind: "demote", node });
    }
    if (possible.length === 0) return null;
    const change = dice.pick(possible);
    this.#propose(process.node, change);
    if (dice.chance(0.3)) this.#killOnceJoint(process.node, this.#ports.scheduler.nowMs + JOINT_WITHIN_MS);
    return JSON.stringify(change);
  }

  /**
   * As many newcomers as there are ask for places at once, of which one may get it. The old voters stay here, the leader and the
   * newcomers there: two majorities, if a change counts on one side too early or does not wait for the one before.
   */
  #replaceApart(leader: NodeId, voters: readonly NodeId[], outside: readonly NodeId[], dice: Dice): string {
    const leaving = dice.shuffled(voters.filter((voter) => voter !== leader));
    const changes = outside.slice(0, leaving.length).map((add, at) => ({ kind: "replace", remove: leaving[at]!, add }) as const);
    for (const [at, change] of changes.entries()) this.#later(at * LOOK_EVERY_MS, () => this.#propose(leader, change));
    this.#separate(new Set([leader, ...outside]), dice);
    return JSON.stringify(changes);
  }

  #separate(side: ReadonlySet<NodeId>, dice: Dice): void {
    const between = [...this.#cluster.network.all()].filter(({ from, to }) => side.has(from) !== side.has(to));
    this.#cut(between, dice.logUniform(1_000, 20_000));
  }

  /** The successor has to lead the cluster out of the joint configuration. */
  #killOnceJoint(leader: NodeId, untilMs: number): void {
    const status = this.#cluster.status(leader);
    if (!this.#isActive || status?.role !== "leader" || this.#ports.scheduler.nowMs > untilMs) return;
    if (status.configuration.votersOutgoing !== null) this.#cluster.kill(leader, { power: false });
    else this.#ports.scheduler.after(LOOK_EVERY_MS, () => this.#killOnceJoint(leader, untilMs));
  }

  #told(change: MembershipChange, isDone: boolean): void {
    this.#cluster.count(`membership: ${change.kind} ${isDone ? "done" : "refused or not told"}`);
  }

  #later(delayMs: number, undo: () => void): void {
    this.#ports.scheduler.after(delayMs, () => {
      // After the heal all is undone already.
      if (this.#isActive) undo();
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

const REPAIR_EVERY_MS = 1_000;
/** Then it begins anew: who was only half forgotten is removed once more. */
const REPAIR_WITHIN_MS = 30_000;
const REFUSED_FOR_MS = 3_000;
const JOINT_WITHIN_MS = 2_000;
const LOOK_EVERY_MS = 1;
