import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs, NodeId, type Incarnation } from "#kernel";
import type { MemberState } from "#membership/core";
import {
  type CommittedNode,
  type Evidence,
  MAX_VIEW_AGE_MS,
  type VoterView,
  newsIn,
  proposalsOf,
} from "../../src/membership/evidence.ts";

const [v1, v2, v3, v4, v5] = ["v1", "v2", "v3", "v4", "v5"].map(NodeId) as [NodeId, NodeId, NodeId, NodeId, NodeId];
const gpu = NodeId("gpu-1");
const now = MonotonicMs(100_000);
const life = (epoch: number, counter = 0): Incarnation => ({ epoch, counter });

type Seen = readonly [state: MemberState, incarnation: Incarnation];

const view = (seen: Seen | null, more: Partial<VoterView> = {}): VoterView => ({
  heardAt: now,
  healthMultiplier: 1,
  members: new Map(seen === null ? [] : [[gpu, { state: seen[0], incarnation: seen[1] }]]),
  partition: null,
  ...more,
});

/** Three healthy voters; what each sees, in their order. */
function evidence(views: readonly (VoterView | null)[], more: Partial<Evidence> = {}): Evidence {
  return {
    now,
    self: v1,
    voters: [[v1, v2, v3]],
    views: new Map([v1, v2, v3, v4, v5].flatMap((voter, at) => (views[at] == null ? [] : [[voter, views[at]] as const]))),
    nodes: new Map(),
    partition: null,
    ...more,
  };
}

const committed = (node: Partial<CommittedNode>): Pick<Evidence, "nodes"> => ({
  nodes: new Map([[gpu, { state: "UP", incarnation: life(0), refuted: null, ...node }]]),
});

const dead = (incarnation = life(7)) => view(["dead", incarnation]);
const alive = (incarnation = life(7)) => view(["alive", incarnation]);
const suspect = (incarnation = life(7)) => view(["suspect", incarnation]);
const down = { kind: "nodeDown", nodeId: gpu, incarnation: life(7), observedBy: [v1, v2] };

test("a majority of the voters that holds the same life for dead is evidence, and is named", () => {
  assert.deepEqual(proposalsOf(evidence([dead(), dead(), suspect()])), [down]);
});

test("a minority, suspicion, a goodbye and silence are no evidence", () => {
  assert.deepEqual(proposalsOf(evidence([dead(), suspect(), suspect()])), []);
  assert.deepEqual(proposalsOf(evidence([suspect(), suspect(), suspect()])), []);
  assert.deepEqual(proposalsOf(evidence([view(["left", life(7)]), view(["left", life(7)]), dead()])), []);
  assert.deepEqual(proposalsOf(evidence([dead(), null, null])), []);
  assert.deepEqual(proposalsOf(evidence([dead(), view(null), view(null)])), []);
});

test("deaths of different lives do not add up", () => {
  assert.deepEqual(proposalsOf(evidence([dead(life(7)), dead(life(8)), alive(life(8))])), []);
});

test("one voter that has heard of a newer life stops the verdict", () => {
  assert.deepEqual(proposalsOf(evidence([dead(), dead(), alive(life(7, 1))])), []);
});

test("a voter that has not heard of the death yet does not stop it", () => {
  assert.deepEqual(proposalsOf(evidence([dead(), dead(), alive(life(7))])), [down]);
});

test("a leader in bad health proposes nothing: it is more likely the sick one", () => {
  const led = (healthMultiplier: number) => evidence([{ ...dead(), healthMultiplier }, dead(), dead()]);
  assert.equal(proposalsOf(led(3)).length, 1);
  assert.deepEqual(proposalsOf(led(4)), []);
});

test("a leader that has no view of its own, or only an old one, proposes nothing", () => {
  assert.deepEqual(proposalsOf(evidence([null, dead(), dead()])), []);
  const old = { ...dead(), heardAt: MonotonicMs(now - MAX_VIEW_AGE_MS - 1) };
  assert.deepEqual(proposalsOf(evidence([old, dead(), dead()])), []);
});

test("a voter in bad health accuses nobody, but its word that somebody is back counts", () => {
  const sick = (of: VoterView): VoterView => ({ ...of, healthMultiplier: 4 });
  assert.deepEqual(proposalsOf(evidence([dead(), sick(dead()), suspect()])), []);
  assert.deepEqual(proposalsOf(evidence([dead(), sick(dead()), dead()])), [{ ...down, observedBy: [v1, v3] }]);
  const back = life(7, 1);
  const fallen = committed({ state: "DOWN", incarnation: life(7) });
  assert.equal(proposalsOf(evidence([alive(back), sick(alive(back)), dead()], fallen)).length, 1);
  const cut = view(null, { partition: [gpu] });
  assert.deepEqual(proposalsOf(evidence([cut, sick(cut), view(null)])), []);
});

