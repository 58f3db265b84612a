import type { LogIndex } from "#kernel";
import type { Disk } from "#ports";
import type { SnapshotMeta } from "#raft";
import { StorageError } from "../error.ts";
import { Serial } from "../serial.ts";
import type { SavedSnapshot, SnapshotStore } from "../types.ts";
import { listOrEmpty } from "../wal/segments.ts";
import { removeIfThere } from "../wal/segment-files.ts";
import { opened, readSnapshot, verifySnapshot, writeSnapshot } from "./file.ts";
import { SNAPSHOT_DIRECTORY, type SnapshotFooter, type SnapshotName, parseSnapshotName, snapshotFile } from "./format.ts";

/** The newest, and one to fall back to when the newest rots. */
const KEPT_SNAPSHOTS = 2;

export interface SnapshotStoreOptions {
  /** Of one file that another voter sends. Default 16 GiB. */
  readonly maxReceivedBytes?: number;
  /** A received snapshot must leave this much of the disk free, for the log. Default 0. */
  readonly keepFreeBytes?: number;
}

const DEFAULT_MAX_RECEIVED_BYTES = 16 * 1024 ** 3;

/** Makes the directory and removes what an interrupted save or transfer left behind. */
export async function openSnapshotStore(disk: Disk, options: SnapshotStoreOptions = {}): Promise<SnapshotStore> {
  try {
    await disk.makeDirectory(SNAPSHOT_DIRECTORY);
    await disk.syncDirectory(".");
  } catch (thrown) {
    throw StorageError.from(thrown, "making it", SNAPSHOT_DIRECTORY);
  }
  for (const name of await listOrEmpty(disk, SNAPSHOT_DIRECTORY)) {
    if (name.endsWith(".tmp") || name.endsWith(".part")) await removeIfThere(disk, `${SNAPSHOT_DIRECTORY}/${name}`);
  }
  try {
    // A process killed between a rename and its sync leaves a name that the next one sees and a power cut takes away. The log
    // is about to be judged, and perhaps reset, by what is seen here.
    await disk.syncDirectory(SNAPSHOT_DIRECTORY);
  } catch (thrown) {
    throw StorageError.from(thrown, "syncing it", SNAPSHOT_DIRECTORY);
  }
  return new FileSnapshotStore(disk, options);
}

class FileSnapshotStore implements SnapshotStore {
  readonly #disk: Disk;
  readonly #serial = new Serial();
  #inUse: () => ReadonlySet<LogIndex> = () => new Set();
  /** What this process has read through and found whole, or refused: by path. A file never changes under its name. */
  readonly #checked = new Map<string, SnapshotFooter | StorageError>();
  /** The transfer under way; one at a time, as there is one leader. */
  #receiving: { readonly path: string; readonly maxBytes: number; nextOffset: number } | null = null;
  readonly #maxReceivedBytes: number;
  readonly #keepFreeBytes: number;

  constructor(disk: Disk, { maxReceivedBytes = DEFAULT_MAX_RECEIVED_BYTES, keepFreeBytes = 0 }: SnapshotStoreOptions) {
    this.#disk = disk;
    this.#maxReceivedBytes = maxReceivedBytes;
    this.#keepFreeBytes = keepFreeBytes;
  }

  async list(): Promise<readonly SnapshotMeta[]> {
    const whole: SnapshotMeta[] = [];
    for (const name of await this.#names()) {
      const footer = await this.#check(snapshotFile(name));
      if (!(footer instanceof StorageError)) whole.push(footer.meta);
    }
    return whole;
  }

  async damaged(): Promise<readonly StorageError[]> {
    await this.list();
    return [...this.#checked.values()].filter((checked) => checked instanceof StorageError);
  }

  save(
    meta: SnapshotMeta,
    stateDigest: string,
    content: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<SavedSnapshot> {
    return this.#serial.run(async () => {
      const draft = snapshotFile(meta, "tmp");
      try {
        const file = await this.#disk.open(draft, { create: true });
        try {
          await writeSnapshot(file, meta, stateDigest, content);
        } finally {
          await file.close();
        }
        return await this.#publish(draft, meta);
      } catch (thrown) {
        await removeIfThere(this.#disk, draft).catch(() => undefined);
        throw StorageError.from(thrown, "saving a snapshot", draft);
      }
    });
  }

  async *read(index: LogIndex): AsyncGenerator<Uint8Array> {
    yield* readSnapshot(this.#disk, await this.#pathOf(index));
  }

  async stateDigest(index: LogIndex): Promise<string> {
    const footer = await this.#check(await this.#pathOf(index));
    if (footer instanceof StorageError) throw footer;
    return footer.stateDigest;
  }

  keepWhile(inUse: () => ReadonlySet<LogIndex>): void {
    this.#inUse = inUse;
  }

  async readRaw(index: LogIndex, offset: number, length: number): ReturnType<SnapshotStore["readRaw"]> {
    const path = await this.#pathOf(index);
    const file = await opened(this.#disk, path);
    try {
      return { bytes: await file.read(offset, length), totalBytes: await file.size() };
    } catch (thrown) {
      throw StorageError.from(thrown, "reading it", path);
    } finally {
      await file.close();
    }
  }

  /** Offset 0 begins a transfer anew: another leader's file of the same state need not be the same bytes. */
  receiveRaw(meta: SnapshotMeta, offset: number, bytes: Uint8Array, totalBytes: number): Promise<number> {
    return this.#serial.run(async () => {
      const path = snapshotFile(meta, "part");
      if (offset === 0) {
        await this.#abandonReceiving();
        await this.#checkRoom(path, totalBytes);
        this.#receiving = { path, maxBytes: totalBytes === 0 ? this.#maxReceivedBytes : totalBytes, nextOffset: 0 };
      }
      const receiving = this.#receiving;
      if (receiving === null || receiving.path !== path) return 0;
      if (offset !== receiving.nextOffset) return receiving.nextOffset;
      if (offset + bytes.length > receiving.maxBytes) {
        await this.#abandonReceiving();
        const problem = `it goes on beyond byte ${receiving.maxBytes}, where it should have ended`;
        throw new StorageError("TOO_LARGE", problem, { file: path, offset });
      }
      try {
        const file = await this.#disk.open(path, { create: true });
        try {
          if (offset === 0) await file.truncate(0);
          await file.write(offset, bytes);
        } finally {
          await file.close();
        }
      } catch (thrown) {
        await this.#abandonReceiving().catch(() => undefined);
        throw StorageError.from(thrown, "receiving a snapshot", path);
      }
      receiving.nextOffset += bytes.length;
      return receiving.nextOffset;
    });
  }

  /** Half a snapshot is of no use to anybody but takes the log's room. */
  async #abandonReceiving(): Promise<void> {
    const receiving = this.#receiving;
    this.#receiving = null;
    if (receiving !== null) await removeIfThere(this.#disk, receiving.path);
  }

  async #checkRoom(path: string, totalBytes: number): Promise<void> {
    if (totalBytes > this.#maxReceivedBytes) {
      const problem = `a snapshot of ${totalBytes} bytes is over the limit of ${this.#maxReceivedBytes}`;
      throw new StorageError("TOO_LARGE", problem, { file: path });
    }
    const freeBytes = await this.#disk.freeBytes();
    const needed = totalBytes + this.#keepFreeBytes;
    if (freeBytes === null || freeBytes >= needed) return;
    const cause = Object.assign(new Error(`ENOSPC: ${freeBytes} bytes are free, ${needed} needed`), { code: "ENOSPC" });
    throw StorageError.from(cause, "receiving a snapshot", path);
  }

