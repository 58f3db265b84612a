import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs, NodeId, type Outcome, type Random, seededRandom } from "#kernel";
import { createSwim, type SwimCore } from "#membership/core";
import { Address } from "../../../src/membership/core/swim/types.ts";
import { Wire } from "../../../src/membership/core/swim/wire.ts";
import { keyring, knownAead, messages, options, packet, randomBytes, record, secret, setup } from "./wire-samples.ts";

const PEER = Address("192.0.2.2:8771");
const START = MonotonicMs(1_000);
/** `HOSTILE_DATAGRAMS=1000000` for the long form. */
const COUNT = Number(process.env["HOSTILE_DATAGRAMS"] ?? 100_000);
const END = MonotonicMs(START + COUNT);

test(`${COUNT} hostile datagrams: no exception, no state change, no reply, every one counted`, () => {
  const core = node();
  const peer = new Wire(setup(0xb0), options);
  const heard = [messages.ping, { ...messages.ping, target: NodeId("n1") }].map((ping) =>
    peer.datagram(
      packet([ping, { kind: "member", record: { ...record, id: NodeId("hetzner-cpu1"), state: "alive", accuser: null } }]),
    ),
  );
  for (const datagram of heard) core.handleDatagram(START, PEER, datagram);
  assert.ok(
    core.view(START).members.some((member) => member.record.id === "hetzner-cpu1"),
    "a genuine datagram is believed",
  );
  assert.ok(
    core.takeTransmissions().some((sent) => sent.kind === "datagram" && sent.to === PEER),
    "and answered",
  );
  core.takeEvents();

  const unheard = peer.datagram(packet([messages.ping]));
  const foreign = [new Wire(setup(0xc0, { label: "go" }), options), new Wire(setup(0xd0, { keys: keyring(2) }), options)];
  const hostile = [...heard, ...foreign.map((wire) => wire.datagram(packet([messages.ping])))];
  const random = seededRandom(55);
  const before = believed(core);
  const rejectedBefore = rejections(core);
  for (let round = 0; round < COUNT; round++) {
    const from = round % 3 === 0 ? PEER : Address(`10.0.${round % 256}.${1 + (round % 99)}:${1 + (round % 60_000)}`);
    core.handleDatagram(MonotonicMs(START + round), from, attack(random, round, hostile, unheard));
  }
  assert.deepEqual(core.takeTransmissions(), []);
  assert.deepEqual(
    core.takeEvents().filter((event) => event.kind !== "rejected"),
    [],
  );
  assert.equal(believed(core), before);
  assert.equal(rejections(core) - rejectedBefore, COUNT);
});

test("a label that cannot be used is refused before anything starts", () => {
  for (const label of ["", "two words", "x".repeat(65)]) {
    const made = create(label);
    assert.ok(!made.ok && made.refusal.message.includes(JSON.stringify(label)));
  }
});

function node(): SwimCore {
  const made = create("hex");
  if (!made.ok) throw new Error(made.refusal.message);
  return made.value;
}

function create(label: string): Outcome<SwimCore> {
  return createSwim(START, {
    id: NodeId("n1"),
    label,
    epoch: 1,
    addresses: [Address("192.0.2.1:8771")],
    metadata: record.metadata,
    options,
    seeds: [],
    keys: [secret(1)],
    aead: knownAead(0xa0),
    random: seededRandom(1),
    allow: { ids: [], networks: [] },
  });
}

function attack(random: Random, round: number, hostile: readonly Uint8Array[], unheard: Uint8Array): Uint8Array {
  if (round % 4 === 0) return randomBytes(random, Math.floor(random() * 1_500));
  if (round % 4 === 1) return hostile[Math.floor(random() * hostile.length)]!;
  const bytes = unheard.slice();
  bytes[Math.floor(random() * bytes.length)]! ^= 1 << Math.floor(random() * 8);
  return bytes;
}

/** Everything but the counters. */
function believed(core: SwimCore): string {
  return JSON.stringify({ ...core.view(END), counters: null });
}

function rejections(core: SwimCore): number {
  return Object.values(core.view(END).counters.rejected).reduce((sum, count) => sum + count, 0);
}
