import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeId, seededRandom } from "#kernel";
import { ByteReader } from "../../../src/membership/core/swim/byte-reader.ts";
import { decodePacket, encodePacket, gossipBytes, packetBytes } from "../../../src/membership/core/swim/codec.ts";
import type { Message } from "../../../src/membership/core/swim/message.ts";
import { readRecord, recordBytes, whyNotRecord } from "../../../src/membership/core/swim/record-codec.ts";
import { Address, type MemberRecord, type MemberState, VotersHash } from "../../../src/membership/core/swim/types.ts";
import { Wire } from "../../../src/membership/core/swim/wire.ts";
import { datagramMessages, hex, messages, options, packet, randomBytes, record, setup } from "./wire-samples.ts";

const HEAD = "0c6865747a6e65722d637075310200deadbeef01020304";

function encoded(...contents: readonly Message[]): Uint8Array {
  return encodePacket(packet(contents)).slice();
}

/** The bytes of one message after the packet's head. */
function golden(message: Message): string {
  const bytes = hex(encoded(message));
  assert.ok(bytes.startsWith(HEAD));
  return bytes.slice(HEAD.length);
}

test("golden bytes of every kind: kind, length, payload", () => {
  const worker = "0106776f726b6572066c616d62646105302e312e300203677075056768323030"; // degraded, worker, lambda, 0.1.0, gpu, gh200
  const suspect = bytes(
    "0e6c616d6264612d67683230302d31", // lambda-gh200-1
    "03ac02", // epoch 3, counter 300
    "11", // suspect, by relay
    "02046440000722431020010db80000000000000000000000072243", // two addresses
    "010c6865747a6e65722d63707531", // relay hetzner-cpu1
    worker,
    "06766173742d32", // accused by vast-2
  );
  const left = bytes("0e6c616d6264612d67683230302d31", "03ac02", "03", "00", "00", worker);
  const toVast = "06766173742d32";
  const toRunpod = "0872756e706f642d31";
  const relayedPing = bytes("01", sized("09", toRunpod));
  assert.deepEqual(Object.fromEntries(Object.entries(messages).map(([kind, message]) => [kind, golden(message)])), {
    ping: bytes("01", sized("07", toVast)),
    ack: bytes("02", sized("ffffffff0f", "04c63364049c41")),
    "ping-request": bytes("03", sized("e807", toVast, "de02", "0104c00002012243")),
    "indirect-ack": bytes("04", sized("e807", toVast)),
    nack: bytes("05", sized("e807", toVast)),
    member: bytes("06", sized(suspect)),
    "push-pull": bytes("07", sized("05", "02", sized(suspect), sized(left))),
    "relay-request": "0800",
    "relay-answer": "090101",
    relayed: bytes("0a", sized(toVast, toRunpod, "0100", "00000005", "00000006", relayedPing, "06", sized(suspect))),
  });
});

test("every kind comes back as it was", () => {
  for (const message of Object.values(messages)) {
    assert.deepEqual(decodePacket(encoded(message), "stream"), packet([message]));
  }
  assert.deepEqual(decodePacket(encoded(...Object.values(messages)), "stream"), packet(Object.values(messages)));
  assert.deepEqual(decodePacket(encoded(), "datagram"), packet([]));
});

test("records of every state and reach come back; nobody accuses the living, who left said so itself", () => {
  const accusers: Record<MemberState, NodeId | null> = {
    alive: null,
    suspect: NodeId("a"),
    dead: NodeId("b"),
    left: record.id,
    removed: null,
  };
  for (const state of ["alive", "suspect", "dead", "left", "removed"] as const) {
    for (const reach of ["direct", "stream", "relay"] as const) {
      const contents = [{ kind: "member", record: { ...record, state, reach, accuser: accusers[state] } } as const];
      assert.deepEqual(decodePacket(encoded(...contents), "datagram"), packet(contents));
    }
  }
});

test("what belongs on a stream is refused in a datagram", () => {
  for (const kind of ["push-pull", "relay-request", "relay-answer"] as const) {
    assert.equal(decodePacket(encoded(messages[kind]), "datagram"), null, kind);
  }
  assert.deepEqual(decodePacket(encoded(...datagramMessages), "datagram"), packet(datagramMessages));
});

