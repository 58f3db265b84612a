import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs } from "#kernel";
import { ENVELOPE_BYTES } from "../../../src/membership/core/swim/envelope.ts";
import { DatagramSealing, MAX_ACCEPTED_BYTES } from "../../../src/membership/core/swim/sealing.ts";
import { NonceSequence, bootOf, counterOf } from "../../../src/membership/core/swim/nonce-sequence.ts";
import { Address } from "../../../src/membership/core/swim/types.ts";
import { bytesOf, hex, keyring, knownAead, options, secret, setup } from "./wire-samples.ts";

const NOW = MonotonicMs(1_000);
const FROM = Address("192.0.2.1:8771");
const alice = (): DatagramSealing => new DatagramSealing(setup(0xa0), options);
const bob = (): DatagramSealing => new DatagramSealing(setup(0xb0), options);

function reason(receiver: DatagramSealing, datagram: Uint8Array, now = NOW): string {
  const opened = receiver.open(now, FROM, datagram);
  return opened.ok ? "opened" : opened.reason;
}

test("a sealed datagram opens at a node of the same cluster", () => {
  const opened = bob().open(NOW, FROM, alice().seal(bytesOf("hello")));
  assert.ok(opened.ok);
  assert.equal(Buffer.from(opened.body).toString(), "hello");
});

test("golden bytes: version, kind, label hash, key hint, boot, counter, ciphertext, tag", () => {
  const sealing = alice();
  sealing.seal(bytesOf("first"));
  assert.equal(
    hex(sealing.seal(bytesOf("hello"))),
    "0101feb49d4a7808a0a1a0a1a0a1a0a100000001b0348278e0dc939906363a922c4fa669cccff3f63a",
  );
});

