import { NO_TERM } from "#kernel";
import type { Entry, HardState, Recovered, SnapshotMeta } from "#raft";
import type { OpenedWal, SnapshotStore } from "#storage";

/**
 * Joins the log and the snapshots of a data directory into one history.
 *
 * A crash in the middle of an installation leaves the received snapshot durable and the log not yet reset. If the log holds
 * the snapshot's last entry, what follows it still counts (paper §7); otherwise the log belongs to a history that the
 * snapshot replaced, or has a gap before it, and is reset here.
 */
export async function recoverRaft(opened: Pick<OpenedWal, "wal" | "recovered">, snapshots: SnapshotStore): Promise<Recovered> {
  const snapshot = (await snapshots.list())[0] ?? null;
  const { entries } = opened.recovered;
  if (snapshot === null) return { hardState: opened.recovered.hardState, snapshot, entries };
  const hardState = atLeastTermOf(snapshot, opened.recovered.hardState);
  const following = entriesAfter(entries, snapshot);
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

/** The entries behind `snapshot`, or null when the log does not continue it. */
function entriesAfter(entries: readonly Entry[], snapshot: SnapshotMeta): readonly Entry[] | null {
  const first = entries[0];
  if (first === undefined) return [];
  if (first.index === snapshot.index + 1) return first.term >= snapshot.term ? entries : null;
  const termAtSnapshot = entries[snapshot.index - first.index]?.term ?? NO_TERM;
  return termAtSnapshot === snapshot.term ? entries.slice(snapshot.index + 1 - first.index) : null;
}
