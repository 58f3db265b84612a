import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeId, type Incarnation } from "#kernel";
import type { MemberState } from "#membership/core";
import type { CommittedNode } from "../../src/membership/evidence.ts";
import { removalsOf } from "../../src/membership/removals.ts";

const [self, gpu] = ["v1", "gpu-1"].map(NodeId) as [NodeId, NodeId];
const life = (epoch: number, counter = 0): Incarnation => ({ epoch, counter });
const barrier = life(1_000);

function removals(node: Partial<CommittedNode>, state: MemberState | null, incarnation = life(7), nodeId = gpu) {
  const nodes = new Map([[nodeId, { state: "UP", incarnation: life(0), refuted: null, ...node } as const]]);
  return removalsOf(self, nodes, { members: new Map(state === null ? [] : [[nodeId, { state, incarnation }]]) });
}

const evicted = { state: "EVICTED", incarnation: barrier } as const;
const readmitted = { state: "UP", incarnation: barrier, refuted: barrier } as const;
const forget = [{ kind: "forget", member: gpu, barrier }];

test("whom the log holds for forgotten is removed, whatever was seen of it, with the barrier of the log", () => {
  for (const state of ["alive", "suspect", "dead", "left"] as const) assert.deepEqual(removals(evicted, state), forget, state);
  assert.deepEqual(removals(evicted, "removed", life(10)), forget, "by an older word");
});

test("a removal that is known is not repeated, and of an unknown member there is nothing to remove", () => {
  assert.deepEqual(removals(evicted, "removed", barrier), []);
  assert.deepEqual(removals(evicted, null), []);
});

test("a voter that is behind with its log does not remove again whom gossip has let in again", () => {
  assert.deepEqual(removals(evicted, "left", life(1_000, 1)), []);
  assert.deepEqual(removals(evicted, "alive", life(1_001)), []);
});

test("whom the log has readmitted is let in again", () => {
  assert.deepEqual(removals(readmitted, "removed", barrier), [{ kind: "readmit", member: gpu }]);
  assert.deepEqual(removals(readmitted, "left", life(1_000, 1)), []);
  assert.deepEqual(removals(readmitted, "alive", life(1_001)), []);
});

test("a voter that is behind with its log does not take back a removal that it has not read of", () => {
  assert.deepEqual(removals({}, "removed", barrier), []);
  assert.deepEqual(removals({ refuted: life(7) }, "removed", barrier), []);
});

test("a voter does not remove itself: the others tell it", () => {
  assert.deepEqual(removals(evicted, "alive", life(1), self), []);
});
