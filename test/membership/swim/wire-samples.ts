import { NodeId, type Random } from "#kernel";
import type { Aead } from "#ports";
import { nodeAead } from "../../../src/host/aead.ts";
import type { SealingSetup } from "../../../src/membership/core/swim/envelope.ts";
import { Keyring } from "../../../src/membership/core/swim/keyring.ts";
import { type Message, type Packet, ProbeNumber } from "../../../src/membership/core/swim/message.ts";
import { swimProfiles } from "../../../src/membership/core/swim/profiles.ts";
import { Address, Digest, type MemberRecord, ProfileHash } from "../../../src/membership/core/swim/types.ts";

export const options = swimProfiles.mesh;

/** The real cipher with unique bytes that a test knows: the n-th draw of boot b is b, b+n, b, b+n, … */
export function knownAead(boot: number): Aead {
  let draws = 0;
  return {
    importKey: (secret) => nodeAead.importKey(secret),
    uniqueBytes(length) {
      draws++;
      return Uint8Array.from({ length }, (_, index) => (index % 2 === 0 ? boot : boot + draws));
    },
  };
}

export function secret(number: number): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, index) => number * 7 + index);
}

export function keyring(...numbers: readonly number[]): Keyring {
  const made = Keyring.of(nodeAead, numbers.map(secret));
  if (!made.ok) throw new Error(made.refusal.message);
  return made.value;
}

export function setup(boot: number, { label = "hex", keys = keyring(1) } = {}): SealingSetup {
  return { label, keyring: keys, aead: knownAead(boot) };
}

export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text));
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export function randomBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(random() * 256));
}

export const record: MemberRecord = {
  id: NodeId("lambda-gh200-1"),
  incarnation: { epoch: 3, counter: 300 },
  state: "suspect",
  addresses: [Address("100.64.0.7:8771"), Address("[2001:db8::7]:8771")],
  reach: "relay",
  relays: [NodeId("hetzner-cpu1")],
  metadata: {
    role: "worker",
    provider: "lambda",
    capabilities: ["gpu", "gh200"],
    version: "0.1.0",
    degraded: true,
    keys: [],
    voters: null,
  },
  accuser: NodeId("vast-2"),
};

/** One of every kind. */
export const messages = {
  ping: { kind: "ping", probe: ProbeNumber(7), target: NodeId("vast-2") },
  ack: { kind: "ack", probe: ProbeNumber(0xffff_ffff), observed: Address("198.51.100.4:40001") },
  "ping-request": {
    kind: "ping-request",
    probe: ProbeNumber(1_000),
    target: NodeId("vast-2"),
    addresses: [Address("192.0.2.1:8771")],
    timeoutMs: 350,
  },
  "indirect-ack": { kind: "indirect-ack", probe: ProbeNumber(1_000), target: NodeId("vast-2") },
  nack: { kind: "nack", probe: ProbeNumber(1_000), target: NodeId("vast-2") },
  member: { kind: "member", record },
  "push-pull": {
    kind: "push-pull",
    reply: true,
    joining: false,
    more: true,
    records: [record, { ...record, state: "left", accuser: record.id, addresses: [], relays: [], reach: "direct" }],
  },
  "relay-request": { kind: "relay-request" },
  "relay-answer": { kind: "relay-answer", granted: true },
  relayed: {
    kind: "relayed",
    origin: NodeId("vast-2"),
    target: NodeId("runpod-1"),
    packet: {
      incarnation: { epoch: 1, counter: 0 },
      digest: Digest(5),
      profile: ProfileHash(6),
      messages: [
        { kind: "ping", probe: ProbeNumber(9), target: NodeId("runpod-1") },
        { kind: "member", record },
      ],
    },
  },
} as const satisfies { readonly [Kind in Message["kind"]]: Extract<Message, { readonly kind: Kind }> };

export const datagramMessages: readonly Message[] = Object.values(messages).filter(
  ({ kind }) => kind !== "push-pull" && kind !== "relay-request" && kind !== "relay-answer",
);

export function packet(contents: readonly Message[]): Packet {
  return {
    sender: NodeId("hetzner-cpu1"),
    incarnation: { epoch: 2, counter: 0 },
    digest: Digest(0xdeadbeef),
    profile: ProfileHash(0x01020304),
    messages: contents,
  };
}
