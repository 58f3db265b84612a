import type { NodeId } from "#kernel";
import type { Machine } from "../cluster.ts";
import type { SimDisk } from "../disk/disk.ts";
import { type FaultKind, MIN_FREE_BYTES } from "../swarm.ts";
import type { Dice } from "../time/random.ts";
import type { Repair } from "./repair.ts";
import type { Injection, Stage } from "./stage.ts";

type DiskFaultKind = Extract<
  FaultKind,
  | "slow-disk"
  | "stall"
  | "disk-full"
  | "disk-low"
  | "sync-error"
  | "write-error"
  | "read-error"
  | "rot"
  | "misdirect"
  | "damaged-end"
  | "wipe"
  | "clone"
>;

/**
 * Of disks and what is on them. `atlas`: the machines whose durable data may be damaged; everybody else's disk may only be slow,
 * full, or refuse.
 */
export function diskFaults(stage: Stage, atlas: ReadonlySet<NodeId>, repair: Repair): Readonly<Record<DiskFaultKind, Injection>> {
  const { cluster, scheduler, later } = stage;
  const troubleOf = (node: NodeId): SimDisk["trouble"] => cluster.machine(node).disk.trouble;
  const damageable = (dice: Dice): Machine | null => (atlas.size === 0 ? null : cluster.machine(dice.pick([...atlas])));
  const copies = new Copies(stage, repair);
  return {
    "slow-disk": (node, dice) => {
      const trouble = troubleOf(node);
      trouble.slowSyncMs = dice.logUniform(5, 1_000);
      later(dice.logUniform(500, 20_000), () => {
        trouble.slowSyncMs = 0;
      });
      return `${node} by ${Math.round(trouble.slowSyncMs)} ms`;
    },
    stall: (node, dice) => {
      troubleOf(node).stalledUntilMs = scheduler.nowMs + dice.logUniform(100, 20_000);
      return node;
    },
    "disk-full": (node, dice) => {
      const trouble = troubleOf(node);
      trouble.isFull = true;
      cluster.observer.diskFault(node, "ENOSPC");
      later(dice.logUniform(200, 15_000), () => {
        trouble.isFull = false;
      });
      return node;
    },
    "disk-low": (node, dice) => {
      const trouble = troubleOf(node);
      trouble.freeBytes = MIN_FREE_BYTES / 2;
      later(dice.logUniform(1_000, 20_000), () => {
        trouble.freeBytes = null;
      });
      return node;
    },
    "sync-error": (node) => {
      troubleOf(node).failingSyncs = 1;
      cluster.observer.diskFault(node, "fsync failed");
      return node;
    },
    "write-error": (node) => {
      troubleOf(node).failingWrites = 1;
      cluster.observer.diskFault(node, "EIO");
      return node;
    },
    "read-error": (node) => {
      troubleOf(node).failingReads = 1;
      cluster.observer.diskFault(node, "EIO");
      return node;
    },
    rot: (_node, dice) => damage(stage, "rot", damageable(dice), dice),
    misdirect: (_node, dice) => damage(stage, "misdirect", damageable(dice), dice),
    "damaged-end": (_node, dice) => {
      const machine = damageable(dice);
      if (machine === null) return null;
      cluster.kill(machine.id, { power: true });
      const where = machine.disk.damageEnd(dice);
      if (where === null) return null;
      cluster.observer.diskFault(machine.id, "end damaged");
      return `${machine.id} ${where}`;
    },
    wipe: (_node, dice) => {
      const machine = damageable(dice);
      if (machine === null || repair.isUnderWay(machine.id)) return null;
      repair.lose(machine);
      return machine.id;
    },
    clone: (node, dice) => copies.next(cluster.machine(node), dice),
  };
}

function damage({ cluster }: Stage, kind: "rot" | "misdirect", machine: Machine | null, dice: Dice): string | null {
  const damaged = machine?.disk.damage(kind, dice) ?? null;
  if (machine === null || damaged === null) return null;
  cluster.observer.diskFault(machine.id, kind === "rot" ? "rot" : "misdirected");
  // Found at the next start; while the process lives, its page cache hides much.
  if (dice.chance(0.5)) cluster.kill(machine.id, { power: false });
  return damaged;
}

/** Data directories that someone has copied, each with the life of the directory that it was copied from. */
class Copies {
  readonly #stage: Stage;
  readonly #repair: Repair;
  readonly #taken = new Map<NodeId, { readonly disk: SimDisk; readonly wipes: number }>();

  constructor(stage: Stage, repair: Repair) {
    this.#stage = stage;
    this.#repair = repair;
  }

  /** First a copy is made and its origin starts once more; the next time the copy is started too. */
  next({ id, disk, process }: Machine, dice: Dice): string | null {
    const { cluster } = this.#stage;
    // Who was removed is forgotten, and its copy is rightly welcome.
    if (process === null || cluster.config.faults.membership !== undefined || this.#repair.isUnderWay(id)) return null;
    const copy = this.#taken.get(id);
    // Of a directory that has been wiped since it is a copy of nothing.
    if (copy === undefined || copy.wipes !== this.#repair.wipesOf(id)) {
      if (disk.damaged) return null;
      this.#taken.set(id, { disk: cluster.copyOf(id, dice.fork(`copy of ${id}`)), wipes: this.#repair.wipesOf(id) });
      cluster.kill(id, { power: false });
      return `${id} copied`;
    }
    this.#taken.delete(id);
    void cluster.startCopy(id, copy.disk);
    return `the copy of ${id} started`;
  }
}
