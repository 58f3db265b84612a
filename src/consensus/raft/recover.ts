import type { Entry, HardState, Recovered, SnapshotMeta } from "#raft";
import { type OpenedWal, type SnapshotStore, type WriteAheadLog, checkHistoryIsWhole } from "#storage";

/**
 * Joins the log and the snapshots of a data directory into one history.
 *
 * A crash in the middle of an installation leaves the received snapshot durable and the log not yet reset. If the log holds
 * the snapshot's last entry, what follows it still counts (paper §7); otherwise the log belongs to a history that the
 * snapshot replaced, and is reset here. Throws StorageError (CORRUPT) when entries are missing between the two.
 */
export async function recoverRaft(
  opened: { readonly wal: Pick<WriteAheadLog, "resetTo"> } & Pick<OpenedWal, "recovered" | "startsAfter" | "suspect">,
  snapshots: Pick<SnapshotStore, "list">,
): Promise<Recovered> {
  const snapshot = (await snapshots.list())[0] ?? null;
  checkHistoryIsWhole(opened, snapshot);
  const { hardState, entries } = opened.recovered;
  const { suspect } = opened;
  if (snapshot === null) return { hardState, snapshot, entries, suspect };
  const following = entriesBehind(snapshot, entries, opened.startsAfter);
  if (following === null) await opened.wal.resetTo(snapshot);
  return { hardState: atLeastTermOf(snapshot, hardState), snapshot, entries: following ?? [], suspect };
}

/**
 * The crash may also have come before the term of the snapshot's leader was durable. That leader had its majority, so no vote
 * that this node could still give in its term elects another.
 */
function atLeastTermOf(snapshot: SnapshotMeta, hardState: HardState): HardState {
  return hardState.term >= snapshot.term ? hardState : { term: snapshot.term, votedFor: null };
}

/**
 * What of the log still counts, or null when it does not hold the snapshot's last entry: it belongs to a history that the
 * snapshot replaced, or ends before it (a new voter's is empty), and would not take the entry that comes next.
 */
function entriesBehind(snapshot: SnapshotMeta, entries: readonly Entry[], startsAfter: number): readonly Entry[] | null {
  const covered = snapshot.index - startsAfter;
  if (covered === 0) return (entries[0]?.term ?? snapshot.term) >= snapshot.term ? entries : null;
  return entries[covered - 1]?.term === snapshot.term ? entries.slice(covered) : null;
}
