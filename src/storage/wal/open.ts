import type { ClusterId, LogIndex, NodeId } from "#kernel";
import { invariant } from "#kernel";
import type { Clock, Disk } from "#ports";
import type { HardState } from "#raft";
import { StorageError } from "../error.ts";
import { DiskReserve } from "../reserve.ts";
import type { OpenedWal } from "../types.ts";
import { type StoredVote, VOTE_FILE, VoteCell, laterHardState, readVote } from "../vote-cell.ts";
import { BatchWriter, LOG_START, type LogPosition } from "./batch-writer.ts";
import { WAL_DIRECTORY, logOwner } from "./format.ts";
import { encodeSuspicion } from "./payload.ts";
import { Replay } from "./replay.ts";
import { NEXT_SEGMENT_FILE, REWRITE_FILE, removeIfThere, zeroFilled } from "./segment-files.ts";
import { type ReadSegment, listOrEmpty, readSegments } from "./segments.ts";
import { type OpenSegment, type SealedSegment, SegmentedLog } from "./wal.ts";

export interface WalOptions {
  readonly clusterId: ClusterId;
  readonly nodeId: NodeId;
  /** Size of a segment file. Default 8 MiB; from 4096 to 1 GiB, a multiple of 512. A larger batch gets a larger segment. */
  readonly segmentBytes?: number;
  /** Fills `stats.lastSyncMs`; without it that stays 0. */
  readonly clock?: Clock;
  /** For a log that is made now: one before it may have promised what this one does not hold. An existing log is what it is. */
  readonly startsSuspect?: boolean;
}

const DEFAULT_SEGMENT_BYTES = 8 * 1024 * 1024;
const RESERVED_SEGMENTS = 2;

/**
 * Reads the whole log, decides about damage, and only then writes: a refusal leaves the directory as it was. A last batch that
 * may have been acknowledged is cut off only together with a durable mark that makes the log suspect, in one rename.
 *
 * Throws StorageError: CORRUPT, AMBIGUOUS, FORMAT_TOO_NEW, WRONG_CLUSTER, WRONG_NODE, IO_FAILED.
 */
export async function openWal(disk: Disk, options: WalOptions): Promise<OpenedWal> {
  const { clusterId, nodeId, segmentBytes = DEFAULT_SEGMENT_BYTES } = options;
  invariant(
    segmentBytes >= 4096 && segmentBytes <= 2 ** 30 && segmentBytes % 512 === 0,
    `segmentBytes must be a multiple of 512 from 4096 to ${2 ** 30}, got ${segmentBytes}`,
  );
  const owner = logOwner(clusterId, nodeId);
  const replay = new Replay();
  const sealed: SealedSegment[] = [];
  let last: ReadSegment | null = null;
  for await (const segment of readSegments(disk, { owner, clusterId, nodeId })) {
    refuseIfCorrupt(segment);
    const { sequence, firstIndex } = segment.header;
    sealed.push({ sequence, firstIndex, highestIndex: replay.segment(segment) });
    last = segment;
  }
  const highestIndex = sealed.pop()?.highestIndex ?? (0 as LogIndex);
  if (last !== null) replay.checkWhole(last.file);
  const hardState = rememberedVote(await readVote(disk), replay.hardState, last);

  await disk.makeDirectory(WAL_DIRECTORY);
  await disk.syncDirectory(".");
  const reserve = new DiskReserve(disk, RESERVED_SEGMENTS * segmentBytes);
  const cutTail = last === null ? null : await reserve.spendOn(() => saveTail(disk, last));
  const isClean = replay.endsWithCleanStop && cutTail === null;
  const open = last === null ? null : await reserve.spendOn(() => reopen(disk, last, highestIndex, isClean));
  const vote = await reserve.spendOn(() => VoteCell.open(disk, hardState));
  await removeIfThere(disk, NEXT_SEGMENT_FILE);
  await removeIfThere(disk, REWRITE_FILE);
  const { snapshot, entries, nextIndex, startsAfter } = replay;
  const suspect = replay.suspect || cutTail?.lost === true || (last === null && options.startsSuspect === true);
  const wal = new SegmentedLog(
    { disk, owner, meta: { clusterId, nodeId }, segmentBytes, clock: options.clock ?? null, vote, reserve },
    { sealed, open: open?.segment ?? null, position: open?.position ?? LOG_START, nextIndex, hardState, snapshot, suspect },
  );
  await wal.start();
  // The log lost it, or a crash came between the two copies: from here on there are two again.
  if (hardState !== replay.hardState) await wal.append({ entries: [], hardState });
  return {
    wal,
    recovered: { hardState, entries },
    suspect,
    startsAfter,
    snapshotMark: snapshot,
    created: last === null,
    cutTail,
  };
}