test("news is what would be proposed if all voters saw what the leader sees, so nothing else needs to be asked", () => {
  const { views: _, ...known } = evidence([]);
  assert.deepEqual(newsIn(known, alive()), []);
  assert.deepEqual(newsIn(known, dead()), [{ ...down, observedBy: [v1, v2, v3] }]);
  assert.deepEqual(newsIn({ ...known, ...committed({ state: "DOWN", incarnation: life(7) }) }, dead()), []);
});

test("an old view is no vote", () => {
  const old = { ...dead(), heardAt: MonotonicMs(now - MAX_VIEW_AGE_MS - 1) };
  assert.deepEqual(proposalsOf(evidence([dead(), old, suspect()])), []);
  const young = { ...dead(), heardAt: MonotonicMs(now - MAX_VIEW_AGE_MS) };
  assert.deepEqual(proposalsOf(evidence([dead(), young, suspect()])), [down]);
});

test("who is no voter has no vote", () => {
  assert.deepEqual(proposalsOf(evidence([dead(), null, null, dead(), dead()])), []);
});

test("a joint configuration needs the majority of both halves", () => {
  const voters = [
    [v1, v2, v3],
    [v3, v4, v5],
  ];
  assert.deepEqual(proposalsOf(evidence([dead(), dead(), null, dead()], { voters })), []);
  const both = proposalsOf(evidence([dead(), dead(), null, dead(), dead()], { voters }));
  assert.deepEqual(both, [{ ...down, observedBy: [v1, v2, v4, v5] }]);
});

test("half of four voters is no majority", () => {
  const voters = [[v1, v2, v3, v4]];
  assert.deepEqual(proposalsOf(evidence([dead(), dead(), suspect(), suspect()], { voters })), []);
});

test("nothing is proposed that the log holds already, has refuted, or knows better", () => {
  const all = [dead(), dead(), dead()];
  for (const node of [
    { state: "DOWN", incarnation: life(7) },
    { state: "UP", incarnation: life(7), refuted: life(7) },
    { state: "UP", incarnation: life(8) },
    { state: "EVICTED", incarnation: life(2) },
  ] as const) {
    assert.deepEqual(proposalsOf(evidence(all, committed(node))), [], node.state);
  }
  assert.equal(proposalsOf(evidence(all, committed({ refuted: life(6, 9) }))).length, 1);
  assert.equal(proposalsOf(evidence(all, committed({ state: "DOWN", incarnation: life(6) }))).length, 1, "dead in a newer life");
});

test("a node that is down recovers when a majority sees it alive in a newer life", () => {
  const fallen = committed({ state: "DOWN", incarnation: life(7) });
  const back = life(7, 1);
  const recovered = { kind: "nodeUp", nodeId: gpu, incarnation: back, observedBy: [v1, v3] };
  assert.deepEqual(proposalsOf(evidence([alive(back), dead(), alive(back)], fallen)), [recovered]);
  assert.deepEqual(proposalsOf(evidence([alive(back), dead(), dead()], fallen)), []);
  assert.deepEqual(proposalsOf(evidence([suspect(back), suspect(back), alive(back)], fallen)), []);
  assert.deepEqual(proposalsOf(evidence([alive(), alive(), alive()], fallen)), [], "the same life refutes nothing");
  assert.deepEqual(proposalsOf(evidence([alive(back), alive(back), alive(back)])), [], "a node that is up needs no word");
});

test("a partition is suspected with those whom a majority has lost, and said once", () => {
  const [a, b, c] = ["a", "b", "c"].map(NodeId) as [NodeId, NodeId, NodeId];
  const views = [view(null, { partition: [b, a] }), view(null, { partition: [a, b, c] }), view(null)];
  const suspected = { kind: "partitionSuspected", lost: [a, b], observedBy: [v1, v2] };
  assert.deepEqual(proposalsOf(evidence(views)), [suspected]);
  assert.deepEqual(proposalsOf(evidence(views, { partition: [b, a] })), []);
  assert.deepEqual(proposalsOf(evidence(views, { partition: [a] })), [suspected]);
});

test("a partition heals when a majority sees none; one voter's opinion changes nothing", () => {
  const partition = [NodeId("a")];
  const cut = view(null, { partition });
  assert.deepEqual(proposalsOf(evidence([view(null), view(null), cut], { partition })), [
    { kind: "partitionHealed", observedBy: [v1, v2] },
  ]);
  assert.deepEqual(proposalsOf(evidence([view(null), null, cut], { partition })), []);
  assert.deepEqual(proposalsOf(evidence([view(null), view(null), cut])), []);
});
