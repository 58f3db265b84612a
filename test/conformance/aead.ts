import assert from "node:assert/strict";
import { test } from "node:test";
import type { Aead } from "#ports";

/** What every implementation of the port `aead` promises. `exactBytes`: it is AES-256-GCM, not a stand-in for it. */
export function aeadConformance(name: string, aead: Aead, { exactBytes }: { readonly exactBytes: boolean }): void {
  const secret = Uint8Array.from({ length: 32 }, (_, index) => index);
  const nonce = Uint8Array.from({ length: 12 }, (_, index) => 0xa0 + index);
  const associated = Uint8Array.from({ length: 9 }, (_, index) => 0x30 + index);
  const plain = Uint8Array.from({ length: 40 }, (_, index) => index * 3);
  const sealed = (): Uint8Array => {
    const out = new Uint8Array(40 + 16);
    aead.importKey(secret).seal(nonce, associated, plain, out, 0);
    return out;
  };

  test(`${name}: what is sealed opens again`, () => {
    assert.deepEqual(Uint8Array.from(aead.importKey(secret).open(nonce, associated, sealed())!), plain);
  });

  test(`${name}: sealing writes only its own part of the buffer`, () => {
    const out = new Uint8Array(100).fill(0xee);
    aead.importKey(secret).seal(nonce, associated, plain, out, 10);
    assert.deepEqual(out.subarray(10, 66), sealed());
    assert.ok([...out.subarray(0, 10), ...out.subarray(66)].every((byte) => byte === 0xee));
  });

  test(`${name}: one bit changed anywhere, another nonce, other associated data or another key does not open`, () => {
    const key = aead.importKey(secret);
    for (let bit = 0; bit < 56 * 8; bit++) {
      const bytes = sealed();
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      assert.equal(key.open(nonce, associated, bytes), null, `bit ${bit}`);
    }
    assert.equal(
      key.open(
        nonce.map((byte) => byte ^ 1),
        associated,
        sealed(),
      ),
      null,
    );
    assert.equal(
      key.open(
        nonce,
        associated.map((byte) => byte ^ 1),
        sealed(),
      ),
      null,
    );
    assert.equal(aead.importKey(secret.map((byte) => byte ^ 1)).open(nonce, associated, sealed()), null);
  });

  test(`${name}: an empty text is sealed too`, () => {
    const key = aead.importKey(secret);
    const out = new Uint8Array(16);
    key.seal(nonce, associated, new Uint8Array(0), out, 0);
    assert.equal(key.open(nonce, associated, out)?.length, 0);
  });

  test(`${name}: a fingerprint names a secret and is 16 hex digits`, () => {
    const { fingerprint } = aead.importKey(secret);
    assert.match(fingerprint, /^[0-9a-f]{16}$/);
    assert.equal(aead.importKey(secret.slice()).fingerprint, fingerprint);
    assert.notEqual(aead.importKey(secret.map((byte) => byte ^ 1)).fingerprint, fingerprint);
  });

  test(`${name}: unique bytes differ from draw to draw`, () => {
    assert.equal(aead.uniqueBytes(8).length, 8);
    assert.notDeepEqual(aead.uniqueBytes(8), aead.uniqueBytes(8));
  });

  if (!exactBytes) return;
  test(`${name}: the fingerprint is the one that every version derives: operators name keys by it`, () => {
    // printf 'ringraft gossip key fingerprint' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f
    assert.equal(aead.importKey(secret).fingerprint, "0e48267a09fd2039");
  });

  test(`${name}: the bytes are those of AES-256-GCM (NIST's GCM test case 16)`, () => {
    const key = aead.importKey(hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"));
    const text = hex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    );
    const out = new Uint8Array(text.length + 16);
    key.seal(hex("cafebabefacedbaddecaf888"), hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"), text, out, 0);
    assert.equal(
      Buffer.from(out).toString("hex"),
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662" +
        "76fc6ece0f4e1768cddf8853bb2d551b",
    );
  });
}

function hex(digits: string): Uint8Array {
  return Uint8Array.from(Buffer.from(digits, "hex"));
}
