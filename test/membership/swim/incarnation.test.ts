import { compareIncarnations } from "#kernel";
import assert from "node:assert/strict";
import { test } from "node:test";
import { incarnationAbove, nextIncarnation, removalBarrier } from "../../../src/membership/core/swim/incarnation.ts";
import { incarnation } from "./records.ts";

const U32 = 0xffff_ffff;

test("the epoch decides, then the counter", () => {
  assert.ok(compareIncarnations(incarnation("2.0"), incarnation("1.900")) > 0);
  assert.ok(compareIncarnations(incarnation("2.1"), incarnation("2.2")) < 0);
  assert.equal(compareIncarnations(incarnation("2.1"), incarnation("2.1")), 0);
});

test("what overrules a word is above it, within u32", () => {
  for (const [seen, own, above] of [
    ["1.5", "1.5", "1.6"],
    ["1.9", "1.5", "1.10"],
    ["4.9", "1.5", "5.0"],
    [`1.${U32}`, "1.5", "2.0"],
    [`${U32}.0`, "1.5", `${U32}.1`],
  ] as const) {
    assert.deepEqual(incarnationAbove(incarnation(seen), incarnation(own)), incarnation(above));
  }
  assert.deepEqual(nextIncarnation({ epoch: U32, counter: U32 }), { epoch: U32, counter: U32 });
  assert.deepEqual(nextIncarnation({ epoch: U32, counter: 7 }), { epoch: U32, counter: 8 });
});

test("a removal stands above a million boots", () => {
  const barrier = removalBarrier(incarnation("7.3"));
  assert.ok(compareIncarnations(barrier, incarnation("1000000.0")) > 0);
  assert.deepEqual(removalBarrier(incarnation(`${U32 - 1}.3`)), { epoch: U32, counter: 0 });
  assert.deepEqual(removalBarrier({ epoch: U32, counter: 7 }), { epoch: U32, counter: 2 ** 20 + 7 });
  assert.deepEqual(removalBarrier({ epoch: U32, counter: U32 }), { epoch: U32, counter: U32 });
});
