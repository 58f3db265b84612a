import type { Aead } from "#ports";
import { putU32, u32At } from "./big-endian.ts";

export const NONCE_BYTES = 12;
const PREFIX_BYTES = 8;
const LAST_COUNTER = 0xffff_ffff;

/**
 * Nonces that never repeat under any key: 64 bits that no other boot draws, then a 32-bit counter from 0. AES-GCM gives its
 * key away when a nonce comes twice, so a used-up counter asks for new bits instead of starting again.
 */
export class NonceSequence {
  readonly #aead: Aead;
  #prefix: Uint8Array;
  #next: number;
  #boot: number;

  /** `first`: where the counter starts, for tests of its end. */
  constructor(aead: Aead, first = 0) {
    this.#aead = aead;
    this.#prefix = aead.uniqueBytes(PREFIX_BYTES);
    this.#boot = bootOf(this.#prefix);
    this.#next = first;
  }

  /** Writes the next nonce to `out` from `at` on. */
  write(out: Uint8Array, at: number): void {
    if (this.#next > LAST_COUNTER) {
      this.#prefix = this.#aead.uniqueBytes(PREFIX_BYTES);
      this.#boot = bootOf(this.#prefix);
      this.#next = 0;
    }
    out.set(this.#prefix, at);
    putU32(out, at + PREFIX_BYTES, this.#next++);
  }

  /** Whose nonces these are; see {@link bootOf}. */
  get boot(): number {
    return this.#boot;
  }
}

/** Names the boot that drew a nonce by its first 53 bits, which a number holds exactly. */
export function bootOf(nonce: Uint8Array): number {
  return u32At(nonce, 0) * 0x20_0000 + (u32At(nonce, 4) >>> 11);
}

export function counterOf(nonce: Uint8Array): number {
  return u32At(nonce, PREFIX_BYTES);
}