test("a relayed packet holds no relayed packet and nothing that belongs on a stream", () => {
  for (const inner of [messages.relayed, messages["push-pull"], messages["relay-request"]]) {
    const nested = { ...messages.relayed, packet: { ...messages.relayed.packet, messages: [inner] } } as unknown as Message;
    assert.equal(decodePacket(encoded(nested), "stream"), null, inner.kind);
  }
});

test("a kind of a newer version is passed over, at the top and in a relayed packet", () => {
  const unknown = Uint8Array.of(200, 3, 1, 2, 3);
  const bytes = Buffer.concat([encoded(messages.ping), unknown, encoded(messages.ack).subarray(HEAD.length / 2)]);
  assert.deepEqual(decodePacket(bytes, "datagram"), packet([messages.ping, messages.ack]));
});

test("unknown kinds are counted, those in a relayed packet too", () => {
  const unknown = Uint8Array.of(200, 3, 1, 2, 3);
  const relayed = Buffer.from(encoded({ ...messages.relayed, packet: { ...messages.relayed.packet, messages: [] } }));
  const inside = relayed.subarray(HEAD.length / 2);
  const grown = Buffer.concat([Uint8Array.of(inside[0]!, inside[1]! + unknown.length), inside.subarray(2), unknown]);
  const skipped = { unknownMessages: 0 };
  const body = Buffer.concat([Buffer.from(HEAD, "hex"), unknown, grown, unknown]);
  assert.deepEqual(decodePacket(body, "datagram", skipped)?.messages.length, 1);
  assert.equal(skipped.unknownMessages, 3);
});

test("what a newer version writes behind the known fields of a message is passed over, whatever the kind", () => {
  for (const message of Object.values(messages)) {
    // Behind a relayed packet stand further messages: an unknown one is what a newer version would add there.
    const tail = message.kind === "relayed" ? "c80101" : "c8c8c8";
    assert.deepEqual(decodePacket(withTail(message, tail), "stream"), packet([message]), message.kind);
  }
});

test("flags of a newer version are passed over", () => {
  const flags = (message: Message, from: string, to: string): Uint8Array => {
    const text = golden(message);
    assert.ok(text.includes(from));
    return Buffer.from(HEAD + text.replace(from, to), "hex");
  };
  const newer = [
    [messages.member, "03ac0211", "03ac02d1"], // state and reach
    [messages.member, "0106776f", "fd06776f"], // metadata: degraded, no keys
    [messages["relay-answer"], "090101", "0901ff"],
  ] as const;
  for (const [message, from, to] of newer) assert.deepEqual(decodePacket(flags(message, from, to), "stream"), packet([message]));
});

test("the voters stand behind all that older nodes know: they read the rest, and pass it on", () => {
  const telling: MemberRecord = { ...record, metadata: { ...record.metadata, voters: VotersHash(0x5f3a00c1) } };
  const [without, withVoters] = [hex(recordBytes(record)), hex(recordBytes(telling))];
  assert.equal(withVoters, `${without.replace("03ac0211", "03ac0231")}5f3a00c1`);
  const read = (text: string): MemberRecord => readRecord(new ByteReader(Buffer.from(sized(text), "hex")));
  assert.deepEqual(read(withVoters), telling);
  // To an older node the flag means nothing.
  const older = read(withVoters.replace("03ac0231", "03ac0211"));
  assert.deepEqual(older, record);
  assert.ok(hex(recordBytes(older)).endsWith("5f3a00c1"));
  assert.equal(decodePacket(Buffer.from(`${HEAD}06${sized(`${withVoters.slice(0, -8)}00000000`)}`, "hex"), "stream"), null);
});

test("a record is sent on with what this version does not know of it; one that no datagram could carry is none", () => {
  const grown = withTail(messages.member, "0102030405");
  const read = decodePacket(grown, "datagram");
  assert.ok(read !== null);
  assert.deepEqual(encodePacket(read), Uint8Array.from(grown));
  assert.equal(decodePacket(withTail(messages.member, "00".repeat(1_400)), "stream"), null);
});

test("cut off anywhere, a packet is refused or ends between two messages; with a byte too many it is refused", () => {
  const whole = encoded(...Object.values(messages));
  let readable = 0;
  for (let length = 0; length < whole.length; length++) {
    const decoded = decodePacket(whole.subarray(0, length), "stream");
    if (decoded === null) continue;
    assert.deepEqual(decoded.messages, Object.values(messages).slice(0, readable));
    readable++;
  }
  assert.equal(readable, Object.values(messages).length);
  assert.equal(decodePacket(Buffer.concat([whole, Uint8Array.of(0)]), "stream"), null);
});

