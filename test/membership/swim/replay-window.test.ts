import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "#kernel";
import { ReplayWindow } from "../../../src/membership/core/swim/replay-window.ts";

test("each counter is taken once, in any order within the window", () => {
  const replays = new ReplayWindow({ window: 64, maxBoots: () => 4 });
  const order = [5, 3, 4, 60, 1, 0, 63, 5, 3, 63];
  assert.deepEqual(
    order.map((counter) => replays.take(1, counter)),
    [true, true, true, true, true, true, true, false, false, false],
  );
});

test("what lies behind the window counts as taken, what lies within it does not", () => {
  const replays = new ReplayWindow({ window: 64, maxBoots: () => 4 });
  replays.take(1, 1_000);
  assert.equal(replays.has(1, 936), true);
  assert.equal(replays.has(1, 937), false);
  assert.equal(replays.take(1, 937), true);
  assert.equal(replays.take(1, 937), false);
});

test("the counter goes up to its last value", () => {
  const replays = new ReplayWindow({ window: 64, maxBoots: () => 4 });
  assert.equal(replays.take(1, 0xffff_ffff), true);
  assert.equal(replays.take(1, 0xffff_fffe), true);
  assert.equal(replays.take(1, 0xffff_ffff), false);
});

test("asking changes nothing: a forged nonce cannot move a window", () => {
  const replays = new ReplayWindow({ window: 64, maxBoots: () => 4 });
  replays.take(1, 10);
  assert.equal(replays.has(1, 1_000_000), false);
  assert.equal(replays.has(2, 1), false);
  assert.equal(replays.take(1, 9), true);
  assert.equal(replays.boots, 1);
});

test("boots do not share a window, and the one silent for longest makes room", () => {
  const replays = new ReplayWindow({ window: 64, maxBoots: () => 20 });
  for (let boot = 0; boot < 20; boot++) replays.take(boot, 7);
  replays.take(0, 8);
  replays.take(99, 7);
  assert.equal(replays.boots, 20);
  assert.equal(replays.has(0, 7), true);
  assert.equal(replays.has(1, 7), false, "boot 1 was silent for longest");
  for (let boot = 2; boot < 20; boot++) assert.equal(replays.has(boot, 7), true, `boot ${boot}`);
  assert.equal(replays.has(99, 6), false, "the place was cleared");
});

test("against a set of all counters: 100,000 seeded counters that jump, repeat and fall behind", () => {
  const random = seededRandom(4);
  const replays = new ReplayWindow({ window: 100, maxBoots: () => 4 });
  const window = 128; // rounded up
  const seen = new Set<number>();
  let top = 0;
  for (let step = 0; step < 100_000; step++) {
    const jump = random() < 0.01 ? 1_000 : 40;
    const counter = Math.max(0, top + Math.floor(random() * jump) - Math.floor(random() * 200));
    const expected = !seen.has(counter) && (top === 0 || counter + window > top);
    assert.equal(replays.take(1, counter), expected, `step ${step}: ${counter} below ${top}`);
    seen.add(counter);
    top = Math.max(top, counter);
  }
});

test("the bound follows the number of members: it grows with them, and beyond it the longest silent one goes", () => {
  let members = 2;
  const replays = new ReplayWindow({ window: 64, maxBoots: () => 2 * members });
  for (let boot = 0; boot < 1_000; boot++) replays.take(boot, 7);
  assert.equal(replays.boots, 4);
  members = 50;
  for (let boot = 0; boot < 1_000; boot++) replays.take(boot, 7);
  assert.equal(replays.boots, 100);
});
