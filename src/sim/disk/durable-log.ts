import { crc32 } from "node:zlib";
import { type LogIndex, type NodeId, NO_INDEX } from "#kernel";
import { decodeEntry } from "#raft";
import {
  RECORD_HEADER_BYTES,
  SEGMENT_HEADER_BYTES,
  SNAPSHOT_DIRECTORY,
  WAL_DIRECTORY,
  decodeRecordHeader,
  decodeSegmentHeader,
  decodeSnapshotMeta,
  decodeTruncateMark,
  parseSegmentName,
  parseSnapshotName,
  recordBytes,
  recordTypeOf,
  unmask,
} from "#storage";
import type { DurableLogs } from "../observer.ts";
import type { SimDisk } from "./disk.ts";
import type { PagedFile } from "./paged-file.ts";

/** Reads the platters of all nodes, each as far as it has changed since it was asked the last time. */
export function durableLogs(disks: ReadonlyMap<NodeId, SimDisk>): DurableLogs {
  const logs = new Map([...disks].map(([node, disk]) => [node, new DurableLog(disk)]));
  return { termAt: (node, index) => logs.get(node)?.termAt(index) ?? null };
}

interface FollowedSegment {
  readonly file: PagedFile;
  readonly crc: number;
  /** Behind the last whole batch. */
  end: number;
  /** Checksum of all payloads up to there. */
  chain: number;
  /** The records behind it have their headers, and a payload that is not theirs: power went while they were written. */
  isTorn: boolean;
  platterVersion: number;
}

/** What a start after a power cut at this moment would find in one data directory. */
class DurableLog {
  readonly #disk: SimDisk;
  #namesVersion = -1;
  #segments: FollowedSegment[] = [];
  /** Terms of the entries after {@link #startsAfter}. */
  #terms: number[] = [];
  #startsAfter: number = NO_INDEX;
  #snapshot: { readonly index: number; readonly term: number } | null = null;

  constructor(disk: SimDisk) {
    this.#disk = disk;
  }