test("a claimed count or length costs nothing", () => {
  const head = Buffer.from(HEAD, "hex");
  const claims = [
    Uint8Array.of(7, 6, 0, 0xff, 0xff, 0xff, 0xff, 0x0f), // 2^32 − 1 records
    Uint8Array.of(7, 4, 0, 0xa0, 0x8d, 0x06), // 100,000 records
    Uint8Array.of(1, 0xff, 0xff, 0xff, 0xff, 0x0f), // a ping of 4 GiB
    Uint8Array.of(1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01), // a varint of six bytes
    Uint8Array.of(1, 0x8b, 0x00, 1, 9), // a length spelt longer than needed
  ];
  for (const claim of claims) assert.equal(decodePacket(Buffer.concat([head, claim]), "stream"), null, hex(claim));
});

test("texts that could harm a terminal or stand for a path are refused", () => {
  const wrong: readonly Partial<MemberRecord>[] = [
    { id: NodeId("a b") },
    { id: NodeId("../x") },
    { id: NodeId("") },
    { id: NodeId("-x") },
    { id: NodeId("_x") },
    { id: NodeId(".x") },
    { relays: [NodeId("-x")] },
    { relays: [NodeId("a\u001b[2J")] },
    { metadata: { ...record.metadata, role: "a\nb" } },
    { metadata: { ...record.metadata, capabilities: ["\u007f"] } },
    { metadata: { ...record.metadata, capabilities: Array.from({ length: 33 }, () => "x") } },
    { metadata: { ...record.metadata, capabilities: Array.from({ length: 9 }, () => "x".repeat(64)) } },
    { metadata: { ...record.metadata, keys: Array.from({ length: 9 }, () => 1) } },
    { addresses: Array.from({ length: 9 }, () => record.addresses[0]!) },
  ];
  for (const part of wrong) {
    const contents = { kind: "member", record: { ...record, ...part } } as const;
    assert.equal(decodePacket(encoded(contents), "datagram"), null, JSON.stringify(part));
  }
});

test("a member's record names its gossip keys, and takes no more room than before where it names none", () => {
  const lengthWith = (keys: readonly number[]): number => {
    const contents = { kind: "member", record: { ...record, metadata: { ...record.metadata, keys } } } as const;
    const bytes = encoded(contents);
    assert.deepEqual(decodePacket(bytes, "datagram")?.messages, [contents]);
    return bytes.length;
  };
  const without = lengthWith([]);
  assert.equal(lengthWith([0xffff_ffff, 1]), without + 1 + 2 * 4);
});

test("a record that cannot be sent is named before anyone tries", () => {
  const why = (part: Partial<MemberRecord>, room = 790): string => whyNotRecord({ ...record, ...part }, room) ?? "";
  assert.equal(why({}), "");
  assert.match(why({ id: NodeId("a b") }), /^the id "a b"/);
  assert.match(why({ id: NodeId("-x") }), /a letter or digit first/);
  assert.match(why({ addresses: [Address("example.org:1")] }), /"example.org:1" is not an IP address with a port/);
  assert.match(why({ addresses: Array.from({ length: 9 }, () => record.addresses[0]!) }), /9 addresses are over the limit of 8/);
  assert.match(why({ metadata: { ...record.metadata, role: "ä" } }), /^metadata.role: "ä"/);
  assert.match(why({ metadata: { ...record.metadata, version: "x".repeat(65) } }), /^metadata.version/);
  assert.match(why({ metadata: { ...record.metadata, capabilities: ["\n"] } }), /^metadata.capabilities/);
  const long = Array.from({ length: 9 }, () => "x".repeat(64));
  assert.match(why({ metadata: { ...record.metadata, capabilities: long } }), /^metadata: 607 bytes are over the limit of 512/);
  assert.match(why({ metadata: { ...record.metadata, keys: Array.from({ length: 9 }, () => 1) } }), /^metadata.keys: 9 are over/);
  assert.match(why({}, 80), /takes \d+ bytes, over the 80/);
});

