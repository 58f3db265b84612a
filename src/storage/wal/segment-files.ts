import type { Disk, DiskFile } from "#ports";
import { StorageError } from "../error.ts";
import type { DiskReserve } from "../reserve.ts";
import { WAL_DIRECTORY, segmentFile, type SegmentName } from "./format.ts";

/** A file that is not yet part of the log; one that a crash left behind is removed at the next start. */
export const NEXT_SEGMENT_FILE = `${WAL_DIRECTORY}/next-segment`;
export const REWRITE_FILE = `${WAL_DIRECTORY}/rewritten-segment`;

/**
 * Makes segment files, one ahead of need, so that a full segment costs the log one small sync instead of writing
 * megabytes of zeros. The name comes last: a file with a segment's name always has a durable header and first batch.
 */
export class SegmentFiles {
  readonly #disk: Disk;
  readonly #segmentBytes: number;
  readonly #reserve: DiskReserve;
  /** Resolves with null when preparing failed: then it is tried again when the segment is needed. */
  #ahead: Promise<DiskFile | null> = Promise.resolve(null);

  constructor(disk: Disk, segmentBytes: number, reserve: DiskReserve) {
    this.#disk = disk;
    this.#segmentBytes = segmentBytes;
    this.#reserve = reserve;
  }

  prepareAhead(): void {
    this.#ahead = zeroFilled(this.#disk, NEXT_SEGMENT_FILE, this.#segmentBytes).catch(() => null);
    void this.#ahead.then(() => this.#reserve.prepare());
  }

  /** A new segment that begins with `head`. `fileBytes` other than the usual size makes one for an oversized batch. */
  async create(name: SegmentName, fileBytes: number, head: Uint8Array): Promise<DiskFile> {
    let file = await this.#ahead;
    this.#ahead = Promise.resolve(null);
    if (file !== null && fileBytes !== this.#segmentBytes) {
      await file.close();
      file = null;
    }
    file ??= await this.#reserve.spendOn(() => zeroFilled(this.#disk, NEXT_SEGMENT_FILE, fileBytes));
    await file.writeSynced(0, head);
    await this.#disk.rename(NEXT_SEGMENT_FILE, segmentFile(name));
    await this.#disk.syncDirectory(WAL_DIRECTORY);
    return file;
  }

  async close(): Promise<void> {
    const file = await this.#ahead;
    this.#ahead = Promise.resolve(null);
    await file?.close();
    await this.#reserve.close();
  }
}

/** Opens `path` as a file of `fileBytes` zeros, all of them durable: later writes need no new blocks and no new size. */
export async function zeroFilled(disk: Disk, path: string, fileBytes: number): Promise<DiskFile> {
  // A file left by a failed attempt is removed, not written again: its pages may be marked clean without being so.
  await removeIfThere(disk, path);
  const file = await disk.open(path, { create: true });
  try {
    const zeros = new Uint8Array(Math.min(fileBytes, FILL_BYTES));
    for (let at = 0; at < fileBytes; at += zeros.length) {
      await file.write(at, zeros.subarray(0, fileBytes - at));
      // The log syncs beside this, on the same disk: it must never wait behind a whole segment of zeros.
      if ((at + zeros.length) % SYNC_EVERY_BYTES === 0) await file.sync();
    }
    await file.sync();
    return file;
  } catch (thrown) {
    await file.close();
    throw StorageError.from(thrown, `filling a segment of ${fileBytes} bytes`, path);
  }
}

export async function removeIfThere(disk: Disk, path: string): Promise<void> {
  try {
    await disk.remove(path);
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code !== "ENOENT") throw StorageError.from(thrown, "removing it", path);
  }
}

const FILL_BYTES = 256 * 1024;
const SYNC_EVERY_BYTES = 4 * 1024 * 1024;
