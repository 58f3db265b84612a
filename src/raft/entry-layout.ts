import { type ClusterTimeMs, type LogIndex, NodeId, type Term, type WallTimeMs } from "#kernel";
import type { Admission, Configuration, Entry, EntryKind } from "./types.ts";

/**
 * How an entry is laid out, the same in peer messages and in the write-ahead log, little-endian:
 *
 * | at | bytes | field |
 * |---:|---:|---|
 * |  0 | 1 | kind: 1 command, 2 leader, 3 configuration |
 * |  1 | 1 | layout version, 1 |
 * |  2 | 2 | zero |
 * |  4 | 4 | length of data |
 * |  8 | 8 | term |
 * | 16 | 8 | index |
 * | 24 | 8 | cluster time, ms |
 * | 32 | 8 | wall time, ms |
 * | 40 | … | data |
 *
 * There is no checksum here: the record of the log and the transport's frame bring their own.
 */
export const ENTRY_HEADER_BYTES = 40;

/** Bytes that do not follow the layout: a peer of another version, or damage. An edge wraps it with where it read them. */
export class LayoutError extends Error {
  override readonly name = "LayoutError";
}

export function encodedEntryBytes(entry: Entry): number {
  return ENTRY_HEADER_BYTES + entry.data.length;
}

export function encodeEntry(entry: Entry): Uint8Array {
  const bytes = new Uint8Array(encodedEntryBytes(entry));
  encodeEntryInto(entry, bytes, 0);
  return bytes;
}

/** Writes {@link encodedEntryBytes} bytes at `at` and returns the offset behind them. `target` must have the room. */
export function encodeEntryInto(entry: Entry, target: Uint8Array, at: number): number {
  const { data } = entry;
  target[at] = KIND_CODES[entry.kind];
  target[at + 1] = LAYOUT_VERSION;
  target[at + 2] = 0;
  target[at + 3] = 0;
  putUint32(target, at + 4, data.length);
  putSafeInteger(target, at + 8, entry.term);
  putSafeInteger(target, at + 16, entry.index);
  putSafeInteger(target, at + 24, entry.clusterTimeMs);
  putSafeInteger(target, at + 32, entry.wallTimeMs);
  target.set(data, at + ENTRY_HEADER_BYTES);
  return at + ENTRY_HEADER_BYTES + data.length;
}

/** `data` is a view of `bytes`, not a copy. Throws {@link LayoutError} when `bytes` is not exactly one entry. */
export function decodeEntry(bytes: Uint8Array): Entry {
  if (bytes.length < ENTRY_HEADER_BYTES) {
    throw new LayoutError(`an entry has at least ${ENTRY_HEADER_BYTES} bytes, got ${bytes.length}`);
  }
  const kind = KINDS[bytes[0]!];
  if (kind === undefined) throw new LayoutError(`unknown kind of entry ${bytes[0]!}`);
  if (bytes[1] !== LAYOUT_VERSION) {
    throw new LayoutError(`entry layout ${bytes[1]!} is not known here (this version reads ${LAYOUT_VERSION})`);
  }
  if (bytes[2] !== 0 || bytes[3] !== 0) throw new LayoutError("reserved bytes of an entry are not zero");
  const length = uint32At(bytes, 4);
  if (length !== bytes.length - ENTRY_HEADER_BYTES) {
    throw new LayoutError(`an entry says ${length} bytes of data, but ${bytes.length - ENTRY_HEADER_BYTES} follow`);
  }
  return {
    term: safeIntegerAt(bytes, 8, "term") as Term,
    index: safeIntegerAt(bytes, 16, "index") as LogIndex,
    kind,
    clusterTimeMs: safeIntegerAt(bytes, 24, "cluster time") as ClusterTimeMs,
    wallTimeMs: safeIntegerAt(bytes, 32, "wall time") as WallTimeMs,
    // Always a plain Uint8Array, also over the Buffer of a stream: what equals what must not depend on the transport.
    data: new Uint8Array(bytes.buffer, bytes.byteOffset + ENTRY_HEADER_BYTES, length),
  };
}

/**
 * The data of a `configuration` entry: version u8, joint u8, counts of voters, outgoing voters, learners, next learners and
 * learners to promote u16 each, then every id as its length u16 and its UTF-16 code units. UTF-16 because that is what a string
 * is made of: lossless for every id, and no text codec needed in the core. Version 1 ended after the learners; version 3 goes
 * on with the count of admissions u16, and of each its index u64 and its id. Without admissions it is written as version 2.
 */
export function encodeConfiguration(configuration: Configuration): Uint8Array {
  const outgoing = configuration.votersOutgoing ?? [];
  const { voters, learners, learnersNext, promoting, admissions } = configuration;
  const groups = [voters, outgoing, learners, learnersNext, promoting];
  const ids = groups.flat();
  const idBytes = ids.reduce((sum, id) => sum + encodedIdBytes(id), 0);
  const admissionBytes = admissions.reduce((sum, { node }) => sum + 8 + encodedIdBytes(node), admissions.length === 0 ? 0 : 2);
  const bytes = new Uint8Array(CONFIGURATION_HEADER_BYTES + idBytes + admissionBytes);
  bytes[0] = admissions.length === 0 ? CONFIGURATION_VERSION : CONFIGURATION_VERSION_ADMISSIONS;
  bytes[1] = configuration.votersOutgoing === null ? 0 : 1;
  for (const [group, members] of groups.entries()) putUint16(bytes, 2 + group * 2, members.length);
  let at = CONFIGURATION_HEADER_BYTES;
  for (const id of ids) at = putId(bytes, at, id);
  if (admissions.length === 0) return bytes;
  putUint16(bytes, at, admissions.length);
  at += 2;
  for (const { node, index } of admissions) {
    putSafeInteger(bytes, at, index);
    at = putId(bytes, at + 8, node);
  }
  return bytes;
}

