import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeAead } from "../../../src/host/aead.ts";
import { Keyring, MAX_KEYS } from "../../../src/membership/core/swim/keyring.ts";
import { keyring, secret } from "./wire-samples.ts";

const fingerprint = (number: number): string => nodeAead.importKey(secret(number)).fingerprint;

test("a key is installed beside the others, then used, then the old one is removed", () => {
  const ring = keyring(1);
  assert.equal(ring.install(secret(2)).ok, true);
  assert.deepEqual(ring.fingerprints, [fingerprint(1), fingerprint(2)]);
  assert.equal(ring.use(secret(2)).ok, true);
  assert.deepEqual(ring.fingerprints, [fingerprint(2), fingerprint(1)]);
  assert.equal(ring.primary.aead.fingerprint, fingerprint(2));
  assert.equal(ring.remove(secret(1)).ok, true);
  assert.deepEqual(ring.fingerprints, [fingerprint(2)]);
});

test("every step of a rotation may be repeated", () => {
  const ring = keyring(1, 2);
  for (let times = 0; times < 2; times++) {
    assert.equal(ring.install(secret(2)).ok, true);
    assert.equal(ring.use(secret(2)).ok, true);
  }
  assert.equal(ring.remove(secret(1)).ok, true);
  assert.equal(ring.remove(secret(1)).ok, true);
  assert.deepEqual(ring.fingerprints, [fingerprint(2)]);
});

test("the primary cannot be removed, nor a key used that is not installed, and the secret is not in the message", () => {
  const ring = keyring(1);
  for (const outcome of [ring.remove(secret(1)), ring.use(secret(3))]) {
    assert.ok(!outcome.ok);
    assert.match(outcome.refusal.message, /^key [0-9a-f]{16} is/);
  }
  assert.deepEqual(ring.fingerprints, [fingerprint(1)]);
});

test("a key of another length, an empty keyring and one key too many are refused with both numbers", () => {
  const short = Keyring.of(nodeAead, [new Uint8Array(16)]);
  assert.ok(!short.ok && short.refusal.message.includes("32 bytes, got 16"));
  assert.equal(Keyring.of(nodeAead, []).ok, false);
  const full = keyring(...Array.from({ length: MAX_KEYS }, (_, number) => number));
  const more = full.install(secret(100));
  assert.ok(!more.ok && more.refusal.reason === "QUOTA_EXCEEDED");
});

test("a hint picks the keys that share it, usually one", () => {
  const ring = keyring(1, 2);
  assert.deepEqual(
    ring.withHint(Number.parseInt(fingerprint(2).slice(0, 4), 16)).map((key) => key.aead.fingerprint),
    [fingerprint(2)],
  );
  assert.deepEqual(ring.withHint(Number.parseInt(fingerprint(3).slice(0, 4), 16)), []);
});
