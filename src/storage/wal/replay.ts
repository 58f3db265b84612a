import { type LogIndex, NO_INDEX, NO_TERM } from "#kernel";
import { type Entry, type HardState, type SnapshotMeta, decodeEntry } from "#raft";
import { StorageError } from "../error.ts";
import { type RecordType, recordTypeOf } from "./format.ts";
import { decodeHardState, decodeSnapshotMeta, decodeSuspicion, decodeTruncateMark } from "./payload.ts";
import type { ScannedRecord } from "./scan.ts";
import { type ReadSegment, corrupt } from "./segments.ts";

/** What the records say when they are read from the first to the last. */
export class Replay {
  hardState: HardState = { term: NO_TERM, votedFor: null };
  /** From the newest snapshot or reset mark. */
  snapshot: SnapshotMeta | null = null;
  /** Contiguous. */
  readonly entries: Entry[] = [];
  endsWithCleanStop = false;
  suspect = false;
  #nextIndex: LogIndex | null = null;

  /** Index that the next entry has. */
  get nextIndex(): LogIndex {
    return this.#nextIndex ?? FIRST_INDEX;
  }

  /** Index before the first entry that is left. */
  get startsAfter(): LogIndex {
    return (this.nextIndex - this.entries.length - 1) as LogIndex;
  }

  /** Returns the highest index that an entry in this segment has, or 0. Throws StorageError with file and offset. */
  segment({ file, header, scan }: ReadSegment): LogIndex {
    this.#nextIndex ??= header.firstIndex;
    let highest = NO_INDEX;
    for (const record of scan.records) {
      this.endsWithCleanStop = false;
      const type = recordTypeOf(record.type);
      if (type === undefined) {
        throw new StorageError("FORMAT_TOO_NEW", `a record of type ${record.type} is not known here`, {
          file,
          offset: record.offset,
        });
      }
      try {
        this.#record(type, record, file);
      } catch (thrown) {
        if (thrown instanceof StorageError) throw thrown;
        const problem = `a record with a sound checksum cannot be decoded: ${(thrown as Error).message}`;
        throw new StorageError("CORRUPT", problem, { file, offset: record.offset, cause: thrown });
      }
      if (type === "entry" && this.nextIndex - 1 > highest) highest = (this.nextIndex - 1) as LogIndex;
    }
    return highest;
  }

  /** Every entry after the newest snapshot must be here. */
  checkWhole(oldestFile: string): void {
    const firstIndex = this.startsAfter + 1;
    const covered = this.snapshot?.index ?? NO_INDEX;
    if (firstIndex > covered + 1) {
      throw corrupt(
        oldestFile,
        0,
        `the log starts at index ${firstIndex}, its snapshot ends at ${covered}: older segments are missing`,
      );
    }
  }

  #record(type: RecordType, { payload, offset }: ScannedRecord, file: string): void {
    switch (type) {
      case "entry":
        return this.#entry(decodeEntry(payload), file, offset);
      case "hardState":
        this.hardState = decodeHardState(payload);
        return;
      case "truncateMark":
        return this.#truncate(decodeTruncateMark(payload), file, offset);
      case "snapshotMark":
        this.snapshot = decodeSnapshotMeta(payload);
        return;
      case "resetMark":
        this.snapshot = decodeSnapshotMeta(payload);
        this.entries.length = 0;
        this.#nextIndex = (this.snapshot.index + 1) as LogIndex;
        return;
      case "cleanStop":
        this.endsWithCleanStop = true;
        return;
      case "suspicion":
        this.suspect = decodeSuspicion(payload);
        return;
      case "clusterMeta":
        return;
    }
  }

  #entry(entry: Entry, file: string, offset: number): void {
    if (entry.index !== this.nextIndex) {
      throw corrupt(file, offset, `entry ${entry.index} stands where entry ${this.nextIndex} belongs`);
    }
    this.entries.push(entry);
    this.#nextIndex = (entry.index + 1) as LogIndex;
  }

  #truncate(from: LogIndex, file: string, offset: number): void {
    if (from > this.nextIndex || from < 1) {
      throw corrupt(file, offset, `a mark forgets entries from ${from} on, but the log ends before ${this.nextIndex}`);
    }
    this.entries.length = Math.max(0, from - this.startsAfter - 1);
    this.#nextIndex = from;
  }
}

const FIRST_INDEX = 1 as LogIndex;
