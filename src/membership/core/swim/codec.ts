import { assertNever } from "#kernel";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter, varintBytes } from "./byte-writer.ts";
import { type Message, type Packet, ProbeNumber, type RelayableMessage, type RelayedPacket } from "./message.ts";
import {
  MAX_ADDRESSES,
  readAddress,
  readId,
  readIncarnation,
  readList,
  readOptionalAddress,
  readRecord,
  recordBytes,
  writeAddress,
  writeId,
  writeIncarnation,
  writeList,
  writeRecord,
} from "./record-codec.ts";
import { Digest, type MemberRecord, ProfileHash } from "./types.ts";

/** A stream may carry more kinds of message than a datagram. */
export type Carrier = "datagram" | "stream";

/** Counts what was passed over because only a newer version knows it. */
export interface Skipped {
  unknownMessages: number;
}

/**
 * ```
 * sender (text)  epoch, counter (varints)  digest, profile (u32)  { kind (u8)  length (varint)  payload }…
 * ```
 * The body of one sealed datagram or frame: a view that is good until the next call.
 */
export function encodePacket(packet: Packet): Uint8Array {
  writer.reset();
  writeId(writer, packet.sender);
  writeHead(packet);
  for (const message of packet.messages) writeMessage(message);
  return writer.written();
}

/**
 * The packet, or null when the bytes are not one; it never throws. What is known must be allowed on its carrier. What a newer
 * version has added is passed over: kinds, which are counted, flags, and what stands behind the last known field of a message.
 */
export function decodePacket(body: Uint8Array, carrier: Carrier, skipped: Skipped = { unknownMessages: 0 }): Packet | null {
  const reader = new ByteReader(body);
  const sender = readId(reader);
  const head = readHead(reader);
  const messages: Message[] = [];
  while (reader.more) {
    const kind = KINDS[reader.u8()];
    if (carrier === "datagram" && kind !== undefined && STREAM_ONLY.has(kind)) reader.fail();
    const message = readMessage(reader, kind, skipped);
    if (message !== null) messages.push(message);
  }
  return reader.failed ? null : { sender, ...head, messages };
}

/** How long {@link encodePacket}'s answer is. What is left up to a datagram's `maxBodyBytes` may be filled with gossip. */
export function packetBytes(packet: Packet): number {
  return encodePacket(packet).length;
}

/** What gossip about a member takes in a packet. */
export function gossipBytes(record: MemberRecord): number {
  const { length } = recordBytes(record);
  return 1 + varintBytes(length) + length;
}

const MAX_ID_BYTES = 65;
/** Sender, incarnation, digest and profile of a packet, at most. */
export const MAX_HEAD_BYTES = MAX_ID_BYTES + 18;
/** A ping, and the kind and length of a record beside it, at most. */
export const MAX_PING_BYTES = 2 + 5 + MAX_ID_BYTES + 3;
/** What passing a packet on through a relay adds to it, at most: the relay's head, kind and length, origin and target. */
export const MAX_RELAY_BYTES = MAX_HEAD_BYTES + 3 + 2 * MAX_ID_BYTES;

/** Numbers on the wire: never reused. */
const KINDS: readonly (Message["kind"] | undefined)[] = [
  undefined,
  "ping",
  "ack",
  "ping-request",
  "indirect-ack",
  "nack",
  "member",
  "push-pull",
  "relay-request",
  "relay-answer",
  "relayed",
];
const STREAM_ONLY: ReadonlySet<Message["kind"]> = new Set(["push-pull", "relay-request", "relay-answer"] as const);
const RELAYABLE: ReadonlySet<Message["kind"]> = new Set([
  "ping",
  "ack",
  "ping-request",
  "indirect-ack",
  "nack",
  "member",
] as const satisfies readonly RelayableMessage["kind"][]);
/** More than any probe waits, a sick node's included. */
const MAX_TIMEOUT_MS = 3_600_000;
/** A record takes more than ten bytes, so the bytes end the list before this does. */
const MAX_RECORDS = 100_000;
const REPLY = 1;
const JOINING = 2;
const MORE = 4;
const GRANTED = 1;

