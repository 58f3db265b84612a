import { InvariantError, type MonotonicMs } from "#kernel";
import { ENVELOPE_BYTES, Envelope, type Opened, type SealingSetup, nonceOf, rejected } from "./envelope.ts";
import { NonceSequence, bootOf, counterOf } from "./nonce-sequence.ts";
import type { SwimOptions } from "./options.ts";
import { ReplayWindow } from "./replay-window.ts";
import { SourceBudget } from "./source-budget.ts";
import type { Address, RejectReason } from "./types.ts";

/** Taken from members whose `datagramBytes` is set higher than ours; above it nothing is looked at. */
export const MAX_ACCEPTED_BYTES = 1_400;

/** A joiner hears everybody before it knows anybody. */
const FEWEST_MEMBERS = 64;

const SLAB_BYTES = 16_384;

export type DatagramSealingOptions = Pick<
  SwimOptions,
  "datagramBytes" | "sourcePacketsPerSecond" | "sourceBurst" | "replayWindow" | "maxMembers"
>;

/**
 * Seals and opens datagrams. What is refused has changed nothing but the budget of its source; the checks go from cheap to
 * dear: length, version, label, key, replay, budget, cipher.
 */
export class DatagramSealing {
  /** Longest body that fits a datagram of ours. */
  readonly maxBodyBytes: number;
  readonly #envelope: Envelope;
  readonly #nonces: NonceSequence;
  readonly #replays: ReplayWindow;
  readonly #budget: SourceBudget;

  constructor(setup: SealingSetup, options: DatagramSealingOptions) {
    this.maxBodyBytes = options.datagramBytes - ENVELOPE_BYTES;
    this.#envelope = new Envelope({ label: setup.label, keyring: setup.keyring, kind: "datagram" });
    this.#nonces = new NonceSequence(setup.aead);
    // Every member may boot once more before its former boot is forgotten. Bound to those there are, not to those there may be.
    const maxBoots = (): number => 2 * Math.max(FEWEST_MEMBERS, setup.members?.() ?? options.maxMembers);
    this.#replays = new ReplayWindow({ window: options.replayWindow, maxBoots });
    this.#budget = new SourceBudget({
      packetsPerSecond: options.sourcePacketsPerSecond,
      burst: options.sourceBurst,
      maxSources: options.maxMembers,
    });
  }

  /** The datagram, in memory that is not used again. `body` may be reused. */
  seal(body: Uint8Array): Uint8Array {
    if (body.length > this.maxBodyBytes) {
      throw new InvariantError(`a body of ${body.length} bytes is over the datagram's ${this.maxBodyBytes}`);
    }
    const datagram = cut(body.length + ENVELOPE_BYTES);
    this.#envelope.seal(this.#nonces, body, datagram, 0);
    return datagram;
  }

  open(now: MonotonicMs, from: Address, datagram: Uint8Array): Opened {
    const reason = this.#refusal(datagram);
    if (reason !== null) return rejected(reason);
    const nonce = nonceOf(datagram);
    const boot = bootOf(nonce);
    const counter = counterOf(nonce);
    // The nonce is not yet known to be genuine, but one that was taken before can only be a copy. An own one came back.
    if (boot === this.#nonces.boot || this.#replays.has(boot, counter)) return rejected("replayed");
    if (!this.#budget.admit(now, from)) return rejected("source-budget");
    const body = this.#envelope.open(datagram);
    if (body === null) return rejected("forged");
    this.#budget.refund(now, from);
    this.#replays.take(boot, counter);
    return { ok: true, body };
  }

  #refusal(datagram: Uint8Array): RejectReason | null {
    if (datagram.length < ENVELOPE_BYTES) return "too-short";
    if (datagram.length > MAX_ACCEPTED_BYTES) return "too-long";
    return this.#envelope.refusal(datagram);
  }
}

/**
 * Memory for one datagram, cut from a larger piece: many small arrays of bytes cost more than all the rest. The cores of one process
 * share it, so that each writes where the processor's caches still hold what the last one wrote.
 */
function cut(length: number): Uint8Array {
  if (slabUsed + length > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES);
    slabUsed = 0;
  }
  slabUsed += length;
  return slab.subarray(slabUsed - length, slabUsed);
}

let slab = new Uint8Array(SLAB_BYTES);
let slabUsed = 0;
