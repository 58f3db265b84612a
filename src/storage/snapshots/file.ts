import type { Disk, DiskFile } from "#ports";
import type { SnapshotMeta } from "#raft";
import { StorageError } from "../error.ts";
import { asBuffer } from "../wal/format.ts";
import {
  CHUNK_BYTES,
  CHUNK_HEADER_BYTES,
  ContentSums,
  SNAPSHOT_HEADER_BYTES,
  type SnapshotFooter,
  TRAILER_BYTES,
  checkSnapshotHeader,
  decodeSnapshotFooter,
  encodeSnapshotFooter,
  encodeSnapshotHeader,
  footerBytesOf,
} from "./format.ts";

type Content = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Writes a whole snapshot file into `file` and syncs it. Pieces of any size come in, chunks of one size go out. */
export async function writeSnapshot(file: DiskFile, meta: SnapshotMeta, stateDigest: string, content: Content): Promise<void> {
  const sums = new ContentSums();
  // Not filled: only what has been set is written.
  const frame = Buffer.allocUnsafeSlow(CHUNK_HEADER_BYTES + CHUNK_BYTES);
  let filled = 0;
  let at = SNAPSHOT_HEADER_BYTES;
  await file.truncate(0);
  await file.write(0, encodeSnapshotHeader());
  for await (const piece of content) {
    for (let taken = 0; taken < piece.length;) {
      const part = piece.subarray(taken, taken + CHUNK_BYTES - filled);
      frame.set(part, CHUNK_HEADER_BYTES + filled);
      taken += part.length;
      filled += part.length;
      if (filled === CHUNK_BYTES) await flush();
    }
  }
  if (filled > 0) await flush();
  const { contentBytes, chunks } = sums;
  await file.write(at, encodeSnapshotFooter({ contentBytes, chunks, sha256: sums.sha256(), stateDigest, meta }));
  await file.sync();

  async function flush(): Promise<void> {
    const end = CHUNK_HEADER_BYTES + filled;
    sums.add(frame.subarray(CHUNK_HEADER_BYTES, end));
    frame.writeUInt32LE(filled, 0);
    frame.writeUInt32LE(sums.crc, 4);
    await file.write(at, frame.subarray(0, end));
    at += end;
    filled = 0;
    // A gigabyte synced in one go would stand in front of the log's own syncs for as long as it takes.
    if (sums.chunks % CHUNKS_PER_SYNC === 0) await file.sync();
  }
}

/** Yields the content and checks everything: each chunk before it is yielded, the totals at the end. */
export async function* readSnapshot(disk: Disk, path: string): AsyncGenerator<Uint8Array> {
  const file = await opened(disk, path);
  try {
    const maxChunkBytes = checkSnapshotHeader(await file.read(0, SNAPSHOT_HEADER_BYTES), path);
    const { footer, footerAt } = await readFooter(file, path);
    const sums = new ContentSums();
    const readAt = (at: number): Promise<Uint8Array> => {
      const read = file.read(at, Math.min(CHUNK_HEADER_BYTES + maxChunkBytes, footerAt - at));
      // Whoever stops early does not wait for it, and must not be ended by it.
      read.catch(() => undefined);
      return read;
    };
    let at = SNAPSHOT_HEADER_BYTES;
    let ahead = readAt(at);
    while (at < footerAt) {
      const frame = asBuffer(await ahead);
      const length = frame.length >= CHUNK_HEADER_BYTES ? frame.readUInt32LE(0) : 0;
      if (length === 0 || length > maxChunkBytes || CHUNK_HEADER_BYTES + length > frame.length) {
        throw damaged(path, at, `chunk ${sums.chunks} has an impossible length of ${length} bytes`);
      }
      // The disk works while the reader does.
      ahead = readAt(at + CHUNK_HEADER_BYTES + length);
      const chunk = frame.subarray(CHUNK_HEADER_BYTES, CHUNK_HEADER_BYTES + length);
      sums.add(chunk);
      if (sums.crc !== frame.readUInt32LE(4)) throw damaged(path, at, `chunk ${sums.chunks - 1} does not match its checksum`);
      yield chunk;
      at += CHUNK_HEADER_BYTES + length;
    }
    if (sums.contentBytes !== footer.contentBytes || sums.chunks !== footer.chunks || sums.sha256() !== footer.sha256) {
      throw damaged(path, footerAt, `${sums.contentBytes} bytes of content do not match the footer's digest`);
    }
  } finally {
    await file.close();
  }
}

/** Reads the whole file. Throws StorageError (CORRUPT, FORMAT_TOO_NEW, NOT_FOUND, IO_FAILED) unless all of it holds. */
export async function verifySnapshot(disk: Disk, path: string): Promise<SnapshotFooter> {
  for await (const chunk of readSnapshot(disk, path)) void chunk;
  const file = await opened(disk, path);
  try {
    return (await readFooter(file, path)).footer;
  } finally {
    await file.close();
  }
}

export async function opened(disk: Disk, path: string): Promise<DiskFile> {
  try {
    return await disk.open(path, { create: false });
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code === "ENOENT") {
      throw new StorageError("NOT_FOUND", "there is no such snapshot", { file: path, cause: thrown });
    }
    throw StorageError.from(thrown, "opening it", path);
  }
}

async function readFooter(file: DiskFile, path: string): Promise<{ footer: SnapshotFooter; footerAt: number }> {
  const size = await file.size();
  const trailerAt = Math.max(0, size - TRAILER_BYTES);
  const length = footerBytesOf(await file.read(trailerAt, TRAILER_BYTES));
  const footerAt = trailerAt - (length ?? 0);
  if (length === null || footerAt < SNAPSHOT_HEADER_BYTES)
    throw damaged(path, trailerAt, "the snapshot has no end: it is cut short");
  const footer = decodeSnapshotFooter(await file.read(footerAt, length));
  if (footer === null) throw damaged(path, footerAt, "the footer of the snapshot is damaged");
  return { footer, footerAt };
}

/** 8 MiB. */
const CHUNKS_PER_SYNC = 32;

function damaged(file: string, offset: number, problem: string): StorageError {
  const hint = "An older snapshot is used if there is one; the damaged file is kept for analysis.";
  return new StorageError("CORRUPT", problem, { file, offset, hint });
}