test("the empty body and the longest one are sealed; a longer one is our own mistake", () => {
  const [from, to] = [alice(), bob()];
  assert.equal(reason(to, from.seal(new Uint8Array(0))), "opened");
  const longest = from.seal(new Uint8Array(from.maxBodyBytes));
  assert.equal(longest.length, 1_200);
  assert.equal(reason(to, longest), "opened");
  assert.throws(() => from.seal(new Uint8Array(from.maxBodyBytes + 1)), /1165 bytes is over the datagram's 1164/);
});

test("length, version, label, kind and key are refused before the cipher is asked", () => {
  const keys = keyring(1);
  const asked: string[] = [];
  const watched = { ...keys.primary, aead: { ...keys.primary.aead, open: () => (asked.push("open"), null) } };
  Object.defineProperty(keys, "withHint", { value: (hint: number) => (hint === watched.hint ? [watched] : []) });
  const receiver = new DatagramSealing(setup(0xb0, { keys }), options);
  const changed = (at: number): Uint8Array => {
    const datagram = alice().seal(bytesOf("hello"));
    datagram[at]! ^= 0x40;
    return datagram;
  };
  assert.equal(reason(receiver, new Uint8Array(0)), "too-short");
  assert.equal(reason(receiver, alice().seal(bytesOf("")).subarray(1)), "too-short");
  assert.equal(reason(receiver, new Uint8Array(MAX_ACCEPTED_BYTES + 1)), "too-long");
  assert.equal(reason(receiver, changed(0)), "version");
  assert.equal(reason(receiver, changed(1)), "malformed");
  for (const at of [2, 3, 4, 5]) assert.equal(reason(receiver, changed(at)), "label");
  for (const at of [6, 7]) assert.equal(reason(receiver, changed(at)), "unknown-key");
  assert.equal(reason(receiver, new DatagramSealing(setup(0xa0, { label: "go" }), options).seal(bytesOf("x"))), "label");
  assert.deepEqual(asked, []);
  assert.equal(reason(receiver, changed(20)), "forged");
  assert.deepEqual(asked, ["open"]);
});

test("datagrams of up to 1,400 bytes are accepted, from members set to send them", () => {
  const sender = new DatagramSealing(setup(0xa0), { ...options, datagramBytes: MAX_ACCEPTED_BYTES });
  assert.equal(reason(bob(), sender.seal(new Uint8Array(MAX_ACCEPTED_BYTES - ENVELOPE_BYTES))), "opened");
});

test("one bit changed anywhere is refused, and the untouched datagram still opens afterwards", () => {
  const receiver = new DatagramSealing(setup(0xb0), { ...options, sourcePacketsPerSecond: 100_000, sourceBurst: 100_000 });
  const datagram = alice().seal(bytesOf("hello"));
  for (let bit = 0; bit < datagram.length * 8; bit++) {
    const changed = datagram.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    assert.notEqual(reason(receiver, changed), "opened", `bit ${bit}`);
  }
  assert.equal(reason(receiver, datagram), "opened");
});

test("the whole label is bound into the tag: one with the same hash does not open", () => {
  // FNV-1a collides for these two.
  const labels = ["costarring", "liquid"];
  const [one, other] = labels.map((label) => new DatagramSealing(setup(label.length, { label }), options));
  assert.equal(reason(other!, one!.seal(bytesOf("hello"))), "forged");
});

test("a copy is refused without decryption, also long after, and from whatever source", () => {
  const [from, to] = [alice(), bob()];
  const first = from.seal(bytesOf("first"));
  assert.equal(reason(to, first), "opened");
  assert.equal(reason(to, first), "replayed");
  for (let sent = 0; sent < 5_000; sent++) assert.equal(reason(to, from.seal(bytesOf("later"))), "opened");
  assert.equal(reason(to, first), "replayed");
  const elsewhere = to.open(NOW, Address("198.51.100.1:1"), first);
  assert.ok(!elsewhere.ok && elsewhere.reason === "replayed");
});

test("datagrams out of order are taken within the replay window", () => {
  const [from, to] = [alice(), bob()];
  const sent = Array.from({ length: 1_000 }, () => from.seal(bytesOf("x")));
  for (const datagram of sent.toReversed()) assert.equal(reason(to, datagram), "opened");
});

test("an own datagram thrown back is refused", () => {
  const node = alice();
  assert.equal(reason(node, node.seal(bytesOf("hello"))), "replayed");
});

test("a restarted sender is taken at once: its nonces begin with other bits", () => {
  const to = bob();
  assert.equal(reason(to, alice().seal(bytesOf("x"))), "opened");
  assert.equal(reason(to, new DatagramSealing(setup(0xa7), options).seal(bytesOf("x"))), "opened");
});

test("a used-up counter asks for new bits; no nonce comes twice", () => {
  const sequence = new NonceSequence(knownAead(0xa0), 0xffff_fffe);
  const nonces = Array.from({ length: 4 }, () => {
    const nonce = new Uint8Array(14);
    sequence.write(nonce, 1);
    return nonce.subarray(1, 13);
  });
  assert.deepEqual(nonces.map(counterOf), [0xffff_fffe, 0xffff_ffff, 0, 1]);
  assert.equal(bootOf(nonces[0]!), bootOf(nonces[1]!));
  assert.notEqual(bootOf(nonces[1]!), bootOf(nonces[2]!));
  assert.equal(sequence.boot, bootOf(nonces[3]!));
});

test("a flood with the right header stops at its source's budget; another source is still heard", () => {
  const to = bob();
  const forged = alice().seal(bytesOf("hello"));
  forged[30]! ^= 1;
  const reasons = Array.from({ length: 1_000 }, (_, sent) => {
    forged[19] = sent;
    forged[18] = sent >> 8;
    return reason(to, forged);
  });
  assert.equal(reasons.filter((why) => why === "forged").length, options.sourceBurst);
  assert.equal(reasons.filter((why) => why === "source-budget").length, 1_000 - options.sourceBurst);
  assert.equal(to.open(NOW, Address("192.0.2.9:8771"), alice().seal(bytesOf("x"))).ok, true);
  assert.equal(reason(to, alice().seal(bytesOf("x")), MonotonicMs(2_000)), "replayed", "known by then");
});

test("rotation: install everywhere, use everywhere, remove everywhere, and nobody is deaf in between", () => {
  const keys = [keyring(1), keyring(1)];
  const [a, b] = [0xa0, 0xb0].map((boot, index) => new DatagramSealing(setup(boot, { keys: keys[index]! }), options));
  const bothHear = (): void => {
    assert.equal(reason(b!, a!.seal(bytesOf("x"))), "opened");
    assert.equal(reason(a!, b!.seal(bytesOf("x"))), "opened");
  };
  const underOld = a!.seal(bytesOf("old"));
  for (const step of ["install", "use"] as const) {
    for (const ring of keys) {
      assert.ok(ring[step](secret(2)).ok);
      bothHear();
    }
  }
  for (const ring of keys) {
    assert.ok(ring.remove(secret(1)).ok);
    bothHear();
  }
  assert.equal(reason(b!, underOld), "unknown-key", "the old key is gone");
  const late = new DatagramSealing(setup(0xc0, { keys: keyring(1) }), options);
  assert.equal(reason(late, a!.seal(bytesOf("x"))), "unknown-key");
});

test("keys that share a hint are all tried", () => {
  const keys = keyring(1, 2);
  const [one, two] = [keys.primary, keys.withHint(Number.parseInt(keys.fingerprints[1]!.slice(0, 4), 16))[0]!];
  Object.defineProperty(keys, "withHint", { value: () => [two, one] });
  assert.equal(reason(new DatagramSealing(setup(0xb0, { keys }), options), alice().seal(bytesOf("x"))), "opened");
});

test("a label that is empty, too long or not printable is our own mistake", () => {
  for (const label of ["", "a b", "ä", "x".repeat(65)]) {
    assert.throws(() => new DatagramSealing(setup(1, { label }), options), /cluster label/);
  }
});
