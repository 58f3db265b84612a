import assert from "node:assert/strict";
import { test } from "node:test";
// Inside of the room: the door offers the whole server only.
import { systemTimers } from "../../src/host/clock.ts";

const DAY_MS = 86_400_000;

test("a timer of thirty days waits thirty days, although Node's own end after 24.8", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let runs = 0;
  systemTimers().after(30 * DAY_MS, () => (runs += 1));
  // In two steps: within one long tick the mock would start the second stretch at the tick's end.
  const firstStretch = 2 ** 31 - 1;
  t.mock.timers.tick(firstStretch);
  t.mock.timers.tick(30 * DAY_MS - firstStretch - 1);
  assert.equal(runs, 0);
  t.mock.timers.tick(1);
  assert.equal(runs, 1);
});

test("a long timer can be cancelled after its first stretch", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let runs = 0;
  const timer = systemTimers().after(30 * DAY_MS, () => (runs += 1));
  t.mock.timers.tick(28 * DAY_MS);
  timer.cancel();
  t.mock.timers.tick(28 * DAY_MS);
  assert.equal(runs, 0);
});
