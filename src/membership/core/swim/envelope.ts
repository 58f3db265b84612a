import { invariant } from "#kernel";
import type { Aead } from "#ports";
import { putU32, u32At } from "./big-endian.ts";
import { fnv1a } from "./fnv1a.ts";
import { type Keyring, type RingKey } from "./keyring.ts";
import { NONCE_BYTES, type NonceSequence } from "./nonce-sequence.ts";
import type { RejectReason } from "./types.ts";

/**
 * ```
 * 0        1      2            6           8                    16             20
 * version  kind   label (u32)  key (u16)   nonce: boot (8)      counter (4)    ciphertext …  tag (16)
 * ```
 * Version and label stand outside the cipher, so that what is not for us is refused for the price of eight bytes. The label
 * travels as its hash only; whole, with version and kind, it is bound into the tag as associated data.
 */
export const ENVELOPE_BYTES = 36;
export const HEADER_BYTES = 20;
export const WIRE_VERSION = 1;

/** Bound into the tag: a frame of a stream cannot be passed off as a datagram. */
export type EnvelopeKind = "datagram" | "frame";

export type Opened = { readonly ok: true; readonly body: Uint8Array } | Rejected;
export interface Rejected {
  readonly ok: false;
  readonly reason: RejectReason;
}

export class Envelope {
  readonly #keyring: Keyring;
  readonly #kind: number;
  readonly #label: number;
  /** Version, kind and label: what is bound into every tag. */
  readonly associated: Uint8Array;

  /** `label`: 1 to 64 characters of printable ASCII, the same on every node of a cluster. */
  constructor({ label, keyring, kind }: { readonly label: string; readonly keyring: Keyring; readonly kind: EnvelopeKind }) {
    invariant(isLabel(label), `the cluster label must be 1 to 64 printable ASCII characters, got ${JSON.stringify(label)}`);
    this.#keyring = keyring;
    this.#kind = KINDS[kind];
    const text = Uint8Array.from(label, (character) => character.charCodeAt(0));
    this.#label = fnv1a(text);
    this.associated = Uint8Array.of(WIRE_VERSION, this.#kind, ...text);
  }

  /** Writes `body` with {@link ENVELOPE_BYTES} around it to `out` from `at` on; `associated` is bound into the tag. */
  seal(nonces: NonceSequence, body: Uint8Array, out: Uint8Array, at: number, associated = this.associated): void {
    const key = this.#keyring.primary;
    out[at] = WIRE_VERSION;
    out[at + 1] = this.#kind;
    putU32(out, at + 2, this.#label);
    out[at + 6] = key.hint >>> 8;
    out[at + 7] = key.hint;
    nonces.write(out, at + NONCE_AT);
    key.aead.seal(out.subarray(at + NONCE_AT, at + HEADER_BYTES), associated, body, out, at + HEADER_BYTES);
  }

  /** What can be refused before the cipher, seen in the first {@link HEADER_BYTES} of `bytes`; null when nothing can. */
  refusal(bytes: Uint8Array): RejectReason | null {
    if (bytes[0] !== WIRE_VERSION) return "version";
    if (u32At(bytes, 2) !== this.#label) return "label";
    if (bytes[1] !== this.#kind) return "malformed";
    return this.#candidates(bytes).length === 0 ? "unknown-key" : null;
  }

  /** The body, or null when it is forged. Asked only of what {@link refusal} has let pass. */
  open(bytes: Uint8Array, associated = this.associated): Uint8Array | null {
    const nonce = nonceOf(bytes);
    const sealed = bytes.subarray(HEADER_BYTES);
    for (const key of this.#candidates(bytes)) {
      const body = key.aead.open(nonce, associated, sealed);
      if (body !== null) return body;
    }
    return null;
  }

  #candidates(bytes: Uint8Array): readonly RingKey[] {
    return this.#keyring.withHint((bytes[6]! << 8) | bytes[7]!);
  }
}

export function nonceOf(envelope: Uint8Array): Uint8Array {
  return envelope.subarray(NONCE_AT, NONCE_AT + NONCE_BYTES);
}

export function rejected(reason: RejectReason): Rejected {
  return { ok: false, reason };
}

/** What everything that seals and opens is built from. */
export interface SealingSetup {
  readonly label: string;
  readonly keyring: Keyring;
  readonly aead: Aead;
  /** How many members are known: what is remembered of senders is bound by it. Missing: as many as there may be. */
  readonly members?: () => number;
}

export function isLabel(label: string): boolean {
  return /^[\x21-\x7e]{1,64}$/.test(label);
}

const NONCE_AT = 8;
const KINDS = { datagram: 1, frame: 2 } as const satisfies Record<EnvelopeKind, number>;
