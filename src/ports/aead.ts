/**
 * AES-256-GCM or something of the same shape (key 32 bytes, nonce 12, tag 16), synchronous, so that sealing can stand inside
 * a pure core. A simulator may fill it with something faster where nobody looks at the bytes.
 */
export interface Aead {
  /** Prepares a secret; the caller has checked that it has 32 bytes. */
  importKey(secret: Uint8Array): AeadKey;
  /**
   * Bytes that no other boot of any node will draw. Nonces start with them, and a nonce used twice gives an AES-GCM key
   * away: a generator with 32 bits of state will not do here.
   */
  uniqueBytes(length: number): Uint8Array;
}

export interface AeadKey {
  /** 16 lower-case hex digits, derived from the secret one way: what operators see and name instead of it. */
  readonly fingerprint: string;
  /** Writes the ciphertext of `plain` and then the tag to `out` from offset `at` on. A nonce serves once per key. */
  seal(nonce: Uint8Array, associated: Uint8Array, plain: Uint8Array, out: Uint8Array, at: number): void;
  /**
   * The plaintext of `sealed` (ciphertext, then tag), or null when it was not sealed with this key, nonce and data. It may be
   * a view of `sealed`.
   */
  open(nonce: Uint8Array, associated: Uint8Array, sealed: Uint8Array): Uint8Array | null;
}
