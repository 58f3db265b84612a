import assert from "node:assert/strict";
import { test } from "node:test";
import { Awareness } from "../../../src/membership/core/swim/awareness.ts";

const options = { awarenessMax: 7, lagLimitMs: 500 };

test("a healthy node runs at its set pace", () => {
  assert.equal(new Awareness(options).multiplier, 1);
});

test("an unanswered probe counts by the reports of helpers that did not come", () => {
  const awareness = new Awareness(options);
  awareness.afterProbe({ kind: "unanswered", nacksExpected: 3, nacksReceived: 3 });
  assert.equal(awareness.score, 0, "everybody reported: the target is to blame");
  awareness.afterProbe({ kind: "unanswered", nacksExpected: 3, nacksReceived: 1 });
  assert.equal(awareness.score, 2);
});

test("an unanswered probe that nobody could report on counts itself", () => {
  const awareness = new Awareness(options);
  awareness.afterProbe({ kind: "unanswered", nacksExpected: 0, nacksReceived: 0 });
  assert.equal(awareness.score, 1);
});

test("the score stays between healthy and the maximum, and good probes bring it down", () => {
  const awareness = new Awareness(options);
  for (let n = 0; n < 20; n += 1) awareness.afterRefutation();
  assert.equal(awareness.score, 7);
  assert.equal(awareness.multiplier, 8);
  for (let n = 0; n < 20; n += 1) awareness.afterProbe({ kind: "answered" });
  assert.equal(awareness.score, 0);
});

test("an event loop later than the limit is sickness of this node", () => {
  const awareness = new Awareness(options);
  awareness.afterLag(500);
  assert.equal(awareness.score, 0);
  awareness.afterLag(501);
  assert.equal(awareness.score, 1);
});

test("a maximum of 0 switches local health off", () => {
  const awareness = new Awareness({ awarenessMax: 0, lagLimitMs: 500 });
  awareness.afterRefutation();
  awareness.afterLag(10_000);
  assert.equal(awareness.multiplier, 1);
});

test("a node with nobody to ask does not doubt itself for ever", () => {
  const awareness = new Awareness(options);
  for (let lag = 0; lag < 9; lag++) awareness.afterLag(501);
  assert.equal(awareness.multiplier, 8);
  for (let period = 0; period < 9; period++) awareness.afterIdlePeriod();
  assert.equal(awareness.multiplier, 1);
});
