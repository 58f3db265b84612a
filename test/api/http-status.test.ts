import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { LogIndex } from "#kernel";
import { statusBody } from "../../src/api/http/index.ts";
import { healthyLeader, leaderless, loseVoters, worker } from "../observe/view.ts";

/** Not everywhere installed; the test is then skipped. */
const jqProgram = "jq";

// As the pulse thread sends it.
const sent = (body: object): string => JSON.stringify({ ...body, stale_ms: 12 });

test("/status has the runbooks' fields, with indexes and term as strings and counts as numbers", () => {
  const voter = (is_leader: boolean) => ({ alive: true, is_leader, match_index: "9007199244", suspect: false });
  assert.deepEqual(statusBody(healthyLeader), {
    status: "ok",
    reasons: [],
    alarms: {
      not_a_member: false,
      suspect: false,
      disk_low: false,
      data_directory_refused: false,
      state_divergence: false,
      quarantined: false,
    },
    node_id: "hetzner-cpu1",
    cluster_id: "c-1",
    version: "0.1.0",
    role: "leader",
    leader_id: "hetzner-cpu1",
    term: "7",
    commit_index: "9007199254",
    applied_index: "9007199250",
    election_count: 3,
    alive_peers: 8,
    total_peers: 36,
    cluster_health: "healthy",
    quorum_ok: true,
    votes: "5/3/5",
    voters: {
      "nebius-backbone-1": voter(false),
      "nebius-h100-3": voter(false),
      "hetzner-cpu1": voter(true),
      "hetzner-cpu2": voter(false),
      "vultr-a100-20gb": voter(false),
    },
    work: { PENDING: 5, RUNNING: 2 },
    queues: { selfplay: { PENDING: 4, RUNNING: 2 }, training: { PENDING: 1 } },
    jobs: 3,
    sessions: 3,
    locks: { held: 1, waiters: 2 },
    models: { hex8_2p: { versions: 4, canonical_version: 3, canonical_reason: "elo 87.5" } },
    committed_nodes: {
      "runpod-h100": {
        state: "DOWN",
        scheduling: "CORDONED",
        event: "NODE_DOWN",
        sessions: 1,
        claims: 2,
        since_wall_ms: 1_795_000_000_000,
      },
    },
    holders: { "lambda-gh200-1": { claims: 2, locks: 1 } },
    committed_partition: null,
  });
});

test("every alarm has a field of its own, beside the sentence in reasons", () => {
  const raft = {
    ...healthyLeader.raft!,
    isMember: false,
    suspect: true,
    disk: { freeBytes: 1, isLow: true, lowBytes: 2 },
    directoryRefusedBy: ["hetzner-cpu2 (cloned)"],
    divergence: { index: LogIndex(5_000), odd: [healthyLeader.nodeId], quarantined: true },
  };
  const { alarms, reasons } = statusBody({ ...healthyLeader, raft });
  assert.ok(Object.values(alarms as Record<string, boolean>).every(Boolean));
  assert.deepEqual(
    (reasons as readonly string[]).map((reason) => reason.split(":")[0]),
    ["state_agrees", "member", "log_is_whole", "disk_space", "data_directory"],
  );
  assert.equal(statusBody(worker)["alarms"], null);
});

test("the monitoring log's 'Quorum OK: True (4/2 voters)' cannot happen: votes are reachable/needed/total", () => {
  const votes = (lost: number) => {
    const { votes, quorum_ok, cluster_health } = statusBody(loseVoters(healthyLeader, lost));
    return [votes, quorum_ok, cluster_health];
  };
  assert.deepEqual(votes(1), ["4/3/5", true, "degraded"]);
  assert.deepEqual(votes(3), ["2/3/5", false, "critical"]);
});

test("without a leader leader_id is null and the status says why", () => {
  const { leader_id, status, reasons, cluster_health } = statusBody(leaderless);
  assert.deepEqual(
    [leader_id, status, reasons, cluster_health],
    [null, "degraded", ["has_leader: no leader is known"], "critical"],
  );
});

test("a worker's status names the leader and claims nothing about the log", () => {
  const { role, leader_id, term, votes, voters, quorum_ok } = statusBody(worker);
  assert.deepEqual([role, leader_id, term, votes, quorum_ok], ["worker", "hetzner-cpu1", null, "?/3/5", true]);
  assert.deepEqual((voters as Record<string, unknown>)["hetzner-cpu1"], {
    alive: null,
    is_leader: true,
    match_index: null,
    suspect: null,
  });
});

test(
  "the runbooks' jq commands print what operators expect",
  { skip: spawnSync(jqProgram, ["--version"]).error !== undefined },
  () => {
    const jq = (body: object, ...args: readonly string[]): string => {
      const { stdout, stderr, status } = spawnSync(jqProgram, [...args], { input: sent(body), encoding: "utf8" });
      assert.equal(status, 0, stderr);
      return stdout.trim();
    };
    const body = statusBody(healthyLeader);
    assert.equal(jq(body, ".leader_id"), '"hetzner-cpu1"');
    assert.equal(jq(statusBody(leaderless), ".leader_id"), "null");
    assert.equal(jq(statusBody(leaderless), "-r", '.leader_id // "none"'), "none");
    assert.equal(jq(body, ".alive_peers"), "8");
    assert.equal(
      jq(body, '.voters | keys | join(" ")'),
      '"hetzner-cpu1 hetzner-cpu2 nebius-backbone-1 nebius-h100-3 vultr-a100-20gb"',
    );
  },
);

test(
  "the runbooks' python sees as many voters as are alive",
  { skip: spawnSync("python3", ["--version"]).error !== undefined },
  () => {
    const program = `import sys, json
d = json.load(sys.stdin)
print(d.get("leader_id", "NONE"), d.get("role", "unknown"), d.get("alive_peers", 0), d.get("total_peers", 0), d.get("cluster_health", "unknown"), d.get("status", "unknown"))
print(f"{len([v for v in d.get('voters', {}).values() if v.get('alive')])}/5")`;
    const { stdout } = spawnSync("python3", ["-c", program], {
      input: sent(statusBody(loseVoters(healthyLeader, 1))),
      encoding: "utf8",
    });
    assert.equal(stdout, "hetzner-cpu1 leader 8 36 degraded ok\n4/5\n");
  },
);
