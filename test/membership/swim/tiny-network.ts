import assert from "node:assert/strict";
import { MonotonicMs, NodeId, type Outcome, type Random, seededRandom } from "#kernel";
import {
  Address,
  createSwim,
  type MemberState,
  type MembershipView,
  type Seed,
  StreamId,
  type SwimCommand,
  type SwimCore,
  type SwimEvent,
  type SwimOptions,
  swimProfiles,
  type Transmission,
  votersHashOf,
} from "#membership/core";
// The cipher of production: what is tested includes the bytes. A room's door leads to more than a test of the core needs.
import { nodeAead } from "../../../src/host/aead.ts";

export const KEY = Uint8Array.from({ length: 32 }, (_, index) => index);

/** Whether a packet of this kind gets from one address to another. */
export type Passes = (kind: "datagram" | "stream", from: Address, to: Address) => boolean;

export interface TinyMember {
  readonly id: NodeId;
  readonly address: Address;
  readonly core: SwimCore;
  readonly events: { readonly at: number; readonly event: SwimEvent }[];
  running: boolean;
  paused: boolean;
  datagramsSent: number;
  wokenAt: number | null;
}

interface End {
  readonly member: TinyMember;
  readonly stream: StreamId;
  other: End | null;
}

/** A handful of cores on a network in memory with a clock of its own: enough for one protocol story in one test. */
export class TinyNetwork {
  now = 0;
  readonly defaults: SwimOptions = swimProfiles.mesh;
  passes: Passes = () => true;
  /** Whether what is written to an open stream arrives. A stream that carries nothing any more looks open to both ends. */
  carries: (from: Address, to: Address) => boolean = () => true;
  delayMs: () => number;
  readonly members = new Map<NodeId, TinyMember>();
  readonly #random: Random;
  /** Addresses behind a NAT that maps each destination to a port of its own, and lets only that destination answer. */
  readonly hidden = new Set<Address>();
  /** Addresses whose datagrams leave by another one, as through a gateway; what is sent to them arrives. */
  readonly otherWayOut = new Set<Address>();
  readonly #mappings = new Map<Address, { readonly inside: Address; readonly to: Address; until: number }>();
  readonly #ends = new Map<string, End>();
  #queue: { readonly at: number; readonly order: number; readonly run: () => void }[] = [];
  #order = 0;
  #inboundStream = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.delayMs = () => 10 + 30 * this.#random();
  }

  get time(): MonotonicMs {
    return MonotonicMs(this.now);
  }

  start(
    name: string,
    more: {
      readonly address?: string;
      readonly addresses?: readonly string[];
      readonly seeds?: readonly Seed[];
      readonly options?: SwimOptions;
      readonly epoch?: number;
      readonly role?: string;
      readonly keys?: readonly Uint8Array[];
      readonly label?: string;
      readonly voters?: readonly string[];
    } = {},
  ): TinyMember {
    const address = Address(more.address ?? addressOf(name));
    const made = createSwim(MonotonicMs(this.now), {
      id: NodeId(name),
      label: more.label ?? "test",
      epoch: more.epoch ?? 1,
      addresses: (more.addresses ?? [address]).map(Address),
      metadata: {
        role: more.role ?? "worker",
        provider: "test",
        capabilities: [],
        version: "1",
        degraded: false,
        keys: [],
        voters: more.voters === undefined ? null : votersHashOf(more.voters.map(NodeId)),
      },
      options: more.options ?? this.defaults,
      seeds: more.seeds ?? [seedOf("n0")],
      keys: more.keys ?? [KEY],
      aead: nodeAead,
      random: seededRandom(Math.floor(this.#random() * 2 ** 32)),
      allow: { ids: [], networks: [] },
    });
    assert.ok(made.ok);
    const member: TinyMember = {
      id: NodeId(name),
      address,
      core: made.value,
      events: [],
      running: true,
      paused: false,
      datagramsSent: 0,
      wokenAt: null,
    };
    this.members.set(NodeId(name), member);
    this.settle(member);
    return member;
  }

  /** `count` members n0, n1, …, all with n0 for a seed. */
  startMany(count: number, options?: SwimOptions): void {
    for (let index = 0; index < count; index++) this.start(`n${index}`, options === undefined ? {} : { options });
  }

  get(name: string): TinyMember {
    return this.members.get(NodeId(name))!;
  }

  view(name: string): MembershipView {
    return this.get(name).core.view(MonotonicMs(this.now));
  }

  stateAt(observer: string, name: string): MemberState | null {
    return this.view(observer).members.find(({ record }) => record.id === name)?.record.state ?? null;
  }

  /** Without a word, and with it every stream it had. */
  kill(name: string): void {
    const member = this.get(name);
    member.running = false;
    for (const [key, end] of this.#ends) if (end.member === member) this.#breakStream(key, end);
  }

  command(name: string, command: SwimCommand): Outcome<void> {
    const member = this.get(name);
    const outcome = member.core.command(this.time, command);
    this.settle(member);
    return outcome;
  }

  /** Events of one kind, seen by those that run. */
  events<K extends SwimEvent["kind"]>(
    kind: K,
  ): { readonly by: NodeId; readonly at: number; readonly event: Extract<SwimEvent, { kind: K }> }[] {
    const found = [];
    for (const member of this.members.values()) {
      for (const { at, event } of member.events) {
        if (event.kind === kind) found.push({ by: member.id, at, event: event as Extract<SwimEvent, { kind: K }> });
      }
    }
    return found;
  }

  run(ms: number): void {
    const end = this.now + ms;
    for (let next = this.#queue[0]; next !== undefined && next.at <= end; next = this.#queue[0]) {
      this.#queue.shift();
      this.now = next.at;
      next.run();
    }
    this.now = end;
  }

  /** Takes what the core has to say and sets its alarm; to be called after every input. */
  settle(member: TinyMember): void {
    for (const event of member.core.takeEvents()) member.events.push({ at: this.now, event });
    for (const transmission of member.core.takeTransmissions()) this.#transmit(member, transmission);
    const deadline = member.core.nextDeadline;
    if (deadline === null || (member.wokenAt !== null && member.wokenAt <= deadline)) return;
    const at = Math.max(deadline, this.now);
    member.wokenAt = at;
    this.#at(at, () => {
      if (member.wokenAt !== at) return;
      member.wokenAt = null;
      this.#input(member, () => {
        member.core.handleTimeout(MonotonicMs(this.now));
      });
    });
  }

  #input(member: TinyMember, act: () => void): void {
    if (!member.running) return;
    if (member.paused)
      return this.#at(this.now + 50, () => {
        this.#input(member, act);
      });
    act();
    this.settle(member);
  }

  #transmit(member: TinyMember, transmission: Transmission): void {
    switch (transmission.kind) {
      case "datagram":
        return this.#datagram(member, transmission.to, transmission.bytes);
      case "open-stream":
        return this.#open(member, transmission.stream, transmission.to);
      case "stream-bytes": {
        const end = this.#ends.get(keyOf(member, transmission.stream));
        if (end !== undefined)
          this.#at(this.now + 40, () => {
            this.#deliver(end, transmission.bytes);
          });
        return;
      }
      case "close-stream": {
        const key = keyOf(member, transmission.stream);
        const end = this.#ends.get(key);
        // After what was written: streams keep their order.
        if (end !== undefined)
          this.#at(this.now + 40, () => {
            this.#breakStream(key, end);
          });
        return;
      }
    }
  }

  #datagram(member: TinyMember, to: Address, bytes: Uint8Array): void {
    member.datagramsSent += 1;
    if (!this.passes("datagram", member.address, to)) return;
    const isSeenElsewhere = this.hidden.has(member.address) || this.otherWayOut.has(member.address);
    const from = isSeenElsewhere ? this.#mapped(member.address, to) : member.address;
    this.#at(this.now + this.delayMs(), () => {
      const receiver = this.#standingAt(this.#inside(from, to));
      if (receiver === null) return;
      this.#input(receiver, () => {
        receiver.core.handleDatagram(MonotonicMs(this.now), from, bytes);
      });
    });
  }

  #open(member: TinyMember, stream: StreamId, to: Address): void {
    this.#at(this.now + 40, () => {
      const receiver = this.#standingAt(to);
      if (receiver === null || !this.passes("stream", member.address, to) || this.hidden.has(to)) {
        this.#input(member, () => {
          member.core.handleStreamClosed(MonotonicMs(this.now), stream, true);
        });
        return;
      }
      const far: End = { member: receiver, stream: StreamId((this.#inboundStream += 2)), other: null };
      const near: End = { member, stream, other: far };
      far.other = near;
      this.#ends.set(keyOf(member, stream), near);
      this.#ends.set(keyOf(receiver, far.stream), far);
      this.#input(receiver, () => {
        receiver.core.handleStreamOpened(MonotonicMs(this.now), far.stream, member.address);
      });
      this.#input(member, () => {
        member.core.handleStreamOpened(MonotonicMs(this.now), stream, to);
      });
    });
  }

  #deliver(end: End, bytes: Uint8Array): void {
    const { other } = end;
    if (other === null || !this.#ends.has(keyOf(other.member, other.stream))) return;
    if (!this.carries(end.member.address, other.member.address)) return;
    this.#input(other.member, () => {
      other.member.core.handleStreamBytes(MonotonicMs(this.now), other.stream, bytes);
    });
  }

  #breakStream(key: string, end: End): void {
    this.#ends.delete(key);
    const { other } = end;
    if (other === null || !this.#ends.delete(keyOf(other.member, other.stream))) return;
    this.#input(other.member, () => {
      other.member.core.handleStreamClosed(MonotonicMs(this.now), other.stream, false);
    });
  }

  /** Mappings are forgotten after 30 s without a packet from inside. */
  #mapped(inside: Address, to: Address): Address {
    for (const [outside, mapping] of this.#mappings) {
      if (mapping.inside !== inside || mapping.to !== to || mapping.until < this.now) continue;
      mapping.until = this.now + 30_000;
      return outside;
    }
    const outside = Address(`203.0.113.1:${10_000 + this.#mappings.size}`);
    this.#mappings.set(outside, { inside, to, until: this.now + 30_000 });
    return outside;
  }

  #inside(from: Address, to: Address): Address | null {
    const mapping = this.#mappings.get(to);
    if (mapping === undefined) return this.hidden.has(to) ? null : to;
    return mapping.to === from && mapping.until >= this.now ? mapping.inside : null;
  }

  #standingAt(address: Address | null): TinyMember | null {
    for (const member of this.members.values()) if (member.running && member.address === address) return member;
    return null;
  }

  #at(at: number, run: () => void): void {
    const entry = { at, order: this.#order++, run };
    let low = 0;
    let high = this.#queue.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#queue[middle]!;
      if (other.at < at || (other.at === at && other.order < entry.order)) low = middle + 1;
      else high = middle;
    }
    this.#queue.splice(low, 0, entry);
  }
}

/** n7 stands at 10.0.0.7. */
export function addressOf(name: string): Address {
  return Address(`10.0.0.${Number(name.slice(1)) + 1}:8771`);
}

export function seedOf(name: string): Seed {
  return { id: NodeId(name), addresses: [addressOf(name)] };
}

function keyOf(member: TinyMember, stream: StreamId): string {
  return `${member.address} ${stream}`;
}
