import { MonotonicMs } from "#kernel";
import type { SwimOptions } from "./options.ts";
import { type Address, Digest, type Reach } from "./types.ts";

/** This many probes in a row that only a stream could answer make a path one for streams; a single one is mere loss. */
const STREAM_ONLY_AFTER = 2;

/** What this node has learnt about the way to one member. It says nothing about whether the member lives. */
export class Path {
  // NaN while there is none: a field that is always a number is written in place, and these are written with every packet.
  #heardAt = Number.NaN;
  #digest = Number.NaN;
  #p95Ms = Number.NaN;
  /** Since when its view differs from ours, as far as was heard; null while they agree. */
  differsSince: MonotonicMs | null = null;
  #reach: Reach = "direct";
  #withoutDatagram = 0;
  #preferred = 0;

  get reach(): Reach {
    return this.#reach;
  }

  get rttMs(): number | null {
    return Number.isNaN(this.#p95Ms) ? null : this.#p95Ms;
  }

  get heardAt(): MonotonicMs | null {
    return Number.isNaN(this.#heardAt) ? null : MonotonicMs(this.#heardAt);
  }

  /** What the member said last about its own view. */
  get digest(): Digest | null {
    return Number.isNaN(this.#digest) ? null : Digest(this.#digest);
  }

  /** The address to try next: the one that answered last, or the next one after one that did not. */
  preferred(addresses: readonly Address[]): Address | null {
    return addresses[this.#preferred % Math.max(1, addresses.length)] ?? null;
  }

  heard(now: MonotonicMs, digest: Digest): void {
    this.#heardAt = now;
    this.#digest = digest;
  }

  /** What was known of the old addresses says nothing about the new ones. */
  readdressed(): void {
    this.#p95Ms = Number.NaN;
    this.#preferred = 0;
    this.#withoutDatagram = 0;
    this.#reach = "direct";
  }

  /** A datagram was answered, from `address` when that is one of the member's own. */
  answeredDirectly(rttMs: number, address: number): void {
    this.#learnRtt(rttMs);
    if (address >= 0) this.#preferred = address;
    this.#withoutDatagram = 0;
    this.#reach = "direct";
  }

  answeredBy(way: "stream" | "relay"): void {
    this.#withoutDatagram += 1;
    if (this.#withoutDatagram >= STREAM_ONLY_AFTER) this.#reach = way;
  }

  /** No answer to a datagram in time. */
  silent(): void {
    this.#preferred += 1;
  }

  /** clamp(multiplier × p95, floor, probe timeout): a peer behind a distant relay gets more time than one next door. */
  timeoutMs(options: Pick<SwimOptions, "rttMultiplier" | "probeTimeoutFloorMs" | "probeTimeoutMs">): number {
    if (Number.isNaN(this.#p95Ms)) return options.probeTimeoutMs;
    const wanted = Math.ceil(options.rttMultiplier * this.#p95Ms);
    return Math.min(options.probeTimeoutMs, Math.max(options.probeTimeoutFloorMs, wanted));
  }

  /** Follows a rise in a step or two and a fall over dozens: an upper envelope that costs one number per peer. */
  #learnRtt(rttMs: number): void {
    const before = this.rttMs ?? rttMs;
    this.#p95Ms = before + (rttMs - before) * (rttMs > before ? 0.5 : 0.05);
  }
}
