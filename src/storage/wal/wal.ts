import { type LogIndex, NO_INDEX, invariant } from "#kernel";
import type { Clock, Disk, DiskFile } from "#ports";
import type { HardState, SnapshotMeta } from "#raft";
import { StorageError } from "../error.ts";
import { Serial } from "../serial.ts";
import type { DiskReserve } from "../reserve.ts";
import type { WalBatch, WriteAheadLog } from "../types.ts";
import type { VoteCell } from "../vote-cell.ts";
import { type BatchRecord, BatchWriter, type LogPosition, type SmallRecord, batchBytes } from "./batch-writer.ts";
import {
  FORMAT_VERSION,
  type LogOwner,
  SEGMENT_HEADER_BYTES,
  type SegmentName,
  WAL_DIRECTORY,
  decodeSegmentHeader,
  encodeSegmentHeader,
  segmentFile,
} from "./format.ts";
import {
  type ClusterMeta,
  encodeClusterMeta,
  encodeHardState,
  encodeSnapshotMeta,
  encodeSuspicion,
  encodeTruncateMark,
} from "./payload.ts";
import { SegmentFiles } from "./segment-files.ts";

/** More than any batch of a sane configuration; a segment's size field ends at 4 GiB. */
const MAX_BATCH_BYTES = 1024 * 1024 * 1024;

/** A segment that is written no more. */
export interface SealedSegment extends SegmentName {
  /** Of the entries in it; 0 when it has none. */
  readonly highestIndex: LogIndex;
}

/** The segment that takes the next batch. */
export interface OpenSegment extends SegmentName {
  readonly file: DiskFile;
  readonly fileBytes: number;
  readonly crc: number;
  highestIndex: LogIndex;
  /** Offset of the next batch. */
  end: number;
}

export interface WalState {
  readonly sealed: readonly SealedSegment[];
  /** null before the first segment exists. */
  readonly open: OpenSegment | null;
  readonly position: LogPosition;
  readonly nextIndex: LogIndex;
  readonly hardState: HardState;
  readonly snapshot: SnapshotMeta | null;
  readonly suspect: boolean;
}

export interface WalSetup {
  readonly disk: Disk;
  readonly owner: LogOwner;
  readonly meta: ClusterMeta;
  readonly segmentBytes: number;
  readonly clock: Clock | null;
  readonly vote: VoteCell;
  readonly reserve: DiskReserve;
}

/**
 * States: open → failed (a write or sync failed; final, because the kernel may have dropped the pages and would call the
 * next sync a success: "fsyncgate", Rebello et al., ATC '20) → closed.
 */
export class SegmentedLog implements WriteAheadLog {
  readonly stats = { batches: 0, entries: 0, bytes: 0, lastSyncMs: 0 };
  readonly #setup: WalSetup;
  readonly #files: SegmentFiles;
  readonly #writer = new BatchWriter();
  readonly #serial = new Serial();
  #sealed: SealedSegment[];
  #open: OpenSegment | null;
  #position: LogPosition;
  #nextIndex: LogIndex;
  #hardState: HardState;
  #snapshot: SnapshotMeta | null;
  #suspect: boolean;
  #failure: StorageError | null = null;
  #closed = false;

  constructor(setup: WalSetup, state: WalState) {
    this.#setup = setup;
    this.#files = new SegmentFiles(setup.disk, setup.segmentBytes, setup.reserve);
    this.#sealed = [...state.sealed];
    this.#open = state.open;
    this.#position = state.position;
    this.#nextIndex = state.nextIndex;
    this.#hardState = state.hardState;
    this.#snapshot = state.snapshot;
    this.#suspect = state.suspect;
  }

  /** Makes the first segment of a new log, and the one ahead. Called once, before anything else. */
  async start(): Promise<void> {
    if (this.#open === null) await this.#guarded(() => this.#roll(0));
    else this.#files.prepareAhead();
  }

  append(batch: WalBatch): Promise<void> {
    return this.#serial.run(() => this.#append(batch));
  }

  markSnapshot(meta: SnapshotMeta, keepFrom: LogIndex): Promise<void> {
    return this.#serial.run(async () => {
      this.#checkUsable();
      // While it was being written, a received snapshot has replaced the log that it stands for.
      if (this.#snapshot !== null && meta.index < this.#snapshot.index) return;
      await this.#writeBatch([{ type: "snapshotMark", payload: encodeSnapshotMeta(meta) }]);
      this.#snapshot = meta;
      const needed = Math.min(keepFrom, meta.index + 1);
      await this.#dropWhile((segment) => segment.highestIndex < needed);
    });
  }

