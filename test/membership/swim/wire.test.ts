import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs, type Random, seededRandom } from "#kernel";
import { Address, type RejectReason, StreamId } from "../../../src/membership/core/swim/types.ts";
import { Wire } from "../../../src/membership/core/swim/wire.ts";
import { datagramMessages, hex, keyring, messages, options, packet, randomBytes, setup } from "./wire-samples.ts";

const FROM = Address("192.0.2.1:8771");
const STREAM = StreamId(1);

test("a packet travels in a datagram and on a stream", () => {
  const [from, to] = [new Wire(setup(0xa0), options), new Wire(setup(0xb0), options)];
  const sent = packet(datagramMessages);
  assert.deepEqual(to.openDatagram(MonotonicMs(0), FROM, from.datagram(sent)), { ok: true, packet: sent });
  const all = packet(Object.values(messages));
  const frames = Buffer.concat([from.frame(STREAM, all), from.frame(STREAM, sent)]);
  assert.deepEqual(to.openFrames(STREAM, frames.subarray(0, 100)), []);
  assert.deepEqual(to.openFrames(STREAM, frames.subarray(100)), [
    { ok: true, packet: all },
    { ok: true, packet: sent },
  ]);
});

test("a genuine datagram of a stream's kind is malformed", () => {
  const [from, to] = [new Wire(setup(0xa0), options), new Wire(setup(0xb0), options)];
  const received = to.openDatagram(MonotonicMs(0), FROM, from.datagram(packet([messages["relay-request"]])));
  assert.deepEqual(received, { ok: false, reason: "malformed" });
});

test("100,000 hostile datagrams: no exception, none accepted, and every genuine one is still taken once", () => {
  const random = seededRandom(1_400);
  const to = new Wire(setup(0xb0), options);
  const from = new Wire(setup(0xa0), options);
  const genuine = Array.from({ length: 50 }, () => from.datagram(packet(datagramMessages)));
  const foreign = [new Wire(setup(0xc0, { label: "go" }), options), new Wire(setup(0xd0, { keys: keyring(2) }), options), to].map(
    (wire) => wire.datagram(packet(datagramMessages)),
  );
  const kinds: readonly (() => Uint8Array)[] = [
    () => randomBytes(random, Math.floor(random() * 1_500)),
    () => pick(random, foreign),
    () => randomAfterHeader(random, pick(random, genuine)),
    () => mutated(random, pick(random, genuine)),
  ];
  const reasons = new Map<RejectReason, number>();
  for (let round = 0; round < 100_000; round++) {
    const bytes = kinds[round % kinds.length]!();
    const source = random() < 0.5 ? FROM : Address(`10.0.${Math.floor(random() * 256)}.1:${1 + (round % 60_000)}`);
    const received = to.openDatagram(MonotonicMs(round), source, bytes);
    assert.ok(!received.ok, `round ${round}: ${hex(bytes)}`);
    reasons.set(received.reason, (reasons.get(received.reason) ?? 0) + 1);
  }
  assert.deepEqual([...reasons.keys()].toSorted(), [
    "forged",
    "label",
    "malformed",
    "replayed",
    "source-budget",
    "too-long",
    "too-short",
    "unknown-key",
    "version",
  ]);
  const later = MonotonicMs(200_000);
  for (const datagram of genuine) assert.equal(to.openDatagram(later, FROM, datagram).ok, true);
  for (const datagram of genuine) {
    assert.deepEqual(to.openDatagram(later, FROM, datagram), { ok: false, reason: "replayed" });
  }
});

test("10,000 hostile streams: no exception, at most the untouched beginning is accepted, and the rejection stands last", () => {
  const random = seededRandom(1_401);
  const to = new Wire(setup(0xb0), options);
  for (let round = 0; round < 10_000; round++) {
    const from = new Wire(setup(0xa0 + (round % 16), { label: round % 7 === 0 ? "go" : "hex" }), options);
    const genuine = Buffer.concat([messages.ping, messages.ack, messages.nack].map((one) => from.frame(STREAM, packet([one]))));
    const bytes = round % 5 === 0 ? randomBytes(random, 300) : mutated(random, genuine);
    const stream = StreamId(round);
    const received = [];
    for (let at = 0; at < bytes.length; at += 50) received.push(...to.openFrames(stream, bytes.subarray(at, at + 50)));
    to.forgetStream(stream);
    assert.ok(received.filter((one) => one.ok).length < 3, `round ${round}: ${hex(bytes)}`);
    assert.ok(received.findIndex((one) => !one.ok) === -1 || !received.at(-1)!.ok);
  }
});

function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)]!;
}

function randomAfterHeader(random: Random, genuine: Uint8Array): Uint8Array {
  const bytes = randomBytes(random, 20 + Math.floor(random() * 300));
  bytes.set(genuine.subarray(0, 8));
  return bytes;
}

/** Changed in at least one bit, or cut short. */
function mutated(random: Random, genuine: Uint8Array): Uint8Array {
  const bytes = genuine.slice(0, random() < 0.2 ? Math.floor(random() * genuine.length) : genuine.length);
  if (bytes.length > 0) bytes[Math.floor(random() * bytes.length)]! ^= 1 << Math.floor(random() * 8);
  return bytes;
}
