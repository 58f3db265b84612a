import assert from "node:assert/strict";
import { test } from "node:test";
import { LogIndex, NodeId } from "#kernel";
import { clusterHealth, healthOf, type NodeView, votesOf } from "#observe";
import { healthyLeader, leaderless, loseVoters, worker } from "./view.ts";

test("a cluster is healthy with all voters, degraded with a majority, critical without one", () => {
  assert.deepEqual(
    [0, 1, 2, 3, 5].map((lost) => clusterHealth(loseVoters(healthyLeader, lost))),
    ["healthy", "degraded", "degraded", "critical", "critical"],
  );
});

test("a cluster without a leader is critical even when every voter is reachable", () => {
  assert.equal(clusterHealth(leaderless), "critical");
  assert.deepEqual(healthOf(leaderless), { healthy: false, reasons: ["has_leader: no leader is known"] });
});

test("a broken clause is named with its numbers", () => {
  const view = {
    ...loseVoters(leaderless, 3),
    raft: { ...leaderless.raft!, commitIndex: LogIndex(60_000), appliedIndex: LogIndex(1), directoryRefusedBy: ["b (wiped)"] },
  };
  assert.deepEqual(healthOf(view), {
    healthy: false,
    reasons: [
      "has_leader: no leader is known",
      "quorum: 2 of 5 voters reachable, 3 needed",
      "apply_lag: 59999 committed entries are not applied, limit 50000",
      "data_directory: refused by b (wiped)",
    ],
  });
});

test("a worker that knows a leader is healthy, and does not claim to know who is reachable", () => {
  assert.deepEqual(healthOf(worker), { healthy: true, reasons: [] });
  assert.equal(clusterHealth(worker), "healthy");
  assert.deepEqual(votesOf(worker), { reachable: null, needed: 3, total: 5 });
});

test("a voter that counts for nothing is not counted: two lost and one suspect of five leave no quorum", () => {
  const view = loseVoters(healthyLeader, 2);
  const voters = view.voters.map((voter, i) => ({ ...voter, suspect: i === 4 }));
  assert.deepEqual(votesOf({ ...view, voters }), { reachable: 2, needed: 3, total: 5 });
});

test("a voter against whose state a majority agrees is unhealthy, the others are not; without a majority all are", () => {
  const differing = (odd: readonly NodeId[], quarantined: boolean): NodeView => ({
    ...healthyLeader,
    raft: { ...healthyLeader.raft!, divergence: { index: LogIndex(5_000), odd, quarantined } },
  });
  const odd = NodeId("hetzner-cpu2");
  assert.match(healthOf(differing([odd], true)).reasons.join(), /^state_agrees: .*5000: this one is quarantined$/);
  assert.equal(healthOf(differing([odd], false)).healthy, true);
  assert.match(healthOf(differing([], false)).reasons.join(), /^state_agrees: .*no majority agrees$/);
});
