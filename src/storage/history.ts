import type { SnapshotMeta } from "#raft";
import { StorageError } from "./error.ts";
import { WAL_DIRECTORY } from "./wal/format.ts";
import type { OpenedWal } from "./types.ts";

/**
 * The newest usable snapshot must reach the place where the log begins. If it does not, the snapshots in between are
 * damaged or gone, and with them committed entries: starting anyway would forget what was acknowledged.
 *
 * Throws StorageError (CORRUPT). A snapshot that is ahead of the log is fine: a crash came between the two writes.
 */
export function checkHistoryIsWhole(opened: Pick<OpenedWal, "startsAfter">, newest: SnapshotMeta | null): void {
  const covered = newest?.index ?? 0;
  if (opened.startsAfter <= covered) return;
  const found = newest === null ? "there is no usable snapshot" : `the newest usable snapshot ends at ${covered}`;
  throw new StorageError("CORRUPT", `the log begins after index ${opened.startsAfter}, but ${found}: what lies between is lost`, {
    file: WAL_DIRECTORY,
  });
}