/** Throws {@link LayoutError} when `bytes` is not exactly one configuration. */
export function decodeConfiguration(bytes: Uint8Array): Configuration {
  const version = bytes[0];
  const headerBytes = version === 1 ? CONFIGURATION_HEADER_BYTES_V1 : CONFIGURATION_HEADER_BYTES;
  if (bytes.length < headerBytes) {
    throw new LayoutError(`a configuration has at least ${headerBytes} bytes, got ${bytes.length}`);
  }
  if (version !== 1 && version !== CONFIGURATION_VERSION && version !== CONFIGURATION_VERSION_ADMISSIONS) {
    throw new LayoutError(`configuration layout ${version!} is not known here`);
  }
  const joint = bytes[1]!;
  if (joint > 1) throw new LayoutError(`a configuration is joint (1) or not (0), got ${joint}`);
  let at = headerBytes;
  const voters = takeIds(uint16At(bytes, 2));
  const outgoing = takeIds(uint16At(bytes, 4));
  const learners = takeIds(uint16At(bytes, 6));
  const learnersNext = version === 1 ? [] : takeIds(uint16At(bytes, 8));
  const promoting = version === 1 ? [] : takeIds(uint16At(bytes, 10));
  const admissions = version === CONFIGURATION_VERSION_ADMISSIONS ? takeAdmissions() : [];
  if (at !== bytes.length) throw new LayoutError(`${bytes.length - at} bytes behind the end of a configuration`);
  if (joint === 0 && outgoing.length > 0) throw new LayoutError("a configuration that is not joint has outgoing voters");
  return { voters, votersOutgoing: joint === 1 ? outgoing : null, learners, learnersNext, promoting, admissions };

  function takeIds(count: number): readonly NodeId[] {
    return Array.from({ length: count }, takeId);
  }

  function takeAdmissions(): readonly Admission[] {
    const count = uint16At(bytes, take(2));
    return Array.from({ length: count }, () => {
      const index = safeIntegerAt(bytes, take(8), "admission") as LogIndex;
      return { node: takeId(), index };
    });
  }

  function takeId(): NodeId {
    const length = uint16At(bytes, take(2));
    const start = take(length * 2);
    let id = "";
    for (let unit = start; unit < at; unit += 2) id += String.fromCharCode(uint16At(bytes, unit));
    return NodeId(id);
  }

  /** Where the next `count` bytes begin. */
  function take(count: number): number {
    const start = at;
    if (start + count > bytes.length) throw new LayoutError(`a configuration ends early, after byte ${start}`);
    at += count;
    return start;
  }
}

const LAYOUT_VERSION = 1;
const CONFIGURATION_VERSION = 2;
const CONFIGURATION_VERSION_ADMISSIONS = 3;
const CONFIGURATION_HEADER_BYTES = 12;
const CONFIGURATION_HEADER_BYTES_V1 = 8;
const KIND_CODES = { command: 1, leader: 2, configuration: 3 } as const satisfies Record<EntryKind, number>;
const KINDS: readonly (EntryKind | undefined)[] = [undefined, "command", "leader", "configuration"];

const TWO_POW_32 = 4_294_967_296;
/** The high word of 2^53 − 1. */
const MAX_HIGH_WORD = 0x1f_ffff;

function encodedIdBytes(id: NodeId): number {
  return 2 + id.length * 2;
}

/** Returns the offset behind it. */
function putId(target: Uint8Array, at: number, id: NodeId): number {
  putUint16(target, at, id.length);
  for (let unit = 0; unit < id.length; unit++) putUint16(target, at + 2 + unit * 2, id.charCodeAt(unit));
  return at + encodedIdBytes(id);
}

function putUint16(target: Uint8Array, at: number, value: number): void {
  target[at] = value;
  target[at + 1] = value >>> 8;
}

function putUint32(target: Uint8Array, at: number, value: number): void {
  target[at] = value;
  target[at + 1] = value >>> 8;
  target[at + 2] = value >>> 16;
  target[at + 3] = value >>> 24;
}

function putSafeInteger(target: Uint8Array, at: number, value: number): void {
  putUint32(target, at, value >>> 0);
  putUint32(target, at + 4, (value / TWO_POW_32) >>> 0);
}

function uint16At(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

function uint32At(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

function safeIntegerAt(bytes: Uint8Array, at: number, what: string): number {
  const high = uint32At(bytes, at + 4);
  if (high > MAX_HIGH_WORD) throw new LayoutError(`${what} of an entry is beyond 2^53 − 1`);
  return high * TWO_POW_32 + uint32At(bytes, at);
}
