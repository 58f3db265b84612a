import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs, WallTimeMs } from "#kernel";
import type { Log } from "#ports";
// Inside of the room: the door offers the whole server only.
import { watchWallClock } from "../../src/host/clock-watch.ts";

test("a step of the wall clock of more than a second, either way, is logged and counted once; a slewed clock is not", () => {
  const { look, steps, count } = watched();
  look({ elapsedMs: 1_000 });
  look({ elapsedMs: 1_000, wallStepMs: 5_000 });
  look({ elapsedMs: 1_000 });
  look({ elapsedMs: 1_000, wallStepMs: -90_000 });
  for (let i = 0; i < 100; i += 1) look({ elapsedMs: 1_000, wallStepMs: 500 });
  assert.deepEqual(steps, [5_000, -90_000]);
  assert.equal(count(), 2);
});

test("a main thread that stood still is no jump: both clocks went on", () => {
  const { look, steps } = watched();
  look({ elapsedMs: 60_000 });
  assert.deepEqual(steps, []);
});

function watched() {
  let monotonicMs = 5;
  let wallMs = 1_700_000_000_000;
  let run = (): void => {};
  let counted = 0;
  const steps: unknown[] = [];
  const timers = {
    after: () => assert.fail("not needed"),
    every: (_periodMs: number, given: () => void) => {
      run = given;
      return { cancel: () => {} };
    },
    soon: () => assert.fail("not needed"),
  };
  const warn: Log["warn"] = (message, fields) => {
    assert.match(message, /^CLOCK_JUMP/);
    steps.push(fields?.["step_ms"]);
  };
  const log: Log = { debug: () => {}, info: () => {}, warn, error: () => {}, child: () => log };
  const clock = { now: () => ({ monotonicMs: MonotonicMs(monotonicMs), wallMs: WallTimeMs(wallMs) }) };
  const counter = { add: (amount = 1) => void (counted += amount), set: () => assert.fail("not needed") };
  watchWallClock(clock, timers, log, counter);
  const look = ({ elapsedMs, wallStepMs = 0 }: { readonly elapsedMs: number; readonly wallStepMs?: number }): void => {
    monotonicMs += elapsedMs;
    wallMs += elapsedMs + wallStepMs;
    run();
  };
  return { look, steps, count: () => counted };
}
