import { Address, type StreamId } from "#membership/core";
import type { Dice } from "../time/random.ts";
import type { Scheduler } from "../time/scheduler.ts";
import { type Machine, addressesOf } from "./machine.ts";
import type { SimMember } from "./member.ts";
import type { NatMapping } from "./nat.ts";
import { NatBox } from "./nat.ts";
import type { NatScript, NetworkScript } from "./scenario/script.ts";
import { SimStream } from "./stream.ts";

export interface NetworkPorts {
  readonly scheduler: Scheduler;
  readonly dice: Dice;
  /** `to`: the machine that the address leads to, if to any. */
  readonly onDatagram: (from: Machine, address: Address, to: Machine | null, bytes: Uint8Array) => void;
  readonly onStreamOpened: (from: Machine) => void;
  /** A segment that asks for a stream: there may be several until it opens. */
  readonly onStreamAsked: (from: Machine, to: Machine | null) => void;
  readonly onStreamBytes: (from: Machine, bytes: Uint8Array) => void;
}

/** Where an address leads, seen by a sender: the machine, the plane, and the mapping through which it is reached. */
interface Route {
  readonly machine: Machine;
  readonly plane: number;
  readonly mapping: NatMapping | null;
}

/** When TCP tries to connect; its shortest retransmission; and how long it goes on with a segment here. */
const SYN_RETRIES_MS = [0, 1_000, 3_000, 7_000, 15_000, 31_000];
const MIN_RTO_MS = 200;
const STREAM_PATIENCE_MS = 30_000;

/**
 * Datagrams and streams between machines. A datagram is lost, late or doubled; whether a path is cut is asked once, when it
 * is sent. All that is drawn here comes from the network's own dice.
 */
export class SwimNetwork {
  readonly #settings: NetworkScript;
  readonly #ports: NetworkPorts;
  readonly #machines: readonly Machine[];
  readonly #routes = new Map<Address, Route>();
  readonly #mappings = new Map<Address, NatMapping>();
  /** Cuts of the way from one machine to another, counted. */
  readonly #cuts: Uint8Array;
  #anyCut = false;
  readonly #linkSeed: number;

  constructor(machines: readonly Machine[], settings: NetworkScript, ports: NetworkPorts) {
    this.#machines = machines;
    this.#settings = settings;
    this.#ports = ports;
    this.#cuts = new Uint8Array(machines.length ** 2);
    this.#linkSeed = ports.dice.int(1, 0x7fff_ffff);
    for (const machine of machines) this.#bind(machine);
  }

