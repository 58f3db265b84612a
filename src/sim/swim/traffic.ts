import type { Address } from "#membership/core";
import type { Machine } from "./machine.ts";
import type { MetricOf } from "./metrics.ts";

/** Traffic is kept in buckets of this width, to which the window of an expectation is rounded. */
export const BUCKET_MS = 10_000;
const LATE_MS = 60_000;

type Kind = "packets" | "toTheGone" | "bytes" | "streams" | "streamBytes" | "runningMs";

const KIND_OF: Readonly<Record<MetricOf<"traffic">, Kind>> = {
  "packets-per-node-minute": "packets",
  "packets-to-the-gone-per-node-minute": "toTheGone",
  "bytes-per-node-minute": "bytes",
  "streams-per-node-minute": "streams",
  "stream-bytes-per-node-minute": "streamBytes",
};

export interface SentDatagram {
  readonly to: Address;
  readonly bytes: number;
  /** Nothing runs where it goes. */
  readonly isGone: boolean;
}

/** Who sent how much, and when. */
export class Traffic {
  readonly #buckets: number;
  readonly #sent: Readonly<Record<Kind, Float64Array>>;
  readonly #lastSecond: readonly SlidingSecond[];
  readonly #givenUp = new Map<Address, number>();
  #lateToOldAddresses = 0;
  underRemovedKeys = 0;

  constructor(machines: number, runMs: number) {
    this.#buckets = Math.ceil(runMs / BUCKET_MS) + 1;
    const table = (): Float64Array => new Float64Array(machines * this.#buckets);
    this.#sent = {
      packets: table(),
      toTheGone: table(),
      bytes: table(),
      streams: table(),
      streamBytes: table(),
      runningMs: table(),
    };
    this.#lastSecond = Array.from({ length: machines }, () => new SlidingSecond());
  }

  datagram(atMs: number, from: Machine, { to, bytes, isGone }: SentDatagram): void {
    const at = this.#at(from, atMs);
    if (isGone) this.#sent.toTheGone[at]! += 1;
    this.#sent.packets[at]! += 1;
    this.#sent.bytes[at]! += bytes;
    this.#lastSecond[from.index]!.add(atMs);
    if (this.#givenUp.size === 0) return;
    const givenUpMs = this.#givenUp.get(to);
    if (givenUpMs !== undefined && atMs - givenUpMs > LATE_MS) this.#lateToOldAddresses += 1;
  }

  add(kind: Exclude<Kind, "packets" | "bytes">, atMs: number, machine: Machine, amount: number): void {
    this.#sent[kind][this.#at(machine, atMs)]! += amount;
  }

  gaveUp(atMs: number, addresses: readonly Address[]): void {
    for (const address of addresses) this.#givenUp.set(address, atMs);
  }

  get lateToOldAddresses(): number {
    return this.#lateToOldAddresses;
  }

  /** Most datagrams of one member in one second. */
  get most(): number {
    return this.#lastSecond.reduce((most, each) => Math.max(most, each.most), 0);
  }

  /** Per minute that the members in question ran; of all machines when `of` is null. */
  perNodeMinute(metric: MetricOf<"traffic">, of: readonly number[] | null, fromMs: number, toMs: number): number {
    const first = Math.round(fromMs / BUCKET_MS);
    const end = Math.max(first + 1, Math.min(this.#buckets, Math.round(toMs / BUCKET_MS)));
    let sent = 0;
    let runningMs = 0;
    for (const machine of of ?? this.#lastSecond.keys()) {
      for (let bucket = first; bucket < end; bucket += 1) {
        sent += this.#sent[KIND_OF[metric]][machine * this.#buckets + bucket]!;
        runningMs += this.#sent.runningMs[machine * this.#buckets + bucket]!;
      }
    }
    return runningMs === 0 ? 0 : (sent * 60_000) / runningMs;
  }

  #at(machine: Machine, atMs: number): number {
    return machine.index * this.#buckets + Math.min(this.#buckets - 1, Math.floor(atMs / BUCKET_MS));
  }
}

/** The most moments within any one second, of moments that come in order. */
class SlidingSecond {
  #times = new Float64Array(64);
  #first = 0;
  #count = 0;
  most = 0;

  add(atMs: number): void {
    while (this.#count > 0 && this.#times[this.#first]! <= atMs - 1_000) {
      this.#first = (this.#first + 1) % this.#times.length;
      this.#count -= 1;
    }
    if (this.#count === this.#times.length) this.#grow();
    this.#times[(this.#first + this.#count) % this.#times.length] = atMs;
    this.#count += 1;
    if (this.#count > this.most) this.most = this.#count;
  }

  #grow(): void {
    const grown = new Float64Array(2 * this.#times.length);
    for (let i = 0; i < this.#count; i += 1) grown[i] = this.#times[(this.#first + i) % this.#times.length]!;
    this.#times = grown;
    this.#first = 0;
  }
}
