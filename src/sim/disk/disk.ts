import type { Disk, DiskFile } from "#ports";
import type { Dice } from "../time/random.ts";
import type { Scheduler } from "../time/scheduler.ts";
import { endOfLog } from "./last-batch.ts";
import { PagedFile, UNIT_BYTES } from "./paged-file.ts";

/** What of the unsynced survives a loss of power. */
export type Personality =
  /** As a journal in order: everything up to some moment. */
  | "ordered"
  /** Data in any order, each unit by chance. */
  | "reorder"
  /** As little as POSIX promises: nothing. */
  | "worst-case";

export interface DiskSettings {
  readonly personality: Personality;
  /** Mean of an fsync on a healthy day. */
  readonly syncMeanMs: number;
  /** After a failed fsync the cache shows the old content again, or the one that is not on the platter. */
  readonly revertsOnFailedSync: boolean;
}

/** What is wrong with a disk right now; the nemesis writes it. */
export interface DiskTrouble {
  /** Added to every sync, on average; its tail is ten times as long. */
  slowSyncMs: number;
  /** Nothing ends before this moment. */
  stalledUntilMs: number;
  /** ENOSPC: writes take their front, then fail. */
  isFull: boolean;
  /** What `freeBytes` says; null: plenty. */
  freeBytes: number | null;
  /** The next so many of these fail with EIO. */
  failingWrites: number;
  failingSyncs: number;
  failingReads: number;
}

/** One life of a process, as its disk sees it. */
export interface DiskUser {
  /** Called before each operation takes effect: the place where a crash may come between any two. False: it is dead. */
  effect(): boolean;
  /** Runs `resume` inside the process when it runs at all; never when it has died since. */
  enter(resume: () => void): void;
  /** How much slower than it should be the whole machine is. */
  readonly slowness: number;
}

export class DiskError extends Error {
  readonly code: string;
  constructor(code: string, path: string) {
    super(`${code}: ${path}`);
    this.code = code;
  }
}

interface NameChange {
  readonly directory: string;
  readonly order: number;
  readonly link: { readonly path: string; readonly file: PagedFile } | null;
  readonly unlink: string | null;
}

/** Of a disk that is well. */
export const noTrouble: Readonly<DiskTrouble> = {
  slowSyncMs: 0,
  stalledUntilMs: 0,
  isFull: false,
  freeBytes: null,
  failingWrites: 0,
  failingSyncs: 0,
  failingReads: 0,
};

/**
 * The disk of one machine: it outlives the processes. What was not synced is lost when power is lost; creates, renames and
 * removes are lost too until their directory is synced.
 */
export class SimDisk {
  readonly trouble: DiskTrouble = { ...noTrouble };
  /** Something was injected for which a refusal to start is the right answer. */
  damaged = false;
  /** Rises with every change of names on the platter. */
  namesVersion = 0;
  readonly #scheduler: Scheduler;
  readonly #dice: Dice;
  readonly #settings: DiskSettings;
  readonly #count: (counter: string) => void;
  #directories = new Set<string>(["."]);
  #names = new Map<string, PagedFile>();
  #platterNames = new Map<string, PagedFile>();
  #pending: NameChange[] = [];
  #order = 0;
  /** Operations so far, for the run's fingerprint. */
  operations = 0;

  constructor(settings: DiskSettings, ports: { scheduler: Scheduler; dice: Dice; count: (counter: string) => void }) {
    this.#settings = settings;
    this.#scheduler = ports.scheduler;
    this.#dice = ports.dice;
    this.#count = ports.count;
  }

  /** Names on the platter. */
  get platter(): ReadonlyMap<string, PagedFile> {
    return this.#platterNames;
  }

  /** The files as a process would see them. */
  get files(): ReadonlyMap<string, PagedFile> {
    return this.#names;
  }

  /** The process died, the machine did not: what the page cache has of its writes is all there. */
  loseProcess(): void {
    for (const file of this.#names.values()) {
      file.abandonSyncs();
      file.evict();
    }
  }

