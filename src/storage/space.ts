import type { Disk } from "#ports";

export interface DiskSpace {
  /** Null where the system does not tell. */
  readonly freeBytes: number | null;
  /** Below the mark since the last look, or not yet well above it again. */
  readonly isLow: boolean;
  readonly lowBytes: number;
}

/**
 * Whether the disk has room for more. Low below `lowBytes`; well again only a quarter above it, so that the answer does not
 * change with every segment that comes and goes.
 */
export class SpaceWatch {
  readonly #disk: Disk;
  #space: DiskSpace;

  constructor(disk: Disk, lowBytes: number) {
    this.#disk = disk;
    this.#space = { freeBytes: null, isLow: false, lowBytes };
  }

  get space(): DiskSpace {
    return this.#space;
  }

  /** Resolves with true when low became well or well became low. A disk that cannot be asked is not called low. */
  async look(): Promise<boolean> {
    const { isLow: was, lowBytes } = this.#space;
    const freeBytes = await this.#disk.freeBytes().catch(() => null);
    const isLow = freeBytes !== null && freeBytes < (was ? lowBytes + lowBytes / 4 : lowBytes);
    this.#space = { freeBytes, isLow, lowBytes };
    return isLow !== was;
  }
}
