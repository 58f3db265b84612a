import { NodeId, invariant, type Incarnation } from "#kernel";
import { formatEndpoint, isMapped, parseEndpoint } from "./address.ts";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { MAX_KEYS } from "./keyring.ts";
import { RecentMap } from "./recent-map.ts";
import { type Address, type MemberRecord, type MemberState, type Metadata, type Reach, VotersHash } from "./types.ts";

export const MAX_ADDRESSES = 8;
export const MAX_RELAYS = 8;
export const MAX_CAPABILITIES = 32;
export const MAX_METADATA_BYTES = 512;
const MAX_TEXT = 64;
/** Somewhat more than all fields at their longest; what no datagram could carry on is no record. */
const MAX_RECORD_BYTES = 1_400;

/**
 * ```
 * id (text)  epoch, counter (varints)  flags (state | reach << 3 | 32: voters)  addresses  relays  metadata  [accuser (text)]  [voters (u32)]
 * ```
 * A newer version may set flags that are free here and write more behind all this. Both are passed over, and passed on: a
 * record is a value that is sent many times, so its bytes are made once, or kept as they came; they go as the record does.
 */
export function recordBytes(record: MemberRecord): Uint8Array {
  const known = encoded.get(record);
  if (known !== undefined) return known;
  const bytes = encodeRecord(record);
  encoded.set(record, bytes);
  return bytes;
}

/** The record that takes up the part of the message whose length stands in front. */
export function readRecord(reader: ByteReader): MemberRecord {
  return reader.sized(() => {
    const hash = reader.hashOfRest();
    const known = decoded.get(hash);
    if (known !== undefined && reader.restIs(known.bytes)) return known.record;
    const bytes = reader.rest();
    const inner = new ByteReader(bytes);
    const record = decodeRecord(inner);
    if (inner.failed || bytes.length > MAX_RECORD_BYTES) {
      reader.fail();
    } else {
      // With these it is sent on: what this version does not know of it reaches those that do.
      const own = bytes.slice();
      decoded.set(hash, { bytes: own, record });
      encoded.set(record, own);
    }
    return record;
  });
}

export function writeRecord(to: ByteWriter, record: MemberRecord): void {
  const bytes = recordBytes(record);
  to.varint(bytes.length);
  to.bytes(bytes);
}

/** Why `record` cannot be sent in a datagram with room for a record of `roomBytes`; null when it can. */
export function whyNotRecord(record: MemberRecord, roomBytes: number): string | null {
  if (!isText(record.id, 1, ID_CHARACTERS) || !isIdStart(record.id))
    return `the id ${JSON.stringify(record.id)} is not 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first`;
  if (record.addresses.length > MAX_ADDRESSES)
    return `${record.addresses.length} addresses are over the limit of ${MAX_ADDRESSES}`;
  const wrong = record.addresses.find((address) => parseEndpoint(address) === null);
  if (wrong !== undefined) return `${JSON.stringify(wrong)} is not an IP address with a port`;
  const wrongMetadata = whyNotMetadata(record.metadata);
  if (wrongMetadata !== null) return wrongMetadata;
  const bytes = encodeRecord(record).length;
  return bytes > roomBytes ? `the member's record takes ${bytes} bytes, over the ${roomBytes} that a datagram has for it` : null;
}

export function writeId(writer: ByteWriter, id: NodeId): void {
  writer.text(id);
}

export function readId(reader: ByteReader): NodeId {
  const id = reader.text(1, MAX_TEXT, ID_CHARACTERS);
  if (!reader.failed && !isIdStart(id)) reader.fail();
  return NodeId(id);
}

export function writeIncarnation(writer: ByteWriter, { epoch, counter }: Incarnation): void {
  writer.varint(epoch);
  writer.varint(counter);
}

export function readIncarnation(reader: ByteReader): Incarnation {
  return { epoch: reader.varint(), counter: reader.varint() };
}

