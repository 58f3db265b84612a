import { type Hash, createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { LogIndex, Term } from "#kernel";
import type { SnapshotMeta } from "#raft";
import { StorageError } from "../error.ts";
import { asBuffer, hex16, readSafeInteger, writeSafeInteger } from "../wal/format.ts";
import { decodeSnapshotMeta, encodeSnapshotMeta } from "../wal/payload.ts";

/**
 * A snapshot file, version 1, little-endian:
 *
 * - header, 16 bytes: magic `CSNP` u32, format version u16, lowest version that can read it u16, chunk size u32,
 *   CRC-32 of the twelve bytes before u32
 * - chunks: length u32 (1 to the chunk size), CRC-32 of the content seeded with the CRC of the chunk before u32, content
 * - footer: a zero u32 where a chunk's length would be; content bytes u64; chunks u32; SHA-256 of the content, 32 bytes;
 *   length of the state digest u16 and the digest (UTF-8); length of the meta u32 and the meta; CRC-32 of the footer so far
 * - trailer, 8 bytes: length of the footer u32, magic `PNSC` u32
 */
export const SNAPSHOT_FORMAT_VERSION = 1;
export const SNAPSHOT_HEADER_BYTES = 16;
export const CHUNK_HEADER_BYTES = 8;
export const TRAILER_BYTES = 8;
export const CHUNK_BYTES = 256 * 1024;
export const SNAPSHOT_DIRECTORY = "snap";

/** Larger than any footer of a sane cluster: a length above it is damage, and nothing is allocated for it. */
const MAX_FOOTER_BYTES = 16 * 1024 * 1024;
const HEADER_MAGIC = 0x504e_5343;
const TRAILER_MAGIC = 0x4353_4e50;

export interface SnapshotName {
  readonly index: LogIndex;
  readonly term: Term;
}

export function snapshotFile({ index, term }: SnapshotName, extension: "snap" | "tmp" | "part" = "snap"): string {
  return `${SNAPSHOT_DIRECTORY}/${hex16(index)}-${hex16(term)}.${extension}`;
}

export function parseSnapshotName(name: string): SnapshotName | null {
  const match = /^([0-9a-f]{16})-([0-9a-f]{16})\.snap$/.exec(name);
  if (match === null) return null;
  return { index: Number.parseInt(match[1]!, 16) as LogIndex, term: Number.parseInt(match[2]!, 16) as Term };
}

export function encodeSnapshotHeader(): Uint8Array {
  const bytes = Buffer.alloc(SNAPSHOT_HEADER_BYTES);
  bytes.writeUInt32LE(HEADER_MAGIC, 0);
  bytes.writeUInt16LE(SNAPSHOT_FORMAT_VERSION, 4);
  bytes.writeUInt16LE(SNAPSHOT_FORMAT_VERSION, 6);
  bytes.writeUInt32LE(CHUNK_BYTES, 8);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 12)), 12);
  return bytes;
}

/** Returns the largest length that a chunk may have. */
export function checkSnapshotHeader(header: Uint8Array, file: string): number {
  const bytes = asBuffer(header);
  const isSound =
    bytes.length === SNAPSHOT_HEADER_BYTES &&
    bytes.readUInt32LE(0) === HEADER_MAGIC &&
    bytes.readUInt32LE(12) === crc32(bytes.subarray(0, 12));
  if (!isSound) throw new StorageError("CORRUPT", "the header of the snapshot is damaged", { file, offset: 0 });
  const minReader = bytes.readUInt16LE(6);
  if (minReader > SNAPSHOT_FORMAT_VERSION) {
    const problem = `the snapshot needs a reader of format ${minReader}; this one reads ${SNAPSHOT_FORMAT_VERSION}`;
    throw new StorageError("FORMAT_TOO_NEW", problem, { file });
  }
  return bytes.readUInt32LE(8);
}

export interface SnapshotFooter {
  readonly contentBytes: number;
  readonly chunks: number;
  readonly sha256: string;
  readonly stateDigest: string;
  readonly meta: SnapshotMeta;
}

/** Footer and trailer. */
export function encodeSnapshotFooter(footer: SnapshotFooter): Uint8Array {
  const digest = Buffer.from(footer.stateDigest, "utf8");
  const meta = encodeSnapshotMeta(footer.meta);
  const footerBytes = FOOTER_FIXED_BYTES + digest.length + meta.length;
  const bytes = Buffer.alloc(footerBytes + TRAILER_BYTES);
  writeSafeInteger(bytes, 4, footer.contentBytes);
  bytes.writeUInt32LE(footer.chunks, 12);
  bytes.write(footer.sha256, 16, "hex");
  bytes.writeUInt16LE(digest.length, 48);
  bytes.set(digest, 50);
  bytes.writeUInt32LE(meta.length, 50 + digest.length);
  bytes.set(meta, 54 + digest.length);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, footerBytes - 4)), footerBytes - 4);
  bytes.writeUInt32LE(footerBytes, footerBytes);
  bytes.writeUInt32LE(TRAILER_MAGIC, footerBytes + 4);
  return bytes;
}

/** Length of the footer, or null when the trailer is none. */
export function footerBytesOf(trailer: Uint8Array): number | null {
  const bytes = asBuffer(trailer);
  if (bytes.length !== TRAILER_BYTES || bytes.readUInt32LE(4) !== TRAILER_MAGIC) return null;
  const length = bytes.readUInt32LE(0);
  return length >= FOOTER_FIXED_BYTES && length <= MAX_FOOTER_BYTES ? length : null;
}

/** null when the bytes are no sound footer. */
export function decodeSnapshotFooter(footer: Uint8Array): SnapshotFooter | null {
  const bytes = asBuffer(footer);
  const end = bytes.length - 4;
  if (bytes.length < FOOTER_FIXED_BYTES || crc32(bytes.subarray(0, end)) !== bytes.readUInt32LE(end)) return null;
  const digestEnd = 50 + bytes.readUInt16LE(48);
  return {
    contentBytes: readSafeInteger(bytes, 4),
    chunks: bytes.readUInt32LE(12),
    sha256: bytes.toString("hex", 16, 48),
    stateDigest: bytes.toString("utf8", 50, digestEnd),
    meta: decodeSnapshotMeta(bytes.subarray(digestEnd + 4, end)),
  };
}

/** Running totals over the content; the same on the way out and on the way in. */
export class ContentSums {
  contentBytes = 0;
  chunks = 0;
  crc = 0;
  readonly #sha256: Hash = createHash("sha256");

  add(chunk: Uint8Array): void {
    this.contentBytes += chunk.length;
    this.chunks += 1;
    this.crc = crc32(chunk, this.crc);
    this.#sha256.update(chunk);
  }

  sha256(): string {
    return this.#sha256.digest("hex");
  }
}

const FOOTER_FIXED_BYTES = 4 + 8 + 4 + 32 + 2 + 4 + 4;
