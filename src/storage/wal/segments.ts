import type { Disk } from "#ports";
import { StorageError } from "../error.ts";
import { LOG_START, type LogPosition } from "./batch-writer.ts";
import {
  FORMAT_VERSION,
  type LogOwner,
  RECORD_TYPES,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  type SegmentName,
  WAL_DIRECTORY,
  asBuffer,
  decodeRecordHeader,
  decodeSegmentHeader,
  parseSegmentName,
  segmentFile,
} from "./format.ts";
import { decodeClusterMeta } from "./payload.ts";
import { type SegmentScan, scanSegment } from "./scan.ts";

export interface ReadSegment {
  readonly file: string;
  readonly header: SegmentHeader;
  readonly bytes: Uint8Array;
  readonly scan: SegmentScan;
}

export interface ExpectedOwner {
  readonly owner: LogOwner;
  /** For messages. */
  readonly clusterId: string;
  readonly nodeId: string;
}

/**
 * Every segment in order, one in memory at a time; never writes. What is wrong inside a segment comes as `scan.damage`,
 * and the reader must stop there. What is wrong about a whole file (missing, foreign, too new, damaged header, broken
 * chain) is thrown as StorageError. Without `expected`, the first segment's owner is taken as right.
 */
export async function* readSegments(disk: Disk, expected: ExpectedOwner | null): AsyncGenerator<ReadSegment> {
  const names = await listSegments(disk);
  let owner = expected?.owner ?? null;
  let position: LogPosition | null = null;
  for (const [i, name] of names.entries()) {
    const file = segmentFile(name);
    const bytes = await readWhole(disk, file);
    const header = checkedHeader(bytes, file, name);
    if (owner !== null) checkOwner(header, bytes, file, owner, expected);
    owner = header.owner;
    if (i > 0 && name.sequence !== names[i - 1]!.sequence + 1) {
      throw corrupt(file, 0, `segment ${names[i - 1]!.sequence + 1} is missing before it`);
    }
    if (position !== null && header.previousChain !== position.chain) {
      throw corrupt(file, 56, "it does not continue the segment before it: the end of that segment is damaged or missing");
    }
    const scan: SegmentScan = scanSegment(bytes, header, position ?? firstPosition(bytes, header), i === names.length - 1);
    position = scan.position;
    yield { file, header, bytes, scan };
  }
}

export async function listSegments(disk: Disk): Promise<readonly SegmentName[]> {
  const names = (await listOrEmpty(disk, WAL_DIRECTORY)).map(parseSegmentName).filter((name) => name !== null);
  return names.sort((a, b) => a.sequence - b.sequence);
}

export async function listOrEmpty(disk: Disk, directory: string): Promise<readonly string[]> {
  try {
    return await disk.list(directory);
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code === "ENOENT") return [];
    throw StorageError.from(thrown, "listing it", directory);
  }
}

export async function readWhole(disk: Disk, file: string): Promise<Uint8Array> {
  try {
    const handle = await disk.open(file, { create: false });
    try {
      return await handle.read(0, await handle.size());
    } finally {
      await handle.close();
    }
  } catch (thrown) {
    throw StorageError.from(thrown, "reading it", file);
  }
}

export function corrupt(file: string, offset: number, problem: string): StorageError {
  return new StorageError("CORRUPT", problem, { file, offset });
}

function checkedHeader(bytes: Uint8Array, file: string, name: SegmentName): SegmentHeader {
  const header = decodeSegmentHeader(bytes);
  if (header === null) throw corrupt(file, 0, "the header of the segment is damaged");
  if (header.minReaderVersion > FORMAT_VERSION) {
    throw new StorageError(
      "FORMAT_TOO_NEW",
      `written in format ${header.formatVersion}, which needs a reader of format ${header.minReaderVersion}; this one reads ${FORMAT_VERSION}`,
      { file },
    );
  }
  if (header.sequence !== name.sequence || header.firstIndex !== name.firstIndex) {
    throw corrupt(file, 40, `its header says segment ${header.sequence} from index ${header.firstIndex}: the file was renamed`);
  }
  return header;
}

function checkOwner(
  header: SegmentHeader,
  bytes: Uint8Array,
  file: string,
  owner: LogOwner,
  expected: ExpectedOwner | null,
): void {
  const sameCluster = header.owner.clusterHash === owner.clusterHash;
  if (sameCluster && header.owner.nodeHash === owner.nodeHash) return;
  if (expected === null) throw corrupt(file, 16, "it belongs to another cluster or node than the segments before it");
  const found = ownerNames(bytes, header);
  if (!sameCluster) {
    const whose = found === null ? "another cluster" : `cluster "${found.clusterId}"`;
    throw new StorageError("WRONG_CLUSTER", `the log belongs to ${whose}, not to cluster "${expected.clusterId}"`, { file });
  }
  const whose = found === null ? "another node" : `node "${found.nodeId}"`;
  throw new StorageError("WRONG_NODE", `the log belongs to ${whose}, not to node "${expected.nodeId}"`, { file });
}

/** The first record of every segment names its owner. */
function ownerNames(bytes: Uint8Array, header: SegmentHeader): ReturnType<typeof decodeClusterMeta> | null {
  const first = scanSegment(bytes, header, firstPosition(bytes, header), true).records[0];
  return first?.type === RECORD_TYPES.clusterMeta ? decodeClusterMeta(first.payload) : null;
}

/** Older segments may have been dropped: the first that is left says where the numbering stands. */
function firstPosition(bytes: Uint8Array, header: SegmentHeader): LogPosition {
  const first = decodeRecordHeader(asBuffer(bytes), SEGMENT_HEADER_BYTES, header.crc);
  if (first === null) return { ...LOG_START, chain: header.previousChain };
  return { recordNumber: first.recordNumber - 1, batchNumber: first.batchNumber - 1, chain: header.previousChain };
}