  losePower(): void {
    const survives = this.#survival();
    for (const change of this.#pending) if (survives(change.order)) this.#apply(this.#platterNames, change);
    this.#pending = [];
    this.#names = new Map(this.#platterNames);
    for (const file of this.#names.values()) file.losePower(survives);
    this.namesVersion += 1;
  }

  wipe(): void {
    this.#names = new Map();
    this.#platterNames = new Map();
    this.#pending = [];
    this.#directories = new Set(["."]);
    this.damaged = false;
    this.namesVersion += 1;
  }

  /**
   * Damages what is durable: `rot` flips one bit, `misdirect` puts a unit that was meant for one place over another. (The other
   * half of a misdirected write, that its own place keeps the old bytes, would be an acknowledged write silently undone: no
   * single log can notice that at its end, so it is not a fault that the protocol promises to survive.)
   */
  damage(kind: "rot" | "misdirect", dice: Dice): string | null {
    const all = [...this.#platterNames].filter(([, file]) => file.platterSizeBytes > UNIT_BYTES);
    if (all.length === 0) return null;
    // Snapshots are few among many segments, and the newest is the one that counts.
    const newest = all.filter(([path]) => path.endsWith(".snap")).sort(([a], [b]) => (a < b ? 1 : -1))[0];
    const [path, file] = newest !== undefined && dice.chance(0.3) ? newest : dice.pick(all);
    const used = file.usedBytes;
    const position = dice.int(0, Math.max(0, used - 1));
    if (kind === "rot") {
      const [byte] = file.readPlatter(position, 1);
      file.damage(position, Uint8Array.of((byte ?? 0) ^ (1 << dice.int(0, 7))));
      this.damaged = true;
      return `${path} at byte ${position}`;
    }
    const [from, to] = [position, dice.int(0, Math.max(0, used - 1))].map((at) => at - (at % UNIT_BYTES));
    const unit = file.readPlatter(from!, UNIT_BYTES);
    // Zeros that nothing was written over yet, put over the end of the log, would undo an acknowledged write as well.
    if (unit.at(-1) === 0) return null;
    file.damage(to!, unit);
    this.damaged = true;
    return `${path}: the unit of byte ${from} over byte ${to}`;
  }

  /** Flips one bit in the last whole batch of the log, of a machine without power. Null when there is none to flip. */
  damageEnd(dice: Dice): string | null {
    const end = endOfLog(this.#platterNames);
    if (end === null) return null;
    const { file, position } = end;
    this.damaged = true;
    file.damage(position, Uint8Array.of(file.readPlatter(position, 1)[0]! ^ (1 << dice.int(0, 7))));
    file.evict();
    return `at byte ${position}`;
  }

  /** Takes over the durable content of another disk, as someone who copies a data directory. */
  cloneFrom(other: SimDisk): void {
    this.wipe();
    for (const directory of other.#directories) this.#directories.add(directory);
    for (const [path, file] of other.#platterNames) {
      const copy = file.copy();
      this.#names.set(path, copy);
      this.#platterNames.set(path, copy);
    }
  }

  /** The disk as one process uses it. */
  open(user: DiskUser): Disk {
    const operate = <T>(path: string, delayMs: number, work: () => T): Promise<T> =>
      this.#operate(user, path, delayMs * user.slowness, work);
    return {
      open: (path, { create }) =>
        operate(path, META_MS, () => {
          if (!this.#names.has(path)) {
            if (!create) throw new DiskError("ENOENT", path);
            this.#change({ directory: parent(path), link: { path, file: new PagedFile() }, unlink: null });
          }
          return this.#file(user, path, this.#names.get(path)!);
        }),
      list: (directory) =>
        operate(directory, META_MS, () => {
          if (!this.#directories.has(directory)) throw new DiskError("ENOENT", directory);
          return [...this.#names.keys()]
            .filter((path) => parent(path) === directory)
            .map((path) => path.slice(path.lastIndexOf("/") + 1))
            .sort();
        }),
      rename: (from, to) =>
        operate(from, META_MS, () => {
          const file = this.#named(from);
          this.#change({ directory: parent(to), link: { path: to, file }, unlink: from });
        }),
      remove: (path) =>
        operate(path, META_MS, () => {
          this.#named(path);
          this.#change({ directory: parent(path), link: null, unlink: path });
        }),
      makeDirectory: (path) => operate(path, META_MS, () => void this.#directories.add(path)),
      syncDirectory: (directory) =>
        operate(directory, this.#syncMs(), () => {
          this.#failIf("failingSyncs", directory);
          for (const change of this.#pending) if (change.directory === directory) this.#apply(this.#platterNames, change);
          this.#pending = this.#pending.filter((change) => change.directory !== directory);
          this.namesVersion += 1;
        }),
      freeBytes: () => operate(".", META_MS, () => (this.trouble.isFull ? 0 : (this.trouble.freeBytes ?? FREE_BYTES))),
    };
  }

  #file(user: DiskUser, path: string, file: PagedFile): DiskFile {
    const write = (position: number, bytes: Uint8Array): void => {
      const { trouble } = this;
      if (trouble.isFull || trouble.failingWrites > 0) {
        const code = trouble.isFull ? "ENOSPC" : "EIO";
        if (!trouble.isFull) trouble.failingWrites -= 1;
        // A full or failing disk takes the front of the write before it refuses.
        const taken = bytes.subarray(0, Math.floor(bytes.length * this.#dice.next()));
        if (taken.length > 0) file.write(position, taken, ++this.#order);
        this.#count(code === "ENOSPC" ? "disk: write met a full disk" : "disk: write failed");
        throw new DiskError(code, path);
      }
      file.write(position, bytes, ++this.#order);
    };
    const sync = async (before: () => void): Promise<void> => {
      // The kernel takes the bytes at once; the sync is what takes time.
      if (!user.effect()) return await never();
      this.operations += 1;
      before();
      const under = file.beginSync();
      await this.#operate(user, path, this.#syncMs() * user.slowness, () => {
        if (this.trouble.failingSyncs > 0) file.failSync(under, this.#settings.revertsOnFailedSync);
        this.#failIf("failingSyncs", path);
        file.endSync(under);
      });
    };
    return {
      size: () => this.#operate(user, path, META_MS, () => file.sizeBytes),
      read: (position, length) =>
        this.#operate(user, path, META_MS * user.slowness, () => {
          this.#failIf("failingReads", path);
          return file.read(position, length);
        }),
      write: (position, bytes) => this.#operate(user, path, META_MS * user.slowness, () => write(position, bytes)),
      writeSynced: (position, bytes) => sync(() => write(position, bytes)),
      sync: () => sync(nothing),
      truncate: (size) => this.#operate(user, path, META_MS, () => file.truncate(size)),
      close: () => Promise.resolve(),
    };
  }

  /** `work` takes effect when the time is over, and its caller learns of it then: unless the process died on the way. */
  #operate<T>(user: DiskUser, path: string, delayMs: number, work: () => T): Promise<T> {
    if (!user.effect()) return never();
    this.operations += 1;
    return new Promise<T>((resolve, reject) => {
      const { trouble } = this;
      const endsMs = this.#scheduler.nowMs + delayMs;
      const run = (): void => {
        const { nowMs } = this.#scheduler;
        // Looked at again and again: when the disk is well, what it held up comes through at once.
        if (trouble.stalledUntilMs > nowMs || (trouble.slowSyncMs > 0 && endsMs > nowMs)) {
          this.#scheduler.after(LOOK_AGAIN_MS, run);
          return;
        }
        if (!user.effect()) return;
        try {
          const value = work();
          user.enter(() => resolve(value));
        } catch (error) {
          user.enter(() => reject(error instanceof Error ? error : new DiskError("EIO", path)));
        }
      };
      this.#scheduler.after(trouble.slowSyncMs > 0 ? Math.min(delayMs, LOOK_AGAIN_MS) : delayMs, run);
    });
  }

  #syncMs(): number {
    const { slowSyncMs } = this.trouble;
    const healthy = 0.1 + this.#dice.exponential(this.#settings.syncMeanMs);
    if (slowSyncMs === 0) return healthy;
    const tail = this.#dice.chance(0.02) ? 10 : 1;
    return healthy + this.#dice.exponential(slowSyncMs) * tail;
  }

  #failIf(what: "failingSyncs" | "failingReads", path: string): void {
    if (this.trouble[what] === 0) return;
    this.trouble[what] -= 1;
    this.#count(what === "failingSyncs" ? "disk: sync failed" : "disk: read failed");
    throw new DiskError("EIO", path);
  }

  #survival(): (order: number) => boolean {
    const { personality } = this.#settings;
    if (personality === "worst-case") return () => false;
    if (personality === "ordered") {
      const last = this.#order * (this.#dice.chance(0.5) ? 1 : 0) + this.#dice.int(-8, 0);
      return (order) => order <= last;
    }
    const survival = this.#dice.pick([0, 0.5, 1]);
    return () => this.#dice.chance(survival);
  }

  #change(change: Omit<NameChange, "order">): void {
    const ordered = { ...change, order: ++this.#order };
    this.#apply(this.#names, ordered);
    this.#pending.push(ordered);
  }

  #apply(names: Map<string, PagedFile>, { link, unlink }: NameChange): void {
    if (link !== null) names.set(link.path, link.file);
    if (unlink !== null) names.delete(unlink);
  }

  #named(path: string): PagedFile {
    const file = this.#names.get(path);
    if (file === undefined) throw new DiskError("ENOENT", path);
    return file;
  }
}

const META_MS = 0.02;
const LOOK_AGAIN_MS = 20;
const FREE_BYTES = 1e12;
const nothing = (): void => {};
/** For a process that is dead: it waits, and is collected with its promise. */
const never = <T>(): Promise<T> => new Promise<T>(() => {});

function parent(path: string): string {
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : ".";
}
