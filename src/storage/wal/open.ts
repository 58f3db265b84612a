import type { ClusterId, LogIndex, NodeId } from "#kernel";
import { invariant } from "#kernel";
import type { Clock, Disk } from "#ports";
import { StorageError } from "../error.ts";
import type { OpenedWal } from "../types.ts";
import { LOG_START } from "./batch-writer.ts";
import { WAL_DIRECTORY, logOwner } from "./format.ts";
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
}

const DEFAULT_SEGMENT_BYTES = 8 * 1024 * 1024;

/**
 * Reads the whole log, decides about damage, and only then writes: a refusal leaves the directory as it was.
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
    refuseUnlessTorn(segment);
    const { sequence, firstIndex } = segment.header;
    sealed.push({ sequence, firstIndex, highestIndex: replay.segment(segment) });
    last = segment;
  }
  const highestIndex = sealed.pop()?.highestIndex ?? (0 as LogIndex);
  if (last !== null) replay.checkWhole(last.file);

  await disk.makeDirectory(WAL_DIRECTORY);
  await disk.syncDirectory(".");
  const tornTail = last === null ? null : await saveTornTail(disk, last);
  const open = last === null ? null : await reopen(disk, last, highestIndex, replay.endsWithCleanStop && tornTail === null);
  await removeIfThere(disk, NEXT_SEGMENT_FILE);
  await removeIfThere(disk, REWRITE_FILE);
  const { hardState, snapshot, entries, nextIndex, startsAfter } = replay;
  const wal = new SegmentedLog(
    { disk, owner, meta: { clusterId, nodeId }, segmentBytes, clock: options.clock ?? null },
    { sealed, open, position: last?.scan.position ?? LOG_START, nextIndex, hardState, snapshot },
  );
  await wal.start();
  return { wal, recovered: { hardState, entries }, startsAfter, snapshotMark: snapshot, created: last === null, tornTail };
}

function refuseUnlessTorn({ file, scan: { damage } }: ReadSegment): void {
  if (damage === null || damage.verdict === "TORN") return;
  throw new StorageError(damage.verdict, damage.problem, { file, offset: damage.offset });
}

/** Nothing is thrown away unseen: what is cut off is kept beside the log, for analysis. */
async function saveTornTail(disk: Disk, { file, bytes, scan }: ReadSegment): Promise<OpenedWal["tornTail"]> {
  if (scan.damage === null) return null;
  const taken = new Set(await listOrEmpty(disk, WAL_DIRECTORY));
  let attempt = 1;
  while (taken.has(`${file.slice(WAL_DIRECTORY.length + 1)}.torn-${attempt}`)) attempt += 1;
  const savedAs = `${file}.torn-${attempt}`;
  await guarded(savedAs, "saving a torn tail", async () => {
    const copy = await disk.open(savedAs, { create: true });
    await copy.write(0, bytes.subarray(scan.end, Math.max(scan.end, scan.used)));
    await copy.sync();
    await copy.close();
    await disk.syncDirectory(WAL_DIRECTORY);
  });
  return { file, offset: scan.end, savedAs };
}

/**
 * After an unclean stop, what can be read may be in the page cache only, marked clean after a failed sync. So the live
 * bytes go into a new file that takes the old one's name. After a clean stop all was synced but, maybe, the mark itself:
 * writing it again makes its page dirty, and the sync real.
 */
async function reopen(disk: Disk, last: ReadSegment, highestIndex: LogIndex, cleanly: boolean): Promise<OpenSegment> {
  const { header, bytes, scan } = last;
  const handle = await guarded(last.file, "reopening it", async () => {
    if (cleanly) {
      const mark = scan.records.at(-1)!.offset;
      const file = await disk.open(last.file, { create: false });
      await file.writeSynced(mark, bytes.subarray(mark, scan.end));
      return file;
    }
    const file = await zeroFilled(disk, REWRITE_FILE, header.fileBytes);
    await file.writeSynced(0, bytes.subarray(0, scan.end));
    await disk.rename(REWRITE_FILE, last.file);
    await disk.syncDirectory(WAL_DIRECTORY);
    return file;
  });
  const { sequence, firstIndex, fileBytes, crc } = header;
  return { sequence, firstIndex, fileBytes, crc, file: handle, highestIndex, end: scan.end };
}

async function guarded<T>(file: string, doing: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (thrown) {
    throw StorageError.from(thrown, doing, file);
  }
}