function refuseIfCorrupt({ file, scan: { damage } }: ReadSegment): void {
  if (damage?.verdict !== "CORRUPT") return;
  throw new StorageError("CORRUPT", damage.problem, { file, offset: damage.offset });
}

/**
 * The later of the two copies. Without the second one a log whose end is in doubt cannot be gone on with: the vote of the
 * lost batch would be forgotten. And a vote beside no log at all tells that the log was taken away.
 */
function rememberedVote(stored: StoredVote, logged: HardState, last: ReadSegment | null): HardState {
  const damage = last?.scan.damage;
  if (last !== null && damage?.verdict === "AMBIGUOUS" && stored.kind !== "sound") {
    const second = stored.kind === "absent" ? "there is no second copy of the vote" : `${VOTE_FILE} is damaged too`;
    throw new StorageError("AMBIGUOUS", `${damage.problem}, and ${second}`, { file: last.file, offset: damage.offset });
  }
  if (stored.kind !== "sound") return logged;
  if (last === null && stored.hardState.term > 0) {
    const problem = `it remembers term ${stored.hardState.term}, but ${WAL_DIRECTORY}/ holds no log: it was deleted or not restored`;
    throw new StorageError("CORRUPT", problem, { file: VOTE_FILE });
  }
  return laterHardState(logged, stored.hardState);
}

/** Nothing is thrown away unseen: what is cut off is kept beside the log, for analysis. */
async function saveTail(disk: Disk, { file, bytes, scan }: ReadSegment): Promise<OpenedWal["cutTail"]> {
  if (scan.damage === null) return null;
  const lost = scan.damage.verdict === "AMBIGUOUS";
  const suffix = lost ? "lost" : "torn";
  const taken = new Set(await listOrEmpty(disk, WAL_DIRECTORY));
  let attempt = 1;
  while (taken.has(`${file.slice(WAL_DIRECTORY.length + 1)}.${suffix}-${attempt}`)) attempt += 1;
  const savedAs = `${file}.${suffix}-${attempt}`;
  await guarded(savedAs, "saving the end of the log", async () => {
    const copy = await disk.open(savedAs, { create: true });
    await copy.write(0, bytes.subarray(scan.end, Math.max(scan.end, scan.used)));
    await copy.sync();
    await copy.close();
    await disk.syncDirectory(WAL_DIRECTORY);
  });
  return { file, offset: scan.end, savedAs, problem: scan.damage.problem, lost };
}

interface Reopened {
  readonly segment: OpenSegment;
  readonly position: LogPosition;
}

/**
 * After an unclean stop, what can be read may be in the page cache only, marked clean after a failed sync. So the live
 * bytes go into a new file that takes the old one's name. After a clean stop all was synced but, maybe, the mark itself:
 * writing it again makes its page dirty, and the sync real.
 */
async function reopen(disk: Disk, last: ReadSegment, highestIndex: LogIndex, cleanly: boolean): Promise<Reopened> {
  const { header, bytes, scan } = last;
  const { sequence, firstIndex, fileBytes, crc } = header;
  const mark = scan.damage?.verdict === "AMBIGUOUS" ? suspicionMark(scan.position, crc) : null;
  const file = await guarded(last.file, "reopening it", async () => {
    if (cleanly) {
      const stopAt = scan.records.at(-1)!.offset;
      const handle = await disk.open(last.file, { create: false });
      await handle.writeSynced(stopAt, bytes.subarray(stopAt, scan.end));
      return handle;
    }
    const handle = await zeroFilled(disk, REWRITE_FILE, fileBytes);
    const live = bytes.subarray(0, scan.end);
    await handle.writeSynced(0, mark === null ? live : Buffer.concat([live, mark.bytes]));
    await disk.rename(REWRITE_FILE, last.file);
    await disk.syncDirectory(WAL_DIRECTORY);
    return handle;
  });
  const end = scan.end + (mark?.bytes.length ?? 0);
  return { segment: { sequence, firstIndex, fileBytes, crc, file, highestIndex, end }, position: mark?.end ?? scan.position };
}

/** Always fits: the batch that it replaces was no smaller. */
function suspicionMark(after: LogPosition, segmentCrc: number): ReturnType<BatchWriter["encode"]> {
  return new BatchWriter().encode([{ type: "suspicion", payload: encodeSuspicion(true) }], after, segmentCrc);
}

async function guarded<T>(file: string, doing: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (thrown) {
    throw StorageError.from(thrown, doing, file);
  }
}
