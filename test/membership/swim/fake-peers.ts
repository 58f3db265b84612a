import assert from "node:assert/strict";
import { MonotonicMs, NodeId, seededRandom, type Incarnation } from "#kernel";
import {
  Address,
  type AllowListOptions,
  createSwim,
  Digest,
  type MemberRecord,
  type MemberState,
  profileHashOf,
  type SwimCore,
  type SwimEvent,
  type SwimOptions,
  swimProfiles,
} from "#membership/core";
import { nodeAead } from "../../../src/host/aead.ts";
// What peers say is made by hand here, so the inside of the room is needed.
import { Keyring } from "../../../src/membership/core/swim/keyring.ts";
import type { Message } from "../../../src/membership/core/swim/message.ts";
import { Wire } from "../../../src/membership/core/swim/wire.ts";

export const KEY = new Uint8Array(32).fill(7);
export const LABEL = "fake";

/** One packet that the node under test sent. */
export interface Sent {
  readonly to: Address;
  readonly messages: readonly Message[];
}

/** One real core, whose peers are the test itself: it says by hand what they say, and reads all that the core answers. */
export class NodeUnderTest {
  readonly core: SwimCore;
  readonly options: SwimOptions;
  now = 0;
  /** Streams that it asked for. */
  readonly dialled: { readonly to: Address; readonly timeoutMs: number }[] = [];
  readonly #wires = new Map<string, Wire>();
  #datagrams: Sent[] = [];
  #events: SwimEvent[] = [];

  constructor(options: Partial<SwimOptions> = {}, epoch: number = 1, allow: AllowListOptions = { ids: [], networks: [] }) {
    this.options = { ...swimProfiles.mesh, ...options };
    const made = createSwim(MonotonicMs(0), {
      id: NodeId("own"),
      label: LABEL,
      epoch,
      addresses: [Address("10.0.0.1:8771")],
      metadata: METADATA,
      options: this.options,
      seeds: [],
      keys: [KEY],
      aead: nodeAead,
      random: seededRandom(1),
      allow,
    });
    assert.ok(made.ok);
    this.core = made.value;
    this.#gather();
  }

  /** The peer sends one datagram. */
  hear(
    peer: string,
    messages: readonly Message[],
    incarnation: Incarnation = { epoch: 1, counter: 0 },
    profile = profileHashOf(this.options),
  ): void {
    const packet = { sender: NodeId(peer), incarnation, digest: Digest(0), profile, messages };
    this.core.handleDatagram(MonotonicMs(this.now), peerAddress(peer), this.#wire(peer).datagram(packet));
    this.#gather();
  }

  /** A peer passes a word about a member on. */
  hearOf(peer: string, record: MemberRecord): void {
    this.hear(peer, [{ kind: "member", record }]);
  }

  /** Lets time pass, every timer punctually. */
  run(ms: number): void {
    const end = this.now + ms;
    for (let next = this.core.nextDeadline; next !== null && next <= end; next = this.core.nextDeadline) {
      this.now = Math.max(this.now, next);
      this.wake();
    }
    this.now = end;
  }

  /** Time passes, and nobody runs. */
  stall(ms: number): void {
    this.now += ms;
  }

  wake(): void {
    this.core.handleTimeout(MonotonicMs(this.now));
    this.#gather();
  }

  /** What was sent since the last call, streams aside. */
  sent(): readonly Sent[] {
    const sent = this.#datagrams;
    this.#datagrams = [];
    return sent;
  }

  events(): readonly SwimEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  held(id: string): MemberRecord | null {
    const members = this.core.view(MonotonicMs(this.now)).members;
    return members.find(({ record }) => record.id === id)?.record ?? null;
  }

  get self(): MemberRecord {
    return this.held("own")!;
  }

  #gather(): void {
    this.#events.push(...this.core.takeEvents());
    for (const transmission of this.core.takeTransmissions()) {
      if (transmission.kind === "open-stream") {
        assert.ok(transmission.timeoutMs > 0, `a stream in ${transmission.timeoutMs} ms`);
        this.dialled.push(transmission);
      }
      if (transmission.kind !== "datagram") continue;
      const read = this.#reader.openDatagram(MonotonicMs(this.now), Address("10.0.0.1:8771"), transmission.bytes);
      assert.ok(read.ok);
      this.#datagrams.push({ to: transmission.to, messages: read.packet.messages });
    }
  }

  readonly #reader = wire({ ...swimProfiles.mesh, sourcePacketsPerSecond: 100_000, sourceBurst: 100_000 });

  #wire(peer: string): Wire {
    const known = this.#wires.get(peer);
    if (known !== undefined) return known;
    const made = wire({ ...this.options, datagramBytes: 1_200 });
    this.#wires.set(peer, made);
    return made;
  }
}

/** `record("x", "suspect", 3)`: x is suspect at incarnation 1.3, says peer a. */
export function record(
  id: string,
  state: MemberState,
  counter: number,
  more: { readonly epoch?: number; readonly accuser?: string } = {},
): MemberRecord {
  const accuser = state === "alive" ? null : state === "left" ? id : (more.accuser ?? "a");
  return {
    id: NodeId(id),
    incarnation: { epoch: more.epoch ?? 1, counter },
    state,
    addresses: [id === "own" ? Address("10.0.0.1:8771") : peerAddress(id)],
    reach: "direct",
    relays: [],
    metadata: METADATA,
    accuser: accuser === null ? null : NodeId(accuser),
  };
}

/** Peer "a" stands at 10.0.1.97. */
export function peerAddress(peer: string): Address {
  return Address(`10.0.1.${peer.charCodeAt(0)}:8771`);
}

/** Every message of one kind, with where it went. */
export function messagesOf<K extends Message["kind"]>(
  sent: readonly Sent[],
  kind: K,
): { readonly to: Address; readonly message: Extract<Message, { readonly kind: K }> }[] {
  return sent.flatMap(({ to, messages }) =>
    messages.flatMap((message) =>
      message.kind === kind ? [{ to, message: message as Extract<Message, { readonly kind: K }> }] : [],
    ),
  );
}

const METADATA = { role: "worker", provider: "test", capabilities: [], version: "1", degraded: false, keys: [], voters: null };

function wire(options: SwimOptions): Wire {
  const keyring = Keyring.of(nodeAead, [KEY]);
  assert.ok(keyring.ok);
  return new Wire({ label: LABEL, keyring: keyring.value, aead: nodeAead }, options);
}
