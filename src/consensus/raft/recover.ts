import { NO_INDEX } from "#kernel";
import type { Entry, HardState, Recovered, SnapshotMeta } from "#raft";
import { type OpenedWal, type SnapshotStore, StorageError, type WriteAheadLog } from "#storage";

/**
 * Joins the log and the snapshots of a data directory into one history.
 *
 * A crash in the middle of an installation leaves the received snapshot durable and the log not yet reset. If the log holds
 * the snapshot's last entry, what follows it still counts (paper §7); otherwise the log belongs to a history that the
 * snapshot replaced, and is reset here. Throws StorageError (CORRUPT) when entries are missing between the two.
 */
export async function recoverRaft(
  opened: { readonly wal: Pick<WriteAheadLog, "resetTo">; readonly recovered: OpenedWal["recovered"] },
  snapshots: Pick<SnapshotStore, "list">,
): Promise<Recovered> {
  const snapshot = (await snapshots.list())[0] ?? null;
  const following = entriesAfter(opened.recovered.entries, snapshot);
  if (snapshot === null) return { hardState: opened.recovered.hardState, snapshot, entries: following ?? [] };
  const hardState = atLeastTermOf(snapshot, opened.recovered.hardState);
  if (following === null) await opened.wal.resetTo(snapshot);
  return { hardState, snapshot, entries: following ?? [] };
}

/**
 * The crash may also have come before the term of the snapshot's leader was durable. That leader had its majority, so no vote
 * that this node could still give in its term elects another.
 */
function atLeastTermOf(snapshot: SnapshotMeta, hardState: HardState): HardState {
  return hardState.term >= snapshot.term ? hardState : { term: snapshot.term, votedFor: null };
}

/**
 * The entries behind `snapshot`, or null when the log belongs to a history that it replaced. Entries that are missing between
 * the two are damage: they may have been acknowledged, so nothing is thrown away over it.
 */
function entriesAfter(entries: readonly Entry[], snapshot: SnapshotMeta | null): readonly Entry[] | null {
  const first = entries[0];
  if (first === undefined) return [];
  const behind = snapshot?.index ?? NO_INDEX;
  if (first.index > behind + 1) {
    throw new StorageError("CORRUPT", `the log begins at ${first.index}, but the newest readable snapshot is at ${behind}`);
  }
  if (snapshot === null) return entries;
  if (first.index === behind + 1) return first.term >= snapshot.term ? entries : null;
  return entries[behind - first.index]?.term === snapshot.term ? entries.slice(behind + 1 - first.index) : null;
}
