import type { Disk } from "#ports";
import { type WalOptions, openWal } from "./open.ts";

/**
 * An operator's word instead of a leader's, for a cluster in which no quorum is left to catch this voter up: it votes and
 * acknowledges again with the log as it is. Whatever the lost batch held is given up for good. The node must be stopped.
 *
 * Resolves with false when the log was not suspect; then nothing was changed beyond what every start does. Throws
 * StorageError as {@link openWal}.
 */
export async function liftSuspicion(disk: Disk, options: WalOptions): Promise<boolean> {
  const { wal, suspect } = await openWal(disk, options);
  try {
    if (suspect) await wal.append({ entries: [], hardState: null, liftsSuspicion: true });
    return suspect;
  } finally {
    await wal.close();
  }
}
