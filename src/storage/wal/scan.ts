import { crc32 } from "node:zlib";
import { unmask, type LogPosition } from "./batch-writer.ts";
import {
  RECORD_HEADER_BYTES,
  type RecordHeader,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  asBuffer,
  decodeRecordHeader,
  recordBytes,
} from "./format.ts";

export interface ScannedRecord {
  readonly offset: number;
  readonly type: number;
  readonly recordNumber: number;
  readonly batchNumber: number;
  /** Plain, as it was before it was masked. */
  readonly payload: Uint8Array;
}

/**
 * What a damaged place means for a voter (Alagappan et al., "Protocol-Aware Recovery", FAST '18):
 *
 * - `TORN`: the tail of a batch whose fsync never returned. Nobody was told of it; cutting it off loses nothing.
 * - `CORRUPT`: it had been durable, so it may have been acknowledged.
 * - `AMBIGUOUS`: written to the end, damaged, and nothing after it: either of the two.
 */
export interface Damage {
  readonly verdict: "TORN" | "CORRUPT" | "AMBIGUOUS";
  readonly offset: number;
  readonly problem: string;
}

export interface SegmentScan {
  /** Records of complete batches only. */
  readonly records: readonly ScannedRecord[];
  /** Offset behind the last complete batch. */
  readonly end: number;
  /** Offset behind the last byte that is not zero. */
  readonly used: number;
  readonly position: LogPosition;
  readonly damage: Damage | null;
}

/** Reads one segment, whose header was checked, from `start` in the chain of records. Allocates by file size, never by a length field. */
export function scanSegment(segment: Uint8Array, header: SegmentHeader, start: LogPosition, isLast: boolean): SegmentScan {
  const bytes = asBuffer(segment);
  const used = usedBytes(bytes);
  const plain = unmask(segment.subarray(0, used));
  const records: ScannedRecord[] = [];
  let wholeBatches = 0;
  let end = SEGMENT_HEADER_BYTES;
  let position = start;
  let { recordNumber, chain } = start;
  let at = SEGMENT_HEADER_BYTES;
  for (;;) {
    const record = decodeRecordHeader(bytes, at, header.crc);
    const problem = problemWith(record);
    if (record === null || problem !== null) {
      records.length = wholeBatches;
      return { records, end, used, position, damage: damageAt(problem ?? "the header of a record is damaged", record) };
    }
    const payloadAt = at + RECORD_HEADER_BYTES;
    const payload = plain.subarray(payloadAt, payloadAt + record.payloadBytes);
    records.push({
      offset: at,
      type: record.type,
      recordNumber: record.recordNumber,
      batchNumber: record.batchNumber,
      payload,
    });
    at += recordBytes(record.payloadBytes);
    recordNumber = record.recordNumber;
    chain = record.chain;
    if (record.endOfBatch) {
      wholeBatches = records.length;
      end = at;
      position = { recordNumber, batchNumber: record.batchNumber, chain };
    }
  }

  function problemWith(record: RecordHeader | null): string | null {
    if (record === null) return null;
    if (record.recordNumber !== recordNumber + 1 || record.batchNumber !== position.batchNumber + 1) {
      return (
        `record ${record.recordNumber} of batch ${record.batchNumber} stands where record ${recordNumber + 1} ` +
        `of batch ${position.batchNumber + 1} belongs`
      );
    }
    const recordEnd = at + recordBytes(record.payloadBytes);
    if (recordEnd > bytes.length) return `a record of ${record.payloadBytes} bytes ends behind the end of the file`;
    if (crc32(bytes.subarray(at + RECORD_HEADER_BYTES, recordEnd), chain) !== record.chain) {
      return `the payload of record ${record.recordNumber} does not match its checksum`;
    }
    return null;
  }

  /** No further record can be read at `at`: the regular end, or damage of one of three kinds. */
  function damageAt(problem: string, record: RecordHeader | null): Damage | null {
    const isWhole = segment.length === header.fileBytes;
    if (end === SEGMENT_HEADER_BYTES) {
      // It carries the vote, and was durable before the file got its name.
      return { verdict: "CORRUPT", offset: at, problem: `${problem}, in the first batch of the segment` };
    }
    if (isWhole && end === at && used <= at) return null;
    if (!isLast) return { verdict: "CORRUPT", offset: at, problem: isWhole ? problem : wrongSize() };
    if (segment.length > header.fileBytes) return { verdict: "CORRUPT", offset: header.fileBytes, problem: wrongSize() };
    if (record !== null && recordNumber + 1 !== record.recordNumber) return { verdict: "CORRUPT", offset: at, problem };
    const later = laterBatch(bytes, at, header.crc, position.batchNumber + 1);
    if (later !== null) {
      return { verdict: "CORRUPT", offset: at, problem: `${problem}, and a later batch follows at byte ${later}` };
    }
    const verdict = !isWhole || wasNeverWritten(bytes, at, used, record) ? "TORN" : "AMBIGUOUS";
    return { verdict, offset: at, problem: isWhole ? problem : `${problem}; ${wrongSize()}` };
  }

  function wrongSize(): string {
    return `the file has ${segment.length} bytes, its header says ${header.fileBytes}`;
  }
}

/**
 * A batch is written only after the fsync of the one before it has returned. So a header of a later batch, proven by its
 * CRC, proves that the damaged batch had been durable.
 */
function laterBatch(bytes: Buffer, from: number, segmentCrc: number, damagedBatch: number): number | null {
  for (let at = from; at + RECORD_HEADER_BYTES <= bytes.length; at += 8) {
    if (bytes[at + 4] === 0) continue;
    const record = decodeRecordHeader(bytes, at, segmentCrc);
    if (record !== null && record.batchNumber > damagedBatch) return at;
  }
  return null;
}

/**
 * True when a part of the record at `at` is still the zeros that the segment was filled with: a unit of the disk that the
 * write never reached, or the rest after a short write. What was written is never all zero: see the format's padding byte.
 */
function wasNeverWritten(bytes: Buffer, at: number, used: number, record: RecordHeader | null): boolean {
  const headerEnd = Math.min(at + RECORD_HEADER_BYTES, bytes.length);
  if (record === null) return hasZeroUnit(bytes, at, headerEnd) || used <= headerEnd;
  const recordEnd = at + recordBytes(record.payloadBytes);
  if (recordEnd > bytes.length) return false;
  return hasZeroUnit(bytes, headerEnd, recordEnd) || used < recordEnd;
}

/** Offset behind the last byte that is not zero. */
function usedBytes(bytes: Buffer): number {
  let used = bytes.length;
  while (used > 0 && bytes[used - 1] === 0) used--;
  return used;
}

/** The least that a disk writes whole or not at all. */
const DISK_UNIT_BYTES = 512;

function hasZeroUnit(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to;) {
    const unitEnd = Math.min(to, at - (at % DISK_UNIT_BYTES) + DISK_UNIT_BYTES);
    if (isZero(bytes, at, unitEnd)) return true;
    at = unitEnd;
  }
  return false;
}

function isZero(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== 0) return false;
  return true;
}
