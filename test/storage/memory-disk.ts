import type { Random } from "#kernel";
import type { Disk, DiskFile } from "#ports";

/** The least that survives a crash whole or not at all. */
const UNIT = 512;

interface Inode {
  /** As processes see it: the page cache. */
  cache: Uint8Array;
  /** As the platter has it. */
  durable: Uint8Array;
  readonly dirty: Set<number>;
}

type DirectoryChange =
  | { readonly kind: "link"; readonly path: string; readonly inode: Inode }
  | { readonly kind: "unlink"; readonly path: string };

export class DiskFault extends Error {
  readonly code: string;
  constructor(code: string) {
    super(`${code}: injected`);
    this.code = code;
  }
}

/**
 * A disk that loses what was not synced. Written units of 512 bytes survive a crash one by one, by chance; so do creates,
 * renames and removes until their directory is synced. A failed sync marks the pages clean, as Linux does.
 */
export class MemoryDisk implements Disk {
  readonly #names = new Map<string, Inode>();
  readonly #durableNames = new Map<string, Inode>();
  #pending: { readonly directory: string; readonly changes: readonly DirectoryChange[] }[] = [];
  readonly #directories = new Set<string>(["."]);
  #fault: ((operation: string, path: string) => string | null) | null = null;
  #crashed = false;
  /** Writes, syncs and changes of names so far. */
  operations = 0;
  /** The operation with this number never returns, nor does any after it, until {@link crash} or {@link restart}. */
  stopAt = Infinity;

  /** `fault` sees every operation and answers with an error code, or null to let it pass. */
  inject(fault: ((operation: string, path: string) => string | null) | null): void {
    this.#fault = fault;
  }

