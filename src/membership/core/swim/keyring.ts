import { type Outcome, accepted, refusal, refused } from "#kernel";
import type { Aead, AeadKey } from "#ports";

export const KEY_BYTES = 32;
/** A rotation needs two; more than a few make a foreign datagram worth several decryptions. */
export const MAX_KEYS = 8;

/** A key and what a datagram says of it, so that usually one decryption is tried. */
export interface RingKey {
  /** u16, from the fingerprint. */
  readonly hint: number;
  readonly aead: AeadKey;
}

/**
 * The keys of the cluster: the primary seals, all of them open. Rotation is install the new key everywhere, use it
 * everywhere, remove the old one everywhere; each step may be repeated. Keys are named by their fingerprints in refusals.
 */
export class Keyring {
  readonly #aead: Aead;
  #keys: readonly RingKey[] = [];

  private constructor(aead: Aead) {
    this.#aead = aead;
  }

  /** `secrets` of 32 bytes each, the primary first. */
  static of(aead: Aead, secrets: readonly Uint8Array[]): Outcome<Keyring> {
    if (secrets.length === 0) return invalid("the keyring is empty: it needs at least one key");
    const ring = new Keyring(aead);
    for (const secret of secrets) {
      const installed = ring.install(secret);
      if (!installed.ok) return installed;
    }
    return accepted(ring);
  }

  get primary(): RingKey {
    return this.#keys[0]!;
  }

  /** Fingerprints, the primary's first. */
  get fingerprints(): readonly string[] {
    return this.#keys.map((key) => key.aead.fingerprint);
  }

  /** The keys that may have sealed what carries `hint`; two keys share one by chance of 1 in 65,536. */
  withHint(hint: number): readonly RingKey[] {
    // The usual case without an allocation: this stands on the path of hostile datagrams.
    if (this.#keys.length === 1) return this.#keys[0]!.hint === hint ? this.#keys : NONE;
    return this.#keys.filter((key) => key.hint === hint);
  }

  /** From now on opens what `secret` sealed. Accepted without effect when it is there already. */
  install(secret: Uint8Array): Outcome<void> {
    const key = this.#import(secret);
    if (!key.ok) return key;
    if (this.#indexOf(key.value) !== -1) return accepted(undefined);
    if (this.#keys.length >= MAX_KEYS) {
      return refused(
        refusal("QUOTA_EXCEEDED", `the keyring holds ${MAX_KEYS} keys, its limit: remove one first`, { field: "key" }),
      );
    }
    this.#keys = [...this.#keys, key.value];
    return accepted(undefined);
  }

  /** Makes an installed key the one that seals. */
  use(secret: Uint8Array): Outcome<void> {
    const key = this.#import(secret);
    if (!key.ok) return key;
    const index = this.#indexOf(key.value);
    if (index === -1) {
      return refused(
        refusal("NOT_FOUND", `key ${key.value.aead.fingerprint} is not installed: install it first`, { field: "key" }),
      );
    }
    this.#keys = [this.#keys[index]!, ...this.#keys.toSpliced(index, 1)];
    return accepted(undefined);
  }

  /** Stops opening what `secret` sealed. Accepted without effect when it is not there. */
  remove(secret: Uint8Array): Outcome<void> {
    const key = this.#import(secret);
    if (!key.ok) return key;
    const index = this.#indexOf(key.value);
    if (index === 0) {
      return refused(
        refusal("BAD_STATE", `key ${key.value.aead.fingerprint} is the primary: use another key before removing it`, {
          field: "key",
        }),
      );
    }
    if (index !== -1) this.#keys = this.#keys.toSpliced(index, 1);
    return accepted(undefined);
  }

  #import(secret: Uint8Array): Outcome<RingKey> {
    if (secret.length !== KEY_BYTES) return invalid(`a gossip key has ${KEY_BYTES} bytes, got ${secret.length}`);
    const aead = this.#aead.importKey(secret);
    return accepted({ aead, hint: Number.parseInt(aead.fingerprint.slice(0, 4), 16) });
  }

  #indexOf(key: RingKey): number {
    return this.#keys.findIndex((known) => known.aead.fingerprint === key.aead.fingerprint);
  }
}

const NONE: readonly RingKey[] = [];

function invalid(message: string): { readonly ok: false; readonly refusal: ReturnType<typeof refusal> } {
  return refused(refusal("INVALID_ARGUMENT", message, { field: "key" }));
}
