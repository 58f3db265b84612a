import type { LogIndex } from "#kernel";
import type { Disk } from "#ports";
import type { Entry, HardState, SnapshotMeta } from "#raft";
import { StorageError } from "../error.ts";
import { laterHardState, readVote } from "../vote-cell.ts";
import { Replay } from "./replay.ts";
import { readSegments } from "./segments.ts";

/** A log as it stands on disk, up to the first damage. */
export interface LogContent {
  /** The later of the log's and the vote file's. */
  readonly hardState: HardState;
  readonly snapshotMark: SnapshotMeta | null;
  readonly entries: readonly Entry[];
  /** Index before the first entry; the end of the log when there is none. */
  readonly startsAfter: LogIndex;
  readonly suspect: boolean;
  /** Nothing behind it is known. A torn tail is none: it was never acknowledged. */
  readonly damage: StorageError | null;
}

/** For tools: reads what a start would, writes nothing, and goes as far as it can. Throws StorageError: IO_FAILED, FORMAT_TOO_NEW. */
export async function readLog(disk: Disk): Promise<LogContent> {
  const replay = new Replay();
  let damage: StorageError | null = null;
  try {
    for await (const segment of readSegments(disk, null)) {
      replay.segment(segment);
      const { file, scan } = segment;
      if (scan.damage === null || scan.damage.verdict === "TORN") continue;
      damage = new StorageError(scan.damage.verdict, scan.damage.problem, { file, offset: scan.damage.offset });
      break;
    }
  } catch (thrown) {
    if (!(thrown instanceof StorageError) || thrown.code !== "CORRUPT") throw thrown;
    damage = thrown;
  }
  const stored = await readVote(disk);
  const { hardState, snapshot, entries, startsAfter, suspect } = replay;
  return {
    hardState: stored.kind === "sound" ? laterHardState(hardState, stored.hardState) : hardState,
    snapshotMark: snapshot,
    entries,
    startsAfter,
    suspect,
    damage,
  };
}