test("sizes are told before sending: a packet's, and what gossip adds to it", () => {
  const bare = packetBytes(packet([messages.ping]));
  assert.equal(bare, encoded(messages.ping).length);
  assert.equal(encoded(messages.ping, messages.member).length, bare + gossipBytes(record));
});

test("the longest allowed member fits beside a ping, through a relay too, at the smallest datagram as at the usual one", () => {
  for (const datagramBytes of [576, 1_200, 1_400]) {
    const wire = new Wire(setup(1), { ...options, datagramBytes });
    const id = NodeId("x".repeat(64));
    const incarnation = { epoch: 0xffff_ffff, counter: 0xffff_ffff };
    const filled = (length: number): MemberRecord => ({
      ...record,
      id,
      incarnation,
      relays: [],
      addresses: [],
      metadata: { ...record.metadata, capabilities: [] },
      accuser: NodeId("y".repeat(length)),
    });
    const room = (record: MemberRecord): boolean => whyNotRecord(record, wire.recordRoom) === null;
    const ping = { ...messages.ping, probe: messages.ack.probe, target: id };
    let contents = filled(64);
    // Grown, capability by capability, as far as it is allowed.
    for (const capability of Array.from({ length: 30 }, (_, index) => "c".repeat(index + 1))) {
      const { metadata } = contents;
      const larger = { ...contents, metadata: { ...metadata, capabilities: [...metadata.capabilities, capability] } };
      if (room(larger)) contents = larger;
    }
    for (const address of Array.from({ length: 8 }, (_, index) => Address(`[2001:db8::${index + 1}]:8771`))) {
      const larger = { ...contents, addresses: [...contents.addresses, address] };
      if (room(larger)) contents = larger;
    }
    const inner = { ...packet([]), sender: id, incarnation, messages: [ping, { kind: "member", record: contents } as const] };
    assert.ok(packetBytes(inner) <= wire.relayedRoom, `${datagramBytes}`);
    const relayed = { kind: "relayed", origin: id, target: id, packet: inner } as const;
    const datagram = wire.datagram({ ...inner, messages: [relayed] });
    assert.ok(datagram.length <= datagramBytes, `${datagram.length} of ${datagramBytes}`);
  }
});

test("100,000 random and mutated bodies: never an exception, and what is accepted is encoded to the same packet again", () => {
  const random = seededRandom(8_771);
  const samples = [
    encoded(...Object.values(messages)),
    encoded(...datagramMessages),
    ...Object.values(messages).map((one) => encoded(one)),
  ];
  let accepted = 0;
  for (let round = 0; round < 100_000; round++) {
    const body =
      round % 4 === 0 ? randomBytes(random, Math.floor(random() * 200)) : mutated(samples[round % samples.length]!, random);
    const decoded = decodePacket(body, round % 2 === 0 ? "datagram" : "stream");
    if (decoded === null) continue;
    accepted++;
    assert.deepEqual(decodePacket(encodePacket(decoded).slice(), "stream"), decoded, `round ${round}: ${hex(body)}`);
  }
  assert.ok(accepted > 1_000, `${accepted} accepted: mutations reach the inside`);
});

/** The packet with nothing but `message`, whose payload ends in bytes that only a newer version knows. */
function withTail(message: Message, tail: string): Buffer {
  const bytes = golden(message);
  // Kind, then the length in one byte or in two.
  const payload = bytes.slice(bytes.length > 2 * (2 + 127) ? 6 : 4);
  return Buffer.from(HEAD + bytes.slice(0, 2) + sized(payload, tail), "hex");
}

function mutated(sample: Uint8Array, random: () => number): Uint8Array {
  const body = sample.slice(0, random() < 0.2 ? Math.floor(random() * sample.length) : sample.length);
  for (let changes = Math.floor(random() * 3); changes >= 0 && body.length > 0; changes--) {
    const at = Math.floor(random() * body.length);
    body[at] = random() < 0.5 ? body[at]! ^ (1 << Math.floor(random() * 8)) : Math.floor(random() * 256);
  }
  return body;
}

function bytes(...parts: readonly string[]): string {
  return parts.join("");
}

/** With the length in front, as a varint. */
function sized(...parts: readonly string[]): string {
  const length = bytes(...parts).length / 2;
  return hex(length < 128 ? Uint8Array.of(length) : Uint8Array.of((length & 127) | 128, length >> 7)) + bytes(...parts);
}