/** Length of the IP (0: none, 4 or 16), the IP, the port. As numbers, so that what arrives is always spelt in one way. */
export function writeAddress(writer: ByteWriter, address: Address | null): void {
  if (address === null) {
    writer.u8(0);
    return;
  }
  const endpoint = parseEndpoint(address);
  invariant(endpoint !== null, `cannot encode ${JSON.stringify(address)}: not an IP address with a port`);
  writer.u8(endpoint.ip.length);
  writer.bytes(endpoint.ip);
  writer.u16(endpoint.port);
}

export function readAddress(reader: ByteReader): Address {
  const address = readOptionalAddress(reader);
  if (address === null) reader.fail();
  return address ?? NO_ADDRESS;
}

export function readOptionalAddress(reader: ByteReader): Address | null {
  const length = reader.u8();
  if (length === 0) return null;
  if (length !== 4 && length !== 16) reader.fail();
  const ip = reader.bytes(length);
  const port = reader.u16();
  if (port === 0 || isMapped(ip)) reader.fail();
  return reader.failed ? NO_ADDRESS : formatEndpoint(ip, port);
}

export function writeList<T>(writer: ByteWriter, items: readonly T[], write: (writer: ByteWriter, item: T) => void): void {
  writer.varint(items.length);
  for (const item of items) write(writer, item);
}

/** Ends with the bytes, whatever the count claims. */
export function readList<T>(reader: ByteReader, most: number, read: (reader: ByteReader) => T): T[] {
  const items: T[] = [];
  for (let left = reader.count(most); left > 0 && !reader.failed; left--) items.push(read(reader));
  return items;
}

const STATES = ["alive", "suspect", "dead", "left", "removed"] as const satisfies readonly MemberState[];
const REACHES = ["direct", "stream", "relay"] as const satisfies readonly Reach[];
const STATE_BITS = 7;
const REACH_BITS = 3;
/** Of the metadata, but behind all that was there before: older nodes pass over it, and pass it on. */
const HAS_VOTERS = 32;
const ID_CHARACTERS = characters((character) => /[A-Za-z0-9._-]/.test(character));
/** No control characters: these texts reach logs and terminals. */
const TEXT_CHARACTERS = characters((character) => /[\x20-\x7e]/.test(character));
const NO_ADDRESS = formatEndpoint([0, 0, 0, 0], 0);
const DEGRADED = 1;
/** The names of keys follow; not set where there are none, so that one value keeps one spelling. */
const HAS_KEYS = 2;

/** Nearly every record that arrives has arrived before: in gossip from several sides, and in each full exchange. */
const RECENT_RECORDS = 16_384;

const writer = new ByteWriter();
const encoded = new WeakMap<MemberRecord, Uint8Array>();
const decoded = new RecentMap<number, { readonly bytes: Uint8Array; readonly record: MemberRecord }>(RECENT_RECORDS);

function encodeRecord(record: MemberRecord): Uint8Array {
  writer.reset();
  writeId(writer, record.id);
  writeIncarnation(writer, record.incarnation);
  const { voters } = record.metadata;
  writer.u8(STATES.indexOf(record.state) | (REACHES.indexOf(record.reach) << 3) | (voters === null ? 0 : HAS_VOTERS));
  writeList(writer, record.addresses, writeAddress);
  writeList(writer, record.relays, writeId);
  writeMetadata(record.metadata);
  // Nobody accuses the living, and who left said so itself.
  if (record.state !== "alive" && record.state !== "left") writer.text(record.accuser ?? "");
  if (voters !== null) writer.u32(voters);
  return writer.written().slice();
}

function decodeRecord(reader: ByteReader): MemberRecord {
  const id = readId(reader);
  const incarnation = readIncarnation(reader);
  const flags = reader.u8();
  const state = STATES[flags & STATE_BITS];
  const reach = REACHES[(flags >> 3) & REACH_BITS];
  if (state === undefined || reach === undefined) reader.fail();
  const addresses = readList(reader, MAX_ADDRESSES, readAddress);
  const relays = readList(reader, MAX_RELAYS, readId);
  const told = readMetadata(reader);
  const accuser = readAccuser(reader, id, state ?? "alive");
  const voters = (flags & HAS_VOTERS) !== 0 ? VotersHash(reader.u32()) : null;
  if (voters === 0) reader.fail();
  const metadata: Metadata = { ...told, voters };
  return { id, incarnation, state: state ?? "alive", addresses, reach: reach ?? "direct", relays, metadata, accuser };
}

