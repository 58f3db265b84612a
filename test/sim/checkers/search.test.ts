import assert from "node:assert/strict";
import { test } from "node:test";
import { search, type Step } from "../../../src/sim/checkers/search/search.ts";

const never = Number.POSITIVE_INFINITY;
const write = (calledMs: number, returnedMs: number, value: string): Step => ({ calledMs, returnedMs, apply: () => value });
const read = (calledMs: number, returnedMs: number, value: string): Step => ({
  calledMs,
  returnedMs,
  apply: (state) => (state === value ? state : null),
});

test("the search accepts a register whose overlapping operations have an order", () => {
  assert.equal(search([write(0, 10, "a"), write(1, 9, "b"), read(2, 3, "b"), read(4, 5, "a")], ""), "linearizable");
});

test("the search refuses a stale read", () => {
  assert.equal(search([write(0, 1, "a"), write(2, 3, "b"), read(4, 5, "a")], ""), "violation");
});

test("the search refuses two reads that see two writes in different orders", () => {
  const reads = [read(11, 12, "a"), read(13, 14, "b"), read(15, 16, "a")];
  assert.equal(search([write(0, 10, "a"), write(0, 10, "b"), ...reads], ""), "violation");
});

test("an operation without an answer may have happened late, or never", () => {
  assert.equal(search([write(0, never, "a"), read(1, 2, ""), read(3, 4, "a")], ""), "linearizable");
  assert.equal(search([write(0, never, "a"), read(1, 2, "")], ""), "linearizable");
  assert.equal(search([write(0, never, "a"), read(1, 2, "a"), read(3, 4, "")], ""), "violation");
});

test("a history too wide for the budget is unknown, not linearizable", () => {
  const wide = Array.from({ length: 20 }, (_, at) => write(0, 100, `${at}`));
  assert.equal(search([...wide, read(101, 102, "nothing")], "", 500), "unknown");
});
