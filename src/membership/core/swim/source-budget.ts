import type { MonotonicMs } from "#kernel";
import { parseEndpoint } from "./address.ts";
import { RecentMap } from "./recent-map.ts";
import type { Address } from "./types.ts";

export interface SourceBudgetOptions {
  /** Datagrams per second and source that may reach the cipher without proving genuine. */
  readonly packetsPerSecond: number;
  /** As many at once. */
  readonly burst: number;
  /** Sources remembered, of each kind: genuine ones and strangers. */
  readonly maxSources: number;
}

/**
 * Stands before the cipher, so that a flood costs a table look-up. Only what proves not to be genuine is charged: a genuine
 * datagram gives back what it took, and its source gets a bucket of its own. Strangers are counted by host (an IPv6 host by
 * its /64), and all of them share {@link STRANGERS} times the budget of one, because source addresses are easily forged:
 * no number of them costs more, and members that have been heard are not touched by it.
 */
export class SourceBudget {
  readonly #options: SourceBudgetOptions;
  readonly #genuine: RecentMap<Address, Bucket>;
  readonly #strangers: RecentMap<string, Bucket>;
  readonly #allStrangers: Bucket;
  /** What {@link admit} charged last. */
  #charged: Bucket;
  #isStranger = false;

  constructor(options: SourceBudgetOptions) {
    this.#options = options;
    this.#genuine = new RecentMap(options.maxSources);
    this.#strangers = new RecentMap(options.maxSources);
    this.#allStrangers = { left: options.burst * STRANGERS, at: 0 };
    this.#charged = this.#allStrangers;
  }

  /** Charges one datagram. False: it is not to be looked at. */
  admit(now: MonotonicMs, from: Address): boolean {
    const known = this.#genuine.get(from);
    this.#isStranger = known === undefined;
    this.#charged = known ?? this.#stranger(now, from);
    return this.#take(this.#charged, now, 1) && (!this.#isStranger || this.#take(this.#allStrangers, now, STRANGERS));
  }

  /** What was admitted last proved genuine: the charge is given back. */
  refund(now: MonotonicMs, from: Address): void {
    this.#charged.left++;
    if (!this.#isStranger) return;
    this.#allStrangers.left++;
    // A full bucket says no more than none.
    if (this.#charged.left >= this.#options.burst) this.#strangers.delete(hostOf(from));
    this.#genuine.set(from, { left: this.#options.burst, at: now });
  }

  #stranger(now: MonotonicMs, from: Address): Bucket {
    const host = hostOf(from);
    const known = this.#strangers.get(host);
    if (known !== undefined) return known;
    const bucket = { left: this.#options.burst, at: now };
    this.#strangers.set(host, bucket);
    return bucket;
  }

  #take(bucket: Bucket, now: MonotonicMs, share: number): boolean {
    const { packetsPerSecond, burst } = this.#options;
    if (now > bucket.at) {
      bucket.left = Math.min(burst * share, bucket.left + ((now - bucket.at) / 1000) * packetsPerSecond * share);
      bucket.at = now;
    }
    if (bucket.left < 1) return false;
    bucket.left--;
    return true;
  }
}

/** How many strangers at their limit it takes to use up the budget of all. */
const STRANGERS = 4;

interface Bucket {
  left: number;
  at: number;
}

/** Whoever has an IPv6 address has its /64, and whoever has an IPv4 address has all of its ports. */
function hostOf(from: Address): string {
  if (!from.startsWith("[")) return from.slice(0, from.lastIndexOf(":"));
  return parseEndpoint(from)?.ip.slice(0, 8).join(".") ?? from;
}
