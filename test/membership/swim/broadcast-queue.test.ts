import assert from "node:assert/strict";
import { test } from "node:test";
import { BroadcastQueue, retransmitLimit } from "../../../src/membership/core/swim/broadcast-queue.ts";

test("the retransmit limit is λ · ⌈log10(n + 1)⌉", () => {
  const limits = [1, 9, 10, 36, 99, 100, 1_000].map((members) => retransmitLimit(members, { retransmitMultiplier: 4 }));
  assert.deepEqual(limits, [4, 4, 8, 8, 8, 12, 16]);
});

test("a broadcast is sent as often as the limit says, then forgotten", () => {
  const queue = queueOf("a");
  assert.deepEqual(queue.take(100, 2), ["a"]);
  assert.equal(queue.transmissions("a"), 1);
  assert.deepEqual(queue.take(100, 2), ["a"]);
  assert.equal(queue.transmissions("a"), null);
  assert.deepEqual(queue.take(100, 2), []);
  assert.equal(queue.size, 0);
});

test("the least sent go first: of the unsent the newest, of the others the one that waited longest", () => {
  const queue = queueOf("a", "b", "c");
  assert.deepEqual(queue.take(20, 9), ["c", "b"]);
  assert.deepEqual(queue.take(20, 9), ["a", "c"]);
  queue.put("d", "d", 10);
  assert.deepEqual(queue.take(30, 9), ["d", "b", "a"]);
});

test("a newer word about the same key replaces the older and starts over", () => {
  const queue = queueOf("a", "b");
  queue.take(100, 9);
  queue.put("a", "a2", 10);
  assert.equal(queue.size, 2);
  assert.deepEqual(queue.take(100, 9), ["a2", "b"]);
});

test("dropping the last of a line loses nobody behind it", () => {
  const queue = queueOf("a", "b");
  queue.take(20, 9);
  queue.drop("a");
  queue.put("c", "c", 10);
  queue.take(10, 9);
  assert.deepEqual(queue.take(100, 9), ["b", "c"]);
});

test("what does not fit is passed over for what does, and keeps its place", () => {
  const queue = new BroadcastQueue<string, string>();
  queue.put("small", "small", 10);
  queue.put("large", "large", 90);
  assert.deepEqual(queue.take(50, 9), ["small"]);
  assert.deepEqual(queue.take(100, 9), ["large", "small"]);
});

test("of a long queue a packet takes the newest", () => {
  const queue = new BroadcastQueue<number, number>();
  for (let key = 0; key < 10_000; key += 1) queue.put(key, key, 100);
  assert.deepEqual(queue.take(1_000, 9), [9_999, 9_998, 9_997, 9_996, 9_995, 9_994, 9_993, 9_992, 9_991, 9_990]);
});

test("every queued word gets out in the end", () => {
  const queue = new BroadcastQueue<number, number>();
  for (let key = 0; key < 300; key += 1) queue.put(key, key, 10 + (key % 7) * 20);
  const sent = new Map<number, number>();
  while (queue.size > 0) for (const key of queue.take(1_000, 8)) sent.set(key, (sent.get(key) ?? 0) + 1);
  assert.equal(sent.size, 300);
  assert.ok([...sent.values()].every((times) => times === 8));
});

function queueOf(...keys: string[]): BroadcastQueue<string, string> {
  const queue = new BroadcastQueue<string, string>();
  for (const key of keys) queue.put(key, key, 10);
  return queue;
}
