import type { ClusterId, LogIndex, NodeId } from "#kernel";
import type { Entry, HardState, Recovered, SnapshotMeta } from "#raft";
import type { StorageError } from "./error.ts";

/** One group commit: everything that gathered while the last batch synced. */
export interface WalBatch {
  /** Entries in order; an entry at or below the log's end truncates from there (a truncate mark goes first). */
  readonly entries: readonly Entry[];
  /** The newest of the batch, or null when unchanged. Written last: it precedes nothing that it refers to. */
  readonly hardState: HardState | null;
  /** A leader has caught this node up: the log is whole again, and says so durably. */
  readonly liftsSuspicion?: true;
}

export interface WriteAheadLog {
  /** One write, one fdatasync; resolves when all of it is durable. A rejection is final: the process must stop (exit 74). */
  append(batch: WalBatch): Promise<void>;
  /** Records that a durable snapshot at `meta` exists, then drops whole segments below `keepFrom`. */
  markSnapshot(meta: SnapshotMeta, keepFrom: LogIndex): Promise<void>;
  /** The snapshot replaced a log that conflicts with it: forget every entry. */
  resetTo(meta: SnapshotMeta): Promise<void>;
  readonly stats: { readonly batches: number; readonly entries: number; readonly bytes: number; readonly lastSyncMs: number };
  close(): Promise<void>;
}

/** What opening a data directory's log gives. */
export interface OpenedWal {
  readonly wal: WriteAheadLog;
  /** Entries are contiguous and end at the log's end; they may begin before the newest snapshot. */
  readonly recovered: Pick<Recovered, "hardState" | "entries">;
  /** The log may have lost a batch that had been acknowledged. Durable: it stays so over restarts until it is lifted. */
  readonly suspect: boolean;
  /** Index before the first entry of the log: what a snapshot must cover. 0 when the log reaches back to the beginning. */
  readonly startsAfter: LogIndex;
  /** The newest snapshot that the log was told of. */
  readonly snapshotMark: SnapshotMeta | null;
  /** There was no log before: this start made it. */
  readonly created: boolean;
  /** Set when this start cut a damaged tail off. `lost`: it may have been acknowledged, and this start made the log suspect. */
  readonly cutTail: {
    readonly file: string;
    readonly offset: number;
    readonly savedAs: string;
    readonly problem: string;
    readonly lost: boolean;
  } | null;
}

export interface SnapshotStore {
  /** Newest first; only snapshots whose footer and digests hold. */
  list(): Promise<readonly SnapshotMeta[]>;
  /** Writes, fsyncs, renames, re-reads and verifies. Keeps the two newest. */
  save(
    meta: SnapshotMeta,
    stateDigest: string,
    content: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<SavedSnapshot>;
  /** Content bytes in order; throws StorageError (CORRUPT) on the first bad chunk. */
  read(index: LogIndex): AsyncIterable<Uint8Array>;
  /** What the state machine's digest was when the snapshot was saved. */
  stateDigest(index: LogIndex): Promise<string>;
  /** Files that are there and do not hold; {@link list} leaves them out. For a warning at start. */
  damaged(): Promise<readonly StorageError[]>;
  /** Snapshots that are being sent are kept beyond the two newest. `inUse` is asked whenever old ones are about to go. */
  keepWhile(inUse: () => ReadonlySet<LogIndex>): void;
  /** Raw file bytes for transfer to another voter. */
  readRaw(index: LogIndex, offset: number, length: number): Promise<{ readonly bytes: Uint8Array; readonly totalBytes: number }>;
  /**
   * Stores raw bytes that another voter sends; offsets must be contiguous. Returns the next offset wanted. `totalBytes` is
   * what the sender says of the whole file, 0 = nothing: more than the limit, or than there is room for, is refused with
   * TOO_LARGE or IO_FAILED (ENOSPC) before the first byte is stored, and whatever goes beyond it as soon as it comes.
   */
  receiveRaw(meta: SnapshotMeta, offset: number, bytes: Uint8Array, totalBytes: number): Promise<number>;
  /** All bytes are here: fsync, verify, rename. On failure nothing that was there before is touched. */
  finishReceive(meta: SnapshotMeta): Promise<SavedSnapshot>;
}

export interface SavedSnapshot {
  /** `markSnapshot`'s `keepFrom`: with less of the log, the older of the two kept snapshots would be no fallback. */
  readonly keepWalFrom: LogIndex;
}

/** Who a data directory belongs to; written once by `cluster init` or at the first join, checked at every start. */
export interface DataDirectoryIdentity {
  readonly formatVersion: number;
  readonly clusterId: ClusterId;
  readonly nodeId: NodeId;
  /** Random, made with the directory; empty until the first start, when an older version wrote the file. */
  readonly directoryId: string;
  /** How often a process has started on this directory: raised durably before anybody is spoken to. */
  readonly starts: number;
  /** `cluster init` has begun here and has not come to its end. */
  readonly initialising: boolean;
  /**
   * Made when the cluster had a history already. A directory of this node that is gone may have promised things, so a log
   * that is made here starts as a suspect's (docs/decisions/0015).
   */
  readonly isLatecomer: boolean;
}