  resetTo(meta: SnapshotMeta): Promise<void> {
    return this.#serial.run(async () => {
      this.#checkUsable();
      await this.#writeBatch([{ type: "resetMark", payload: encodeSnapshotMeta(meta) }]);
      this.#snapshot = meta;
      this.#nextIndex = (meta.index + 1) as LogIndex;
      await this.#dropWhile(() => true);
    });
  }

  close(): Promise<void> {
    return this.#serial.run(async () => {
      if (this.#closed) return;
      this.#closed = true;
      try {
        if (this.#failure === null) await this.#writeBatch([{ type: "cleanStop", payload: new Uint8Array(0) }]);
      } finally {
        await this.#files.close();
        await this.#open?.file.close();
        await this.#setup.vote.close();
      }
    });
  }

  async #append({ entries, hardState, liftsSuspicion }: WalBatch): Promise<void> {
    this.#checkUsable();
    if (entries.length === 0 && hardState === null && liftsSuspicion === undefined) return;
    // First the second copy: what tears while it is written has been sent by nobody.
    if (hardState !== null) await this.#guarded(() => this.#setup.vote.write(hardState));
    const records: BatchRecord[] = [];
    let next = this.#nextIndex;
    let highest = NO_INDEX;
    for (const entry of entries) {
      invariant(
        entry.index <= next && entry.index > 0,
        `entry ${entry.index} would leave a gap in the log, which ends before ${next}`,
      );
      if (entry.index < next) records.push({ type: "truncateMark", payload: encodeTruncateMark(entry.index) });
      records.push(entry);
      next = (entry.index + 1) as LogIndex;
      if (entry.index > highest) highest = entry.index;
    }
    if (liftsSuspicion !== undefined) records.push({ type: "suspicion", payload: encodeSuspicion(false) });
    if (hardState !== null) records.push({ type: "hardState", payload: encodeHardState(hardState) });
    await this.#writeBatch(records);
    if (liftsSuspicion !== undefined) this.#suspect = false;
    this.#nextIndex = next;
    if (hardState !== null) this.#hardState = hardState;
    const open = this.#open!;
    if (highest > open.highestIndex) open.highestIndex = highest;
    this.stats.entries += entries.length;
  }

  /** One write, one sync. */
  async #writeBatch(records: readonly BatchRecord[]): Promise<void> {
    const size = batchBytes(records);
    if (size > MAX_BATCH_BYTES) {
      throw new StorageError("TOO_LARGE", `a batch of ${size} bytes is over the log's limit of ${MAX_BATCH_BYTES}`);
    }
    await this.#guarded(async () => {
      if (this.#open!.end + size > this.#open!.fileBytes) await this.#roll(size);
      const open = this.#open!;
      const batch = this.#writer.encode(records, this.#position, open.crc);
      const before = this.#setup.clock?.now().monotonicMs ?? 0;
      await open.file.writeSynced(open.end, batch.bytes);
      this.stats.lastSyncMs = (this.#setup.clock?.now().monotonicMs ?? 0) - before;
      open.end += size;
      this.#position = batch.end;
      this.stats.batches += 1;
      this.stats.bytes += size;
    });
  }

  /**
   * Seals the open segment and starts the next one with room for `neededBytes`. The first batch of every segment says again
   * whose log it is, the hard state and the newest snapshot, so that older segments can be dropped.
   */
  async #roll(neededBytes: number): Promise<void> {
    const { segmentBytes, owner, meta } = this.#setup;
    const records: SmallRecord[] = [
      { type: "clusterMeta", payload: encodeClusterMeta(meta) },
      { type: "hardState", payload: encodeHardState(this.#hardState) },
    ];
    if (this.#snapshot !== null) records.push({ type: "snapshotMark", payload: encodeSnapshotMeta(this.#snapshot) });
    if (this.#suspect) records.push({ type: "suspicion", payload: encodeSuspicion(true) });
    const headBytes = SEGMENT_HEADER_BYTES + batchBytes(records);
    const fileBytes = Math.max(segmentBytes, roundUp(headBytes + neededBytes));
    const name: SegmentName = { sequence: (this.#open?.sequence ?? 0) + 1, firstIndex: this.#nextIndex };
    const headerBytes = encodeSegmentHeader({
      ...name,
      firstIndex: this.#nextIndex,
      formatVersion: FORMAT_VERSION,
      minReaderVersion: FORMAT_VERSION,
      fileBytes,
      owner,
      previousChain: this.#position.chain,
    });
    const { crc } = decodeSegmentHeader(headerBytes)!;
    const first = this.#writer.encode(records, this.#position, crc);
    const file = await this.#files.create(name, fileBytes, Buffer.concat([headerBytes, first.bytes]));
    if (this.#open !== null) {
      const { sequence, firstIndex, highestIndex } = this.#open;
      this.#sealed.push({ sequence, firstIndex, highestIndex });
      await this.#open.file.close();
    }
    this.#open = { ...name, file, fileBytes, crc, highestIndex: NO_INDEX, end: headBytes };
    this.#position = first.end;
    this.#files.prepareAhead();
  }

  /** Oldest first, and each removal durable before the next: a crash leaves no gap. */
  async #dropWhile(isDroppable: (segment: SealedSegment) => boolean): Promise<void> {
    const { disk } = this.#setup;
    for (let oldest = this.#sealed[0]; oldest !== undefined && isDroppable(oldest); oldest = this.#sealed[0]) {
      const file = segmentFile(oldest);
      try {
        await disk.remove(file);
        this.#sealed.shift();
        await disk.syncDirectory(WAL_DIRECTORY);
      } catch (thrown) {
        // The log itself is whole: what is left is dropped at a later mark.
        throw StorageError.from(thrown, "dropping it", file);
      }
    }
  }

  async #guarded(operation: () => Promise<void>): Promise<void> {
    try {
      await operation();
    } catch (thrown) {
      this.#failure = StorageError.from(thrown, "writing the log", this.#open === null ? WAL_DIRECTORY : segmentFile(this.#open));
      throw this.#failure;
    }
  }

  #checkUsable(): void {
    if (this.#closed) throw new StorageError("CLOSED", "the log is closed");
    if (this.#failure === null) return;
    throw new StorageError("IO_FAILED", "the log has failed before and takes nothing more", { cause: this.#failure });
  }
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / 4096) * 4096;
}
