import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs, NodeId } from "#kernel";
import { FlapDamping } from "../../../src/membership/core/swim/flap.ts";

const MINUTE = 60_000;
const x = NodeId("x");
const options = { flapHalfLifeMs: 5 * MINUTE, flapLimit: 3 };

test("a member that comes back now and then does not flap", () => {
  const flaps = flapsAt(0, 10, 20, 30, 40, 50);
  assert.equal(flaps.isFlapping(minute(50), x), false);
  assert.equal(flaps.flapsPerHour(minute(50), x), 6);
});

test("three returns at once make it a flapping one, until the score is under half the limit", () => {
  const flaps = flapsAt(0, 0, 0);
  assert.equal(flaps.isFlapping(minute(0), x), true);
  assert.equal(flaps.isFlapping(minute(4.9), x), true);
  assert.equal(flaps.isFlapping(minute(5.1), x), false);
  flaps.noteReturn(minute(5.2), x);
  assert.equal(flaps.isFlapping(minute(5.2), x), false, "a single return does not mark it again");
});

test("returns older than an hour are not counted", () => {
  const flaps = flapsAt(0, 30, 70);
  assert.equal(flaps.flapsPerHour(minute(70), x), 2);
});

test("a member never seen flapping, or forgotten, has no flaps", () => {
  const flaps = flapsAt(0, 0, 0);
  flaps.forget(x);
  assert.equal(flaps.isFlapping(minute(0), x), false);
  assert.equal(flaps.flapsPerHour(minute(0), NodeId("y")), 0);
});

function flapsAt(...minutes: number[]): FlapDamping {
  const flaps = new FlapDamping(options);
  for (const at of minutes) flaps.noteReturn(minute(at), x);
  return flaps;
}

function minute(n: number): MonotonicMs {
  return MonotonicMs(n * MINUTE);
}
