import { crc32 } from "node:zlib";
import { type Entry, encodeEntryInto, encodedEntryBytes } from "#raft";
import {
  FLAG_END_OF_BATCH,
  RECORD_HEADER_BYTES,
  RECORD_TYPES,
  type RecordType,
  asBuffer,
  recordBytes,
  writeSafeInteger,
} from "./format.ts";
import { headerCrc } from "./header-crc.ts";

/** Where the log stands: what the next record is numbered and chained to. */
export interface LogPosition {
  /** Of the last record written; 0 before the first. */
  readonly recordNumber: number;
  /** Of the last complete batch; 0 before the first. */
  readonly batchNumber: number;
  readonly chain: number;
}

export const LOG_START: LogPosition = { recordNumber: 0, batchNumber: 0, chain: 0 };

export interface SmallRecord {
  readonly type: Exclude<RecordType, "entry">;
  readonly payload: Uint8Array;
}

export type BatchRecord = Entry | SmallRecord;

/**
 * Lays one batch out in a buffer that is used again for the next: what {@link encode} returns is valid until the next
 * call. A batch costs no allocation per entry beyond the views that the checksum needs.
 */
export class BatchWriter {
  #scratch = allocate(INITIAL_SCRATCH_BYTES);

  encode(records: readonly BatchRecord[], after: LogPosition, segmentCrc: number): { bytes: Uint8Array; end: LogPosition } {
    const total = batchBytes(records);
    this.#reserve(total);
    const { bytes } = this.#scratch;
    const batchNumber = after.batchNumber + 1;
    let { recordNumber, chain } = after;
    let at = 0;
    for (let i = 0; i < records.length; i++) {
      const record = records[i]!;
      const isSmall = "payload" in record;
      const payloadBytes = isSmall ? record.payload.length : encodedEntryBytes(record);
      const end = at + recordBytes(payloadBytes);
      const payloadAt = at + RECORD_HEADER_BYTES;
      if (isSmall) bytes.set(record.payload, payloadAt);
      else encodeEntryInto(record, bytes, payloadAt);
      bytes.fill(0, payloadAt + payloadBytes, end);
      this.#mask(payloadAt, end);
      chain = crc32(bytes.subarray(payloadAt, end), chain);
      bytes.writeUInt32LE(payloadBytes, at);
      bytes[at + 4] = RECORD_TYPES[isSmall ? record.type : "entry"];
      bytes[at + 5] = i === records.length - 1 ? FLAG_END_OF_BATCH : 0;
      bytes[at + 6] = 0;
      bytes[at + 7] = 0;
      writeSafeInteger(bytes, at + 8, ++recordNumber);
      writeSafeInteger(bytes, at + 16, batchNumber);
      bytes.writeUInt32LE(chain, at + 24);
      bytes.writeUInt32LE(headerCrc(bytes, at, 28, segmentCrc), at + 28);
      at = end;
    }
    return { bytes: bytes.subarray(0, total), end: { recordNumber, batchNumber, chain } };
  }

  #reserve(bytes: number): void {
    // A buffer that one huge batch grew is not kept for the small ones that follow.
    const tooBig = this.#scratch.bytes.length > MAX_KEPT_SCRATCH_BYTES && bytes <= INITIAL_SCRATCH_BYTES;
    if (bytes > this.#scratch.bytes.length || tooBig) {
      this.#scratch = allocate(Math.max(INITIAL_SCRATCH_BYTES, 2 ** Math.ceil(Math.log2(bytes))));
    }
  }

  /** XOR by words: the scratch starts aligned, and every record is a multiple of 8. */
  #mask(from: number, to: number): void {
    const { words } = this.#scratch;
    for (let i = from >>> 2; i < to >>> 2; i++) words[i] = words[i]! ^ MASK_WORD;
  }
}

export function batchBytes(records: readonly BatchRecord[]): number {
  let total = 0;
  for (const record of records) {
    total += recordBytes("payload" in record ? record.payload.length : encodedEntryBytes(record));
  }
  return total;
}

/** Every byte of `stored` XOR 0xA5, in a new buffer. */
export function unmask(stored: Uint8Array): Uint8Array {
  const plain = new Uint8Array(Math.ceil(stored.length / 4) * 4);
  plain.set(stored);
  const words = new Uint32Array(plain.buffer);
  for (let i = 0; i < words.length; i++) words[i] = words[i]! ^ MASK_WORD;
  return plain.subarray(0, stored.length);
}

const MASK_WORD = 0xa5a5_a5a5;
const INITIAL_SCRATCH_BYTES = 256 * 1024;
const MAX_KEPT_SCRATCH_BYTES = 8 * 1024 * 1024;

function allocate(size: number): { readonly bytes: Buffer; readonly words: Uint32Array } {
  const buffer = new ArrayBuffer(size);
  return { bytes: asBuffer(new Uint8Array(buffer)), words: new Uint32Array(buffer) };
}
