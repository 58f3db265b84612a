import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs, NodeId } from "#kernel";
import { Tombstones } from "../../../src/membership/core/swim/tombstone.ts";

const [a, b, c] = [NodeId("a"), NodeId("b"), NodeId("c")];

test("the buried expire in the order of their burial, each once", () => {
  const tombstones = new Tombstones(100);
  tombstones.bury(MonotonicMs(0), a);
  tombstones.bury(MonotonicMs(10), b);
  tombstones.bury(MonotonicMs(20), c);
  assert.equal(tombstones.nextExpiry, 100);
  assert.deepEqual(tombstones.expire(MonotonicMs(110)), [a, b]);
  assert.deepEqual(tombstones.expire(MonotonicMs(110)), []);
  assert.equal(tombstones.nextExpiry, 120);
});

test("a newer death counts from its own time; who rises is not buried", () => {
  const tombstones = new Tombstones(100);
  tombstones.bury(MonotonicMs(0), a);
  tombstones.bury(MonotonicMs(10), b);
  tombstones.bury(MonotonicMs(20), c);
  tombstones.bury(MonotonicMs(50), a);
  tombstones.raise(b);
  assert.deepEqual(tombstones.expire(MonotonicMs(120)), [c]);
  assert.deepEqual(tombstones.expire(MonotonicMs(149)), []);
  assert.deepEqual(tombstones.expire(MonotonicMs(150)), [a]);
  assert.equal(tombstones.nextExpiry, null);
});