  /** Power cut: what was not synced survives unit by unit with the chance `survival`. */
  crash(random: Random, survival: number): void {
    for (const { changes } of this.#pending) if (random() < survival) this.#apply(this.#durableNames, changes);
    this.#pending = [];
    this.#names.clear();
    for (const [path, inode] of this.#durableNames) {
      for (const unit of inode.dirty) if (random() < survival) flush(inode, unit);
      inode.dirty.clear();
      inode.cache = inode.durable.slice();
      this.#names.set(path, inode);
    }
    this.restart();
  }

  /** The process died, the machine did not: the page cache is all there. */
  restart(): void {
    this.#crashed = false;
    this.stopAt = Infinity;
    this.#fault = null;
  }

  files(): readonly string[] {
    return [...this.#names.keys()].sort();
  }

  /** A second disk with the same durable content. Everything must be synced. */
  clone(): MemoryDisk {
    const copy = new MemoryDisk();
    for (const directory of this.#directories) copy.#directories.add(directory);
    for (const [path, inode] of this.#names) copy.put(path, inode.cache.slice());
    return copy;
  }

  content(path: string): Uint8Array {
    return this.#inode(path).cache;
  }

  /** Places a file, durably, behind the back of the code under test. */
  put(path: string, bytes: Uint8Array): void {
    const inode: Inode = { cache: bytes, durable: bytes.slice(), dirty: new Set() };
    this.#names.set(path, inode);
    this.#durableNames.set(path, inode);
    this.#directories.add(parent(path));
  }

  async open(path: string, { create }: { readonly create: boolean }): Promise<DiskFile> {
    this.#step("open", path);
    if (!this.#names.has(path)) {
      if (!create) throw new DiskFault("ENOENT");
      const inode: Inode = { cache: new Uint8Array(0), durable: new Uint8Array(0), dirty: new Set() };
      this.#change(path, [{ kind: "link", path, inode }]);
    }
    return this.#file(this.#inode(path));
  }

  async list(directory: string): Promise<readonly string[]> {
    if (!this.#directories.has(directory)) throw new DiskFault("ENOENT");
    return this.files()
      .filter((path) => parent(path) === directory)
      .map((path) => path.slice(path.lastIndexOf("/") + 1));
  }

  async rename(from: string, to: string): Promise<void> {
    this.#step("rename", from);
    const inode = this.#inode(from);
    this.#change(to, [
      { kind: "link", path: to, inode },
      { kind: "unlink", path: from },
    ]);
  }

  async remove(path: string): Promise<void> {
    this.#step("remove", path);
    this.#inode(path);
    this.#change(path, [{ kind: "unlink", path }]);
  }

  async makeDirectory(path: string): Promise<void> {
    this.#directories.add(path);
  }

  async syncDirectory(directory: string): Promise<void> {
    this.#step("syncDirectory", directory);
    for (const { changes, ...pending } of this.#pending) {
      if (pending.directory === directory) this.#apply(this.#durableNames, changes);
    }
    this.#pending = this.#pending.filter((pending) => pending.directory !== directory);
  }

  async freeBytes(): Promise<number | null> {
    return null;
  }

  #file(inode: Inode): DiskFile {
    /** Follows the file through renames, as an open descriptor does. */
    const path = (): string => [...this.#names].find(([, named]) => named === inode)?.[0] ?? "(removed)";
    const write = (position: number, bytes: Uint8Array): void => {
      const end = position + bytes.length;
      if (end > inode.cache.length) inode.cache = grown(inode.cache, end);
      inode.cache.set(bytes, position);
      for (let unit = Math.floor(position / UNIT); unit * UNIT < end; unit++) inode.dirty.add(unit);
    };
    const file: DiskFile = {
      size: async () => inode.cache.length,
      read: async (position, length) => inode.cache.slice(position, position + length),
      write: async (position, bytes) => {
        try {
          this.#step("write", path());
        } catch (fault) {
          // A full or failing disk takes the front of the write before it refuses.
          write(position, bytes.subarray(0, Math.floor(bytes.length * 0.4)));
          throw fault;
        }
        write(position, bytes);
      },
      writeSynced: async (position, bytes) => {
        await file.write(position, bytes);
        await file.sync();
      },
      sync: async () => {
        try {
          this.#step("sync", path());
        } catch (fault) {
          if (!this.#crashed) inode.dirty.clear();
          throw fault;
        }
        for (const unit of inode.dirty) flush(inode, unit);
        inode.durable = inode.durable.slice(0, inode.cache.length);
        inode.dirty.clear();
      },
      truncate: async (size) => {
        this.#step("truncate", path());
        inode.cache = grown(inode.cache.subarray(0, size), size);
      },
      close: async () => undefined,
    };
    return file;
  }

  #step(operation: string, path: string): void {
    if (operation !== "open") this.operations += 1;
    if (this.operations >= this.stopAt) this.#crashed = true;
    if (this.#crashed) throw new DiskFault("ECRASHED");
    const code = this.#fault?.(operation, path) ?? null;
    if (code !== null) throw new DiskFault(code);
  }

  #change(path: string, changes: readonly DirectoryChange[]): void {
    this.#apply(this.#names, changes);
    this.#pending.push({ directory: parent(path), changes });
  }

  #apply(names: Map<string, Inode>, changes: readonly DirectoryChange[]): void {
    for (const change of changes) {
      if (change.kind === "link") names.set(change.path, change.inode);
      else names.delete(change.path);
    }
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path);
    if (inode === undefined) throw new DiskFault("ENOENT");
    return inode;
  }
}

function flush(inode: Inode, unit: number): void {
  const end = Math.min((unit + 1) * UNIT, inode.cache.length);
  if (unit * UNIT >= end) return;
  if (end > inode.durable.length) inode.durable = grown(inode.durable, end);
  inode.durable.set(inode.cache.subarray(unit * UNIT, end), unit * UNIT);
}

function grown(bytes: Uint8Array, length: number): Uint8Array {
  const longer = new Uint8Array(length);
  longer.set(bytes);
  return longer;
}

function parent(path: string): string {
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : ".";
}