const writer = new ByteWriter();

function writeHead({ incarnation, digest, profile }: Pick<Packet, "incarnation" | "digest" | "profile">): void {
  writeIncarnation(writer, incarnation);
  writer.u32(digest);
  writer.u32(profile);
}

function readHead(reader: ByteReader): Pick<Packet, "incarnation" | "digest" | "profile"> {
  return { incarnation: readIncarnation(reader), digest: Digest(reader.u32()), profile: ProfileHash(reader.u32()) };
}

function writeMessage(message: Message): void {
  writer.u8(KINDS.indexOf(message.kind));
  if (message.kind === "member") return writeRecord(writer, message.record);
  writer.sized(() => {
    writePayload(message);
  });
}

function writePayload(message: Exclude<Message, { readonly kind: "member" }>): void {
  switch (message.kind) {
    case "ping":
    case "indirect-ack":
    case "nack":
      writer.varint(message.probe);
      writeId(writer, message.target);
      return;
    case "ack":
      writer.varint(message.probe);
      writeAddress(writer, message.observed);
      return;
    case "ping-request":
      writer.varint(message.probe);
      writeId(writer, message.target);
      writer.varint(message.timeoutMs);
      writeList(writer, message.addresses, writeAddress);
      return;
    case "push-pull":
      writer.u8((message.reply ? REPLY : 0) | (message.joining ? JOINING : 0) | (message.more ? MORE : 0));
      writeList(writer, message.records, writeRecord);
      return;
    case "relay-request":
      return;
    case "relay-answer":
      writer.u8(message.granted ? GRANTED : 0);
      return;
    case "relayed":
      writeId(writer, message.origin);
      writeId(writer, message.target);
      writeHead(message.packet);
      for (const inner of message.packet.messages) writeMessage(inner);
      return;
    default:
      assertNever(message, "message");
  }
}

/** Null for a kind that this version does not know: its bytes are passed over. */
function readMessage(reader: ByteReader, kind: Message["kind"] | undefined, skipped: Skipped): Message | null {
  if (kind === "member") return { kind, record: readRecord(reader) };
  return reader.sized(() => readPayload(reader, kind, skipped));
}

function readPayload(reader: ByteReader, kind: Exclude<Message["kind"], "member"> | undefined, skipped: Skipped): Message | null {
  switch (kind) {
    case "ping":
    case "indirect-ack":
    case "nack":
      return { kind, probe: ProbeNumber(reader.varint()), target: readId(reader) };
    case "ack":
      return { kind, probe: ProbeNumber(reader.varint()), observed: readOptionalAddress(reader) };
    case "ping-request": {
      const probe = ProbeNumber(reader.varint());
      const target = readId(reader);
      const timeoutMs = reader.count(MAX_TIMEOUT_MS);
      return { kind, probe, target, addresses: readList(reader, MAX_ADDRESSES, readAddress), timeoutMs };
    }
    case "push-pull": {
      const flags = reader.u8();
      const records = readList(reader, MAX_RECORDS, readRecord);
      return { kind, reply: (flags & REPLY) !== 0, joining: (flags & JOINING) !== 0, more: (flags & MORE) !== 0, records };
    }
    case "relay-request":
      return { kind };
    case "relay-answer":
      return { kind, granted: (reader.u8() & GRANTED) !== 0 };
    case "relayed":
      return { kind, origin: readId(reader), target: readId(reader), packet: readRelayed(reader, skipped) };
    case undefined:
      skipped.unknownMessages += 1;
      return null;
    default:
      return assertNever(kind, "message");
  }
}

function readRelayed(reader: ByteReader, skipped: Skipped): RelayedPacket {
  const head = readHead(reader);
  const messages: RelayableMessage[] = [];
  while (reader.more) {
    const kind = KINDS[reader.u8()];
    if (kind !== undefined && !RELAYABLE.has(kind)) reader.fail();
    const message = readMessage(reader, kind, skipped);
    if (message !== null) messages.push(message as RelayableMessage);
  }
  return { ...head, messages };
}