function writeMetadata(metadata: Metadata): void {
  writer.u8((metadata.degraded ? DEGRADED : 0) | (metadata.keys.length > 0 ? HAS_KEYS : 0));
  writer.text(metadata.role);
  writer.text(metadata.provider);
  writer.text(metadata.version);
  writeList(writer, metadata.capabilities, (to, capability) => to.text(capability));
  if (metadata.keys.length > 0) writeList(writer, metadata.keys, (to, key) => to.u32(key));
}

function readMetadata(reader: ByteReader): Omit<Metadata, "voters"> {
  const flags = reader.u8();
  const role = readText(reader);
  const provider = readText(reader);
  const version = readText(reader);
  const capabilities = readList(reader, MAX_CAPABILITIES, readText);
  const hasKeys = (flags & HAS_KEYS) !== 0;
  const keys = hasKeys ? readList(reader, MAX_KEYS, (from) => from.u32()) : [];
  if (hasKeys && keys.length === 0) reader.fail();
  const metadata = { role, provider, capabilities, version, degraded: (flags & DEGRADED) !== 0, keys };
  if (metadataBytes(metadata) > MAX_METADATA_BYTES) reader.fail();
  return metadata;
}

function readText(reader: ByteReader): string {
  return reader.text(0, MAX_TEXT, TEXT_CHARACTERS);
}

function readAccuser(reader: ByteReader, id: NodeId, state: MemberState): NodeId | null {
  if (state === "alive") return null;
  if (state === "left") return id;
  const accuser = reader.text(state === "removed" ? 0 : 1, MAX_TEXT, ID_CHARACTERS);
  return accuser === "" ? null : NodeId(accuser);
}

function whyNotMetadata(metadata: Metadata): string | null {
  const texts = { role: metadata.role, provider: metadata.provider, version: metadata.version };
  const named = [...Object.entries(texts), ...metadata.capabilities.map((text) => ["capabilities", text] as const)];
  const wrong = named.find(([, text]) => !isText(text, 0, TEXT_CHARACTERS));
  if (wrong !== undefined)
    return `metadata.${wrong[0]}: ${JSON.stringify(wrong[1])} is not up to ${MAX_TEXT} printable ASCII characters`;
  const { length } = metadata.capabilities;
  if (length > MAX_CAPABILITIES) return `metadata.capabilities: ${length} are over the limit of ${MAX_CAPABILITIES}`;
  if (metadata.keys.length > MAX_KEYS) return `metadata.keys: ${metadata.keys.length} are over the limit of ${MAX_KEYS}`;
  const bytes = metadataBytes(metadata);
  return bytes > MAX_METADATA_BYTES ? `metadata: ${bytes} bytes are over the limit of ${MAX_METADATA_BYTES}` : null;
}

function metadataBytes({ role, provider, version, capabilities, keys }: Omit<Metadata, "voters">): number {
  let bytes = 5 + role.length + provider.length + version.length + (keys.length === 0 ? 0 : 1 + 4 * keys.length);
  for (const capability of capabilities) bytes += 1 + capability.length;
  return bytes;
}

/** As everywhere else: what begins with a dash looks like an option, and with a dot like a hidden file. */
function isIdStart(id: string): boolean {
  return !["-", "_", "."].includes(id.charAt(0));
}

function isText(text: string, least: number, allowed: Uint8Array): boolean {
  if (text.length < least || text.length > MAX_TEXT) return false;
  for (let i = 0; i < text.length; i++) if (allowed[text.charCodeAt(i)] !== 1) return false;
  return true;
}

function characters(holds: (character: string) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => (holds(String.fromCharCode(code)) ? 1 : 0));
}
