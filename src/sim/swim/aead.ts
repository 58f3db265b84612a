import { createCipheriv, createDecipheriv, createHash, createHmac, createSecretKey, type KeyObject } from "node:crypto";
import type { Aead } from "#ports";
import type { Dice } from "../time/random.ts";

const TAG_BYTES = 16;
const KEY_BYTES = 32;

/** The secret that scenario files call by a name. */
export function keyNamed(name: string): Uint8Array {
  return createHash("sha256").update(`simulated gossip key ${name}`).digest().subarray(0, KEY_BYTES);
}

/** What a packet that is sealed with this key says of it, under either cipher. */
export function hintsOf(name: string): readonly number[] {
  const known = hints.get(name);
  if (known !== undefined) return known;
  const secret = keyNamed(name);
  const found = [checksumFingerprint(secret), realFingerprint(createSecretKey(secret))].map((text) =>
    Number.parseInt(text.slice(0, 4), 16),
  );
  hints.set(name, found);
  return found;
}

const hints = new Map<string, readonly number[]>();

/**
 * Stands where AES-GCM stands, and costs a tenth of it: the bytes stay readable, and the tag is a 32-bit checksum over key,
 * nonce, associated data and plaintext. A wrong key, a changed byte and a foreign label are refused as by the real one;
 * nothing is kept secret. Unique bytes come from the run's seed, so that a run replays.
 */
export function checksumAead(dice: Dice): Aead {
  return {
    uniqueBytes: (length) => Uint8Array.from({ length }, () => dice.int(0, 255)),
    importKey(secret) {
      const fingerprint = checksumFingerprint(secret);
      const salt = Number.parseInt(fingerprint.slice(0, 8), 16);
      return {
        fingerprint,
        seal(nonce, associated, plain, out, at) {
          out.set(plain, at);
          writeTag(out, at + plain.length, checksum(salt, nonce, associated, plain));
        },
        open(nonce, associated, sealed) {
          const end = sealed.length - TAG_BYTES;
          if (end < 0) return null;
          const plain = sealed.subarray(0, end);
          return hasTag(sealed, end, checksum(salt, nonce, associated, plain)) ? plain : null;
        },
      };
    },
  };
}

/** The cipher that runs in production (`--seal`), with unique bytes from the run's seed. */
export function realAead(dice: Dice): Aead {
  return {
    uniqueBytes: (length) => Uint8Array.from({ length }, () => dice.int(0, 255)),
    importKey(secret) {
      const key = createSecretKey(secret);
      return {
        fingerprint: realFingerprint(key),
        seal(nonce, associated, plain, out, at) {
          const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
          cipher.setAAD(associated);
          out.set(cipher.update(plain), at);
          cipher.final();
          out.set(cipher.getAuthTag(), at + plain.length);
        },
        open(nonce, associated, sealed) {
          const end = sealed.length - TAG_BYTES;
          const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
          decipher.setAAD(associated);
          decipher.setAuthTag(sealed.subarray(end));
          const plain = decipher.update(sealed.subarray(0, end));
          try {
            decipher.final();
          } catch {
            return null;
          }
          return plain;
        },
      };
    },
  };
}

function checksumFingerprint(secret: Uint8Array): string {
  return createHash("sha256").update(secret).digest("hex").slice(0, 16);
}

function realFingerprint(key: KeyObject): string {
  return createHmac("sha256", key).update("ringraft gossip key fingerprint").digest("hex").slice(0, 16);
}

/** Murmur's mixing, byte by byte: any single change of the input changes it. */
function checksum(salt: number, nonce: Uint8Array, associated: Uint8Array, plain: Uint8Array): number {
  let hash = mix(mix(mix(salt, nonce), associated), plain);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

function mix(start: number, bytes: Uint8Array): number {
  let hash = start ^ bytes.length;
  for (let at = 0; at < bytes.length; at += 1) hash = Math.imul(hash ^ bytes[at]!, 0x0100_0193);
  return hash;
}

function writeTag(out: Uint8Array, at: number, sum: number): void {
  for (let i = 0; i < TAG_BYTES; i += 1) out[at + i] = sum >>> (8 * (i & 3));
}

function hasTag(sealed: Uint8Array, at: number, sum: number): boolean {
  for (let i = 0; i < TAG_BYTES; i += 1) if (sealed[at + i] !== ((sum >>> (8 * (i & 3))) & 255)) return false;
  return true;
}