  putBehindNat(machine: Machine, script: NatScript): void {
    const { dice } = this.#ports;
    for (const address of machine.addresses) this.#routes.delete(address);
    // What a machine behind a NAT knows of itself is of no use to anyone else.
    machine.addresses = machine.addresses.map(() => Address(`192.168.${machine.index >> 8}.${machine.index & 255}:8771`));
    machine.nat = new NatBox(machine, script, { ports: () => dice.int(20_000, 65_000), outside: this.#mappings });
  }

  /** The machine gets another address on every plane; what goes to the old one reaches nobody. */
  readdress(machine: Machine): readonly Address[] {
    const old = machine.addresses;
    for (const address of old) this.#routes.delete(address);
    machine.generation += 1;
    machine.addresses = addressesOf(machine.index, machine.generation, this.#settings.planes.length);
    this.#bind(machine);
    return old;
  }

  cut(from: Machine, to: Machine, isCut: boolean): void {
    const at = from.index * this.#machines.length + to.index;
    this.#cuts[at] = this.#cuts[at]! + (isCut ? 1 : -1);
    this.#anyCut = true;
  }

  sendDatagram(from: Machine, to: Address, bytes: Uint8Array): void {
    const { scheduler, dice, onDatagram } = this.#ports;
    const route = this.#route(to);
    onDatagram(from, to, route?.machine ?? null, bytes);
    // A mapping lives by what is sent, whether or not it arrives.
    const source = from.nat === null ? null : from.nat.send(scheduler.nowMs, to);
    if (route === null || from.faults.udp > 0 || route.machine.faults.udp > 0) return;
    if (this.#isCut(from, route.machine, route.plane) || this.#isLost(from, route.machine)) return;
    const seen = source ?? from.addresses[route.plane] ?? from.addresses[0]!;
    const { machine, mapping } = route;
    const arrive = (): void => {
      const { process } = machine;
      if (process === null) return;
      if (mapping !== null && !machine.nat!.admits(scheduler.nowMs, mapping, seen)) return;
      process.receiveDatagram(seen, bytes);
    };
    scheduler.after(this.delayMs(from, machine), arrive);
    const { duplicateChance } = this.#settings;
    if (duplicateChance > 0 && dice.chance(duplicateChance)) scheduler.after(2 * this.delayMs(from, machine), arrive);
  }

  /** Tries until `timeoutMs` have passed, as TCP does; a machine that is up without the process refuses at once. */
  openStream(from: SimMember, id: StreamId, to: Address, timeoutMs: number): SimStream {
    const { scheduler } = this.#ports;
    const { machine } = from;
    this.#ports.onStreamOpened(machine);
    const startedMs = scheduler.nowMs;
    const stream = new SimStream(this, scheduler, from, id);
    const attempt = (retry: number): void => {
      if (stream.isOver) return;
      const route = this.#route(to);
      this.#ports.onStreamAsked(machine, route?.machine ?? null);
      // Nothing comes in through a NAT that was not asked for: a mapping is of one conversation.
      const isOpen =
        route !== null &&
        route.mapping === null &&
        route.machine.nat === null &&
        this.isOpen(machine, route.machine, route.plane);
      if (isOpen && !this.#isSegmentLost(machine, route.machine) && !this.#isSegmentLost(route.machine, machine)) {
        stream.connect(
          route.machine,
          route.plane,
          machine.nat?.streamSource() ?? ephemeral(machine.addresses[route.plane]!, id),
          to,
        );
        return;
      }
      const nextMs = startedMs + (SYN_RETRIES_MS[retry + 1] ?? Number.POSITIVE_INFINITY);
      if (nextMs < startedMs + timeoutMs) scheduler.at(nextMs, () => attempt(retry + 1));
    };
    scheduler.at(startedMs + timeoutMs, () => stream.giveUp());
    attempt(0);
    return stream;
  }

  onStreamBytes(from: Machine, bytes: Uint8Array): void {
    this.#ports.onStreamBytes(from, bytes);
  }

  /** Whether both ways between two machines are open for streams. */
  isOpen(a: Machine, b: Machine, plane: number): boolean {
    return a.isUp && b.isUp && !this.#isCut(a, b, plane) && !this.#isCut(b, a, plane);
  }

  delayMs(from: Machine, to: Machine): number {
    const { delay } = this.#settings;
    const { dice } = this.#ports;
    const extraMs = from.faults.slowMs + to.faults.slowMs;
    if (delay.perLink) return extraMs + quantile(delay, this.#linkShare(from, to)) * (1 + 0.1 * dice.next());
    return extraMs + (delay.kind === "uniform" ? dice.between(delay.fromMs, delay.toMs) : quantile(delay, dice.next()));
  }

  /** What a segment of a stream takes: every loss costs a retransmission. */
  segmentDelayMs(from: Machine, to: Machine): number {
    let delayMs = this.delayMs(from, to);
    for (let rtoMs = MIN_RTO_MS; this.#isSegmentLost(from, to) && rtoMs < STREAM_PATIENCE_MS; rtoMs *= 2) {
      delayMs += rtoMs;
    }
    return delayMs;
  }

  #bind(machine: Machine): void {
    machine.addresses.forEach((address, plane) => this.#routes.set(address, { machine, plane, mapping: null }));
  }

  #route(to: Address): Route | null {
    const route = this.#routes.get(to);
    if (route !== undefined) return route;
    const mapping = this.#mappings.get(to);
    return mapping === undefined ? null : { machine: mapping.machine, plane: 0, mapping };
  }

  #isCut(from: Machine, to: Machine, plane: number): boolean {
    if (from.faults.planes[plane]! > 0 || to.faults.planes[plane]! > 0) return true;
    return this.#anyCut && this.#cuts[from.index * this.#machines.length + to.index]! > 0;
  }

  #isLost(from: Machine, to: Machine): boolean {
    const chance = Math.max(this.#settings.lossChance, from.faults.lossChance, to.faults.lossChance);
    return chance > 0 && this.#ports.dice.chance(chance);
  }

  #isSegmentLost(from: Machine, to: Machine): boolean {
    return this.#settings.streams === "delayed" && this.#isLost(from, to);
  }

  /** The same for both ways of a pair, and for the whole run. */
  #linkShare(a: Machine, b: Machine): number {
    const [low, high] = a.index < b.index ? [a.index, b.index] : [b.index, a.index];
    let mixed = Math.imul(this.#linkSeed ^ Math.imul(low + 1, 0x9e37_79b1), 0x85eb_ca6b) ^ Math.imul(high + 1, 0xc2b2_ae35);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b_3c6d);
    return ((mixed ^ (mixed >>> 13)) >>> 0) / 2 ** 32;
  }
}

function quantile(delay: NetworkScript["delay"], share: number): number {
  if (delay.kind === "uniform") return delay.fromMs + share * (delay.toMs - delay.fromMs);
  return delay.medianMs * Math.exp(delay.sigma * normalQuantile(share));
}

/** Logistic approximation of the normal quantile: within 0.03 between p1 and p99, and never infinite. */
function normalQuantile(share: number): number {
  const clamped = Math.min(0.999_9, Math.max(0.000_1, share));
  return 5.5556 * (1 - ((1 - clamped) / clamped) ** 0.1186);
}

/** Streams come from a port of their own. */
function ephemeral(address: Address, id: StreamId): Address {
  return Address(`${address.slice(0, address.lastIndexOf(":"))}:${32_768 + ((id * 7) % 28_000)}`);
}