  termAt(index: LogIndex): number | "snapshot" | null {
    this.#catchUp();
    if (this.#snapshot !== null) {
      const covered = this.#terms[this.#snapshot.index - this.#startsAfter - 1];
      const continues = this.#snapshot.index === this.#startsAfter || covered === this.#snapshot.term;
      // A log without the snapshot's last entry is forgotten when the node starts on both. Until then it is what was promised:
      // a snapshot is acknowledged only once the log has been reset to it.
      if (continues && index <= this.#snapshot.index) return "snapshot";
      if (!continues && index > this.#snapshot.index) return null;
    }
    return this.#terms[index - this.#startsAfter - 1] ?? null;
  }

  #catchUp(): void {
    if (this.#namesVersion !== this.#disk.namesVersion) this.#readNames();
    for (const [at, segment] of this.#segments.entries()) {
      if (segment.platterVersion !== segment.file.platterVersion) {
        // Only the last segment is written. Had another changed, what follows it would have to be read again.
        if (at < this.#segments.length - 1 && segment.platterVersion !== -1) return this.#readAnew();
        segment.platterVersion = segment.file.platterVersion;
        this.#follow(segment);
      }
      // What follows a batch that is none has no place in the log.
      if (segment.isTorn) return;
    }
  }

  #readNames(): void {
    this.#namesVersion = this.#disk.namesVersion;
    this.#snapshot = null;
    const found: { readonly sequence: number; readonly firstIndex: number; readonly file: PagedFile }[] = [];
    for (const [path, file] of this.#disk.platter) {
      const slash = path.lastIndexOf("/");
      const directory = path.slice(0, slash);
      const name = path.slice(slash + 1);
      if (directory === SNAPSHOT_DIRECTORY) {
        const snapshot = parseSnapshotName(name);
        if (snapshot === null || !file.isClean || snapshot.index <= (this.#snapshot?.index ?? NO_INDEX)) continue;
        this.#snapshot = { index: snapshot.index, term: snapshot.term };
      }
      const segment = directory === WAL_DIRECTORY ? parseSegmentName(name) : null;
      if (segment !== null) found.push({ ...segment, file });
    }
    found.sort((a, b) => a.sequence - b.sequence);
    const dropped = this.#segments.findIndex(({ file }) => file === found[0]?.file);
    const known = dropped === -1 ? [] : this.#segments.slice(dropped);
    if (dropped === -1 || known.some(({ file }, at) => file !== found[at]?.file)) {
      this.#forget(found[0]?.firstIndex ?? 1);
    } else {
      this.#segments = known;
    }
    for (const { file } of found.slice(this.#segments.length)) this.#segments.push(fresh(file));
  }

  #readAnew(): void {
    this.#forget(1);
    this.#readNames();
    this.#catchUp();
  }

  #forget(firstIndex: number): void {
    this.#segments = [];
    this.#terms = [];
    this.#startsAfter = firstIndex - 1;
  }

  /** Takes on the whole batches that have become durable; half a batch is none, whichever half of it is there. */
  #follow(segment: FollowedSegment, readBytes: number = FOLLOW_BYTES): void {
    const bytes = Buffer.from(segment.file.readPlatter(segment.end, readBytes).buffer);
    let at = 0;
    let from = 0;
    let { chain } = segment;
    segment.isTorn = false;
    for (;;) {
      const record = decodeRecordHeader(bytes, at, segment.crc);
      if (record === null) break;
      const next = at + recordBytes(record.payloadBytes);
      if (next > bytes.length) break;
      chain = crc32(bytes.subarray(at + RECORD_HEADER_BYTES, next), chain);
      segment.isTorn = chain !== record.chain;
      if (segment.isTorn) break;
      at = next;
      if (!record.endOfBatch) continue;
      this.#take(bytes, from, at, segment.crc);
      segment.chain = chain;
      from = at;
    }
    segment.end += from;
    if (segment.isTorn) return;
    if (bytes.length < readBytes) return;
    // There may be more than one reading's worth, or one batch that is more than a reading.
    if (from > 0) this.#follow(segment);
    else if (decodeRecordHeader(bytes, 0, segment.crc) !== null) this.#follow(segment, readBytes * 8);
  }

  #take(bytes: Buffer, from: number, to: number, crc: number): void {
    for (let at = from; at < to;) {
      const record = decodeRecordHeader(bytes, at, crc)!;
      const start = at + RECORD_HEADER_BYTES;
      const payload = (): Uint8Array => unmask(bytes.subarray(start, start + record.payloadBytes));
      switch (recordTypeOf(record.type)) {
        case "entry":
          this.#terms.push(decodeEntry(payload()).term);
          break;
        case "truncateMark":
          this.#truncate(decodeTruncateMark(payload()));
          break;
        case "resetMark":
          this.#terms = [];
          this.#startsAfter = decodeSnapshotMeta(payload()).index;
          break;
        case "hardState":
        case "snapshotMark":
        case "clusterMeta":
        case "cleanStop":
        case "suspicion":
        case undefined:
          break;
      }
      at += recordBytes(record.payloadBytes);
    }
  }

  #truncate(from: number): void {
    this.#terms.length = Math.max(0, from - this.#startsAfter - 1);
    this.#startsAfter = Math.min(this.#startsAfter, from - 1);
  }
}

function fresh(file: PagedFile): FollowedSegment {
  const header = decodeSegmentHeader(file.readPlatter(0, SEGMENT_HEADER_BYTES));
  const { crc, previousChain } = header ?? { crc: 0, previousChain: 0 };
  const platterVersion = header === null ? file.platterVersion : -1;
  return { file, crc, end: SEGMENT_HEADER_BYTES, chain: previousChain, isTorn: false, platterVersion };
}

/** A few batches: what a commit adds is seldom more, and looked at for every commit. */
const FOLLOW_BYTES = 4 * 1024;
