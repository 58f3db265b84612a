import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { ClusterId, LogIndex, NodeId } from "#kernel";

/**
 * The log on disk, version 1. A segment is one file, zero-filled to its full size before use: a header, then records.
 * Everything is little-endian and aligned to 8 bytes.
 *
 * Segment header, 64 bytes:
 *
 * | at | bytes | field |
 * |---:|---:|---|
 * |  0 | 4 | magic `CWAL` |
 * |  4 | 2 | format version |
 * |  6 | 2 | lowest version that can read it |
 * |  8 | 4 | zero |
 * | 12 | 4 | size of the file |
 * | 16 | 16 | cluster id, hashed |
 * | 32 | 8 | node id, hashed |
 * | 40 | 8 | sequence number of the segment |
 * | 48 | 8 | index that the next entry has |
 * | 56 | 4 | chain value at the end of the previous segment |
 * | 60 | 4 | CRC-32 of bytes 0–59 |
 *
 * Record, 32 bytes and payload:
 *
 * | at | bytes | field |
 * |---:|---:|---|
 * |  0 | 4 | length of payload |
 * |  4 | 1 | type |
 * |  5 | 1 | flags: 1 = last record of its batch |
 * |  6 | 2 | zero |
 * |  8 | 8 | record number, counted over all segments |
 * | 16 | 8 | batch number: one batch is one write and one fdatasync |
 * | 24 | 4 | chain: CRC-32 of the stored payload with its padding, seeded with the chain of the record before |
 * | 28 | 4 | CRC-32 of bytes 0–27, seeded with the segment header's CRC |
 * | 32 | … | payload and 1 to 8 bytes of padding, every byte XOR 0xA5 |
 *
 * Why so: a header with its own CRC makes a length trusted before it is used (etcd#14098). The seed keeps a header that a
 * client smuggled into a payload from counting as one. XOR and the padding of at least one byte keep written bytes from
 * looking like the zeros of a sector that never reached the disk: every whole record ends with a byte that is not zero.
 */
export const FORMAT_VERSION = 1;
export const SEGMENT_HEADER_BYTES = 64;
export const RECORD_HEADER_BYTES = 32;
export const FLAG_END_OF_BATCH = 1;

export const RECORD_TYPES = {
  entry: 1,
  hardState: 2,
  snapshotMark: 3,
  truncateMark: 4,
  clusterMeta: 5,
  /** As snapshotMark, and forget every entry before it. */
  resetMark: 6,
  cleanStop: 7,
  /** Payload 1: the log may have lost an acknowledged batch; 0: a leader has caught it up since. */
  suspicion: 8,
} as const;
export type RecordType = keyof typeof RECORD_TYPES;

export function recordTypeOf(code: number): RecordType | undefined {
  return TYPE_NAMES[code];
}

/** Bytes on disk of a record whose payload has `payloadBytes`. */
export function recordBytes(payloadBytes: number): number {
  return RECORD_HEADER_BYTES + ((payloadBytes + 8) & ~7);
}

/** Whose log it is, as the segment headers carry it. */
export interface LogOwner {
  readonly clusterHash: string;
  readonly nodeHash: string;
}

export function logOwner(clusterId: ClusterId, nodeId: NodeId): LogOwner {
  return { clusterHash: hashHex(clusterId, 16), nodeHash: hashHex(nodeId, 8) };
}

export interface SegmentHeader {
  readonly formatVersion: number;
  readonly minReaderVersion: number;
  readonly fileBytes: number;
  readonly owner: LogOwner;
  readonly sequence: number;
  readonly firstIndex: LogIndex;
  readonly previousChain: number;
  /** CRC of the header: the seed of every record header in the segment. */
  readonly crc: number;
}

export function encodeSegmentHeader(header: Omit<SegmentHeader, "crc">): Uint8Array {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  bytes.writeUInt32LE(SEGMENT_MAGIC, 0);
  bytes.writeUInt16LE(header.formatVersion, 4);
  bytes.writeUInt16LE(header.minReaderVersion, 6);
  bytes.writeUInt32LE(header.fileBytes, 12);
  bytes.write(header.owner.clusterHash, 16, "hex");
  bytes.write(header.owner.nodeHash, 32, "hex");
  writeSafeInteger(bytes, 40, header.sequence);
  writeSafeInteger(bytes, 48, header.firstIndex);
  bytes.writeUInt32LE(header.previousChain, 56);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60);
  return bytes;
}

