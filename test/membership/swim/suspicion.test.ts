import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs, NodeId } from "#kernel";
import { Suspicion, suspicionBounds, suspicionTimeoutMs } from "../../../src/membership/core/swim/suspicion.ts";

const K3 = { minMs: 2_000, maxMs: 30_000, confirmations: 3 };

// The vectors of hashicorp/memberlist's suspicion test: confirmations, elapsed ms, ms left.
for (const [confirmations, elapsed, left] of [
  [0, 0, 30_000],
  [1, 2_000, 14_000],
  [2, 3_000, 4_810],
  [3, 4_000, -2_000],
] as const) {
  test(`golden vector: ${confirmations} of 3 confirmations after ${elapsed} ms leave ${left} ms`, () => {
    const suspicion = new Suspicion(MonotonicMs(0), NodeId("first"), K3);
    for (let n = 1; n <= confirmations; n += 1) assert.ok(suspicion.confirm(NodeId(`other-${n}`)));
    assert.ok(Math.abs(suspicion.deadline - elapsed - left) < 10, `${suspicion.deadline - elapsed} ms left`);
  });
}

test("only a new accuser confirms, and only as many as are waited for", () => {
  const suspicion = new Suspicion(MonotonicMs(500), NodeId("a"), K3);
  assert.equal(suspicion.confirm(NodeId("a")), false, "the accuser itself");
  assert.equal(suspicion.confirm(NodeId("b")), true);
  assert.equal(suspicion.confirm(NodeId("b")), false, "said before");
  assert.equal(suspicion.confirm(NodeId("c")), true);
  assert.equal(suspicion.confirm(NodeId("d")), true);
  assert.equal(suspicion.deadline, 2_500);
  assert.equal(suspicion.confirm(NodeId("e")), false, "nothing left to shorten");
  assert.equal(suspicion.confirmations, 3);
});

test("without confirmations to wait for a suspicion lasts the minimum", () => {
  assert.equal(suspicionTimeoutMs(0, { minMs: 3_000, maxMs: 18_000, confirmations: 0 }), 3_000);
});

test("the bounds grow with the logarithm of the cluster, from ten members on", () => {
  const mesh = { periodMs: 750, suspicionMultiplier: 4, suspicionMaxMultiplier: 6, suspicionConfirmations: 2 };
  assert.deepEqual(suspicionBounds(36, mesh), { minMs: 4_669, maxMs: 28_014, confirmations: 2 });
  assert.deepEqual(suspicionBounds(10, mesh), { minMs: 3_000, maxMs: 18_000, confirmations: 2 });
  assert.deepEqual(suspicionBounds(5, mesh), { minMs: 3_000, maxMs: 18_000, confirmations: 2 });
  assert.deepEqual(suspicionBounds(1_000, mesh), { minMs: 9_000, maxMs: 54_000, confirmations: 2 });
});

test("a cluster too small to confirm does not wait for confirmations", () => {
  const mesh = { periodMs: 750, suspicionMultiplier: 4, suspicionMaxMultiplier: 6, suspicionConfirmations: 2 };
  assert.equal(suspicionBounds(3, mesh).confirmations, 0);
  assert.equal(suspicionBounds(4, mesh).confirmations, 2);
});
