import type { Disk } from "#ports";
import { isDiskFull } from "./error.ts";
import { removeIfThere, zeroFilled } from "./wal/segment-files.ts";

/**
 * Space put aside while there is some: a file that is given up when the disk is full, so that the log can still write what
 * makes room (marks, the next segment) or bring a restart to its end.
 */
export class DiskReserve {
  readonly #disk: Disk;
  readonly #bytes: number;
  #filling: Promise<void> = Promise.resolve();

  constructor(disk: Disk, bytes: number) {
    this.#disk = disk;
    this.#bytes = bytes;
  }

  /** Fills the reserve in the background unless it is whole or the disk is too full for it. Failing is no error: it is tried again. */
  prepare(): void {
    this.#filling = this.#filling.then(() => this.#fill()).catch(() => undefined);
  }

  /** Runs `operation`; when the disk is full, gives the reserve up and runs it once more. */
  async spendOn<T>(operation: () => Promise<T>): Promise<T> {
    return await spendReserveOn(this.#disk, operation, this.#filling);
  }

  async close(): Promise<void> {
    await this.#filling;
  }

  async #fill(): Promise<void> {
    if (await isReserved(this.#disk)) return;
    const freeBytes = await this.#disk.freeBytes();
    if (freeBytes !== null && freeBytes < 2 * this.#bytes) return;
    try {
      const file = await zeroFilled(this.#disk, DRAFT_FILE, this.#bytes);
      await file.close();
      await this.#disk.rename(DRAFT_FILE, RESERVE_FILE);
    } catch {
      await removeIfThere(this.#disk, DRAFT_FILE);
    }
  }
}

/** {@link DiskReserve.spendOn} for those who do not keep the reserve: `filling` is a filling under way, which must end first. */
export async function spendReserveOn<T>(
  disk: Disk,
  operation: () => Promise<T>,
  filling: Promise<void> = Promise.resolve(),
): Promise<T> {
  try {
    return await operation();
  } catch (thrown) {
    if (!isDiskFull(thrown)) throw thrown;
    await filling;
    if (!(await isReserved(disk))) throw thrown;
    await removeIfThere(disk, RESERVE_FILE);
    await disk.syncDirectory(".");
    return await operation();
  }
}

async function isReserved(disk: Disk): Promise<boolean> {
  return (await disk.list(".")).includes(RESERVE_FILE);
}

const RESERVE_FILE = "reserve";
const DRAFT_FILE = "reserve.tmp";