/** null when the bytes are no sound header of any version. */
export function decodeSegmentHeader(segment: Uint8Array): SegmentHeader | null {
  if (segment.length < SEGMENT_HEADER_BYTES) return null;
  const bytes = asBuffer(segment);
  const crc = bytes.readUInt32LE(60);
  if (bytes.readUInt32LE(0) !== SEGMENT_MAGIC || crc32(bytes.subarray(0, 60)) !== crc) return null;
  return {
    formatVersion: bytes.readUInt16LE(4),
    minReaderVersion: bytes.readUInt16LE(6),
    fileBytes: bytes.readUInt32LE(12),
    owner: { clusterHash: bytes.toString("hex", 16, 32), nodeHash: bytes.toString("hex", 32, 40) },
    sequence: readSafeInteger(bytes, 40),
    firstIndex: readSafeInteger(bytes, 48) as LogIndex,
    previousChain: bytes.readUInt32LE(56),
    crc,
  };
}

export interface RecordHeader {
  readonly payloadBytes: number;
  readonly type: number;
  readonly endOfBatch: boolean;
  readonly recordNumber: number;
  readonly batchNumber: number;
  readonly chain: number;
}

/** null unless the header's CRC proves it; `segmentCrc` is that of the segment's own header. */
export function decodeRecordHeader(segment: Buffer, at: number, segmentCrc: number): RecordHeader | null {
  if (at + RECORD_HEADER_BYTES > segment.length) return null;
  if (crc32(segment.subarray(at, at + 28), segmentCrc) !== segment.readUInt32LE(at + 28)) return null;
  return {
    payloadBytes: segment.readUInt32LE(at),
    type: segment[at + 4]!,
    endOfBatch: (segment[at + 5]! & FLAG_END_OF_BATCH) !== 0,
    recordNumber: readSafeInteger(segment, at + 8),
    batchNumber: readSafeInteger(segment, at + 16),
    chain: segment.readUInt32LE(at + 24),
  };
}

export interface SegmentName {
  readonly sequence: number;
  readonly firstIndex: number;
}

export const WAL_DIRECTORY = "wal";

export function segmentFile({ sequence, firstIndex }: SegmentName): string {
  return `${WAL_DIRECTORY}/${hex16(sequence)}-${hex16(firstIndex)}.wal`;
}

/** null for whatever else lies in the directory. */
export function parseSegmentName(name: string): SegmentName | null {
  const match = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/.exec(name);
  if (match === null) return null;
  return { sequence: Number.parseInt(match[1]!, 16), firstIndex: Number.parseInt(match[2]!, 16) };
}

export function hex16(n: number): string {
  return n.toString(16).padStart(16, "0");
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function writeSafeInteger(bytes: Buffer, at: number, value: number): void {
  bytes.writeUInt32LE(value >>> 0, at);
  bytes.writeUInt32LE((value / TWO_POW_32) >>> 0, at + 4);
}

/** Exact up to 2^53 − 1; what is beyond comes out unsafe, and the check against the expected number rejects it. */
export function readSafeInteger(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at + 4) * TWO_POW_32 + bytes.readUInt32LE(at);
}

const TWO_POW_32 = 4_294_967_296;
/** `CWAL` read as a little-endian number. */
const SEGMENT_MAGIC = 0x4c41_5743;

const TYPE_NAMES: readonly (RecordType | undefined)[] = (() => {
  const names: (RecordType | undefined)[] = [];
  for (const [name, code] of Object.entries(RECORD_TYPES)) names[code] = name as RecordType;
  return names;
})();

function hashHex(id: string, bytes: number): string {
  return createHash("sha256")
    .update(id, "utf8")
    .digest("hex")
    .slice(0, bytes * 2);
}