  finishReceive(meta: SnapshotMeta): Promise<SavedSnapshot> {
    return this.#serial.run(async () => {
      const path = snapshotFile(meta, "part");
      this.#receiving = null;
      const file = await opened(this.#disk, path);
      try {
        await file.sync();
      } catch (thrown) {
        throw StorageError.from(thrown, "receiving a snapshot", path);
      } finally {
        await file.close();
      }
      checkSame((await verifySnapshot(this.#disk, path)).meta, meta, path);
      return await this.#publish(path, meta);
    });
  }

  /** The draft is synced. It gets its name, is read back from there, and only then may older ones go. */
  async #publish(draft: string, meta: SnapshotMeta): Promise<SavedSnapshot> {
    const path = snapshotFile(meta);
    await this.#disk.rename(draft, path);
    await this.#disk.syncDirectory(SNAPSHOT_DIRECTORY);
    this.#checked.delete(path);
    const footer = await this.#check(path);
    if (footer instanceof StorageError) throw footer;
    checkSame(footer.meta, meta, path);
    return { keepWalFrom: await this.#prune() };
  }

  /** Returns from which index on the log is needed to start from the oldest snapshot that is kept. */
  async #prune(): Promise<LogIndex> {
    const whole = await this.list();
    const inUse = this.#inUse();
    const kept = new Set(whole.filter(({ index }, at) => at < KEPT_SNAPSHOTS || inUse.has(index)).map(snapshotFileOf));
    const oldestKept = whole.length >= KEPT_SNAPSHOTS ? whole[KEPT_SNAPSHOTS - 1]! : null;
    for (const name of await this.#names()) {
      const path = snapshotFile(name);
      // A damaged one goes as soon as two whole ones are newer than it.
      if (kept.has(path) || oldestKept === null || name.index > oldestKept.index) continue;
      await removeIfThere(this.#disk, path);
      this.#checked.delete(path);
    }
    await this.#disk.syncDirectory(SNAPSHOT_DIRECTORY);
    return ((oldestKept?.index ?? 0) + 1) as LogIndex;
  }

  /** Newest first. */
  async #names(): Promise<readonly SnapshotName[]> {
    const names = (await listOrEmpty(this.#disk, SNAPSHOT_DIRECTORY)).map(parseSnapshotName).filter((name) => name !== null);
    return names.sort((a, b) => b.index - a.index || b.term - a.term);
  }

  async #pathOf(index: LogIndex): Promise<string> {
    const name = (await this.#names()).find((candidate) => candidate.index === index);
    if (name === undefined)
      throw new StorageError("NOT_FOUND", `there is no snapshot at index ${index}`, { file: SNAPSHOT_DIRECTORY });
    return snapshotFile(name);
  }

  async #check(path: string): Promise<SnapshotFooter | StorageError> {
    const known = this.#checked.get(path);
    if (known !== undefined) return known;
    let result: SnapshotFooter | StorageError;
    try {
      result = await verifySnapshot(this.#disk, path);
    } catch (thrown) {
      if (!(thrown instanceof StorageError) || thrown.code !== "CORRUPT") throw StorageError.from(thrown, "verifying it", path);
      result = thrown;
    }
    this.#checked.set(path, result);
    return result;
  }
}

const snapshotFileOf = (meta: SnapshotMeta): string => snapshotFile(meta);

function checkSame(found: SnapshotMeta, wanted: SnapshotMeta, file: string): void {
  if (found.index === wanted.index && found.term === wanted.term) return;
  throw new StorageError(
    "CORRUPT",
    `the snapshot is of index ${found.index} in term ${found.term}, not of ${wanted.index} in term ${wanted.term}`,
    { file },
  );
}
