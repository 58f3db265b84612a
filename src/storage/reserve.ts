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
    try {
      return await operation();
    } catch (thrown) {
      if (!isDiskFull(thrown) || !(await this.#giveUp())) throw thrown;
      return await operation();
    }
  }

  async close(): Promise<void> {
    await this.#filling;
  }

  async #giveUp(): Promise<boolean> {
    await this.#filling;
    if (!(await this.#isThere(RESERVE_FILE))) return false;
    await removeIfThere(this.#disk, RESERVE_FILE);
    await this.#disk.syncDirectory(".");
    return true;
  }

  async #fill(): Promise<void> {
    if (await this.#isThere(RESERVE_FILE)) return;
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

  async #isThere(name: string): Promise<boolean> {
    return (await this.#disk.list(".")).includes(name);
  }
}

const RESERVE_FILE = "reserve";
const DRAFT_FILE = "reserve.tmp";
