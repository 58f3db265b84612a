import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { NodeId } from "#kernel";
import { catalogue, nodeMetrics } from "#observe";
import { MAX_SERIES, Registry } from "../../src/observe/registry.ts";
import { healthyLeader, leaderless, loseVoters, worker } from "./view.ts";

const idle = { eventLoopLagSeconds: 0.002, residentBytes: 1_000, cpuSeconds: 1.5, startTimeSeconds: 1 };

function lines(update: (metrics: ReturnType<typeof nodeMetrics>) => void): readonly string[] {
  const metrics = nodeMetrics();
  update(metrics);
  return metrics.render().split("\n");
}

test("the runbook's three metrics and its grep for p2p_leader and p2p_election print something useful", () => {
  const text = lines((metrics) => metrics.update(healthyLeader, idle));
  assert.deepEqual(
    text.filter((line) => line.startsWith("ringrift_p2p_")),
    [
      "ringrift_p2p_is_leader 1",
      'ringrift_p2p_leader_info{leader_id="hetzner-cpu1"} 1',
      "ringrift_p2p_alive_peers 8",
      "ringrift_p2p_election_count 3",
    ],
  );
  const grepped = text.filter((line) => /p2p_leader|p2p_election/.test(line) && !line.startsWith("#"));
  assert.deepEqual(grepped, ['ringrift_p2p_leader_info{leader_id="hetzner-cpu1"} 1', "ringrift_p2p_election_count 3"]);
});

test("what is gone leaves no ghost: a lost leader, an emptied queue", () => {
  const text = lines((metrics) => {
    metrics.update(healthyLeader, idle);
    metrics.update({ ...leaderless, state: { ...healthyLeader.state!, queues: new Map() } }, idle);
  });
  assert.deepEqual(
    text.filter((line) => /leader_info\{|queue_items\{/.test(line)),
    [],
  );
  assert.ok(text.includes("ringrift_raft_has_leader 0"));
});

test("leader changes count another leader, not the first and not the gap between two", () => {
  const text = lines((metrics) => {
    for (const leaderId of [null, "a", null, "a", "b", "b", null, "a"]) {
      metrics.update({ ...healthyLeader, leaderId: leaderId === null ? null : NodeId(leaderId) }, idle);
    }
  });
  assert.ok(text.includes("ringrift_raft_leader_changes_total 2"));
});

test("fault tolerance is how many more voters may be lost, and negative without a quorum", () => {
  const tolerance = (lost: number) =>
    lines((metrics) => metrics.update(loseVoters(healthyLeader, lost), idle)).find((line) =>
      line.startsWith("ringrift_raft_fault_tolerance "),
    );
  assert.deepEqual([0, 2, 3].map(tolerance), [
    "ringrift_raft_fault_tolerance 2",
    "ringrift_raft_fault_tolerance 0",
    "ringrift_raft_fault_tolerance -1",
  ]);
});

test("a worker reports no Raft state that it does not have", () => {
  const text = lines((metrics) => metrics.update(worker, idle));
  const raft = text.filter((line) => line.startsWith("ringrift_raft_"));
  assert.deepEqual(raft, ["ringrift_raft_has_leader 1", "ringrift_raft_leader_changes_total 0", "ringrift_raft_voters 5"]);
  assert.ok(text.includes("ringrift_p2p_is_leader 0"));
});

test("a voter shows its log's counters from the start, at zero", () => {
  const text = lines((metrics) => {
    metrics.update(healthyLeader, idle);
    metrics.fsyncDuration.observe(0.003);
  });
  assert.ok(text.includes("ringrift_raft_proposals_total 0"));
  assert.ok(text.includes('ringrift_raft_fsync_duration_seconds_bucket{le="0.0025"} 0'));
  assert.ok(text.includes('ringrift_raft_fsync_duration_seconds_bucket{le="0.005"} 1'));
});

test("a histogram counts up to and including each bound, and sums", () => {
  const registry = new Registry();
  const batch = registry.histogram("ringrift_raft_batch_entries");
  for (const entries of [1, 4, 5, 10_000]) batch.observe(entries);
  assert.equal(
    registry.render(),
    `# HELP ringrift_raft_batch_entries ${catalogue.ringrift_raft_batch_entries.help}
# TYPE ringrift_raft_batch_entries histogram
ringrift_raft_batch_entries_bucket{le="1"} 1
ringrift_raft_batch_entries_bucket{le="4"} 2
ringrift_raft_batch_entries_bucket{le="16"} 3
ringrift_raft_batch_entries_bucket{le="64"} 3
ringrift_raft_batch_entries_bucket{le="256"} 3
ringrift_raft_batch_entries_bucket{le="1024"} 3
ringrift_raft_batch_entries_bucket{le="4096"} 3
ringrift_raft_batch_entries_bucket{le="+Inf"} 4
ringrift_raft_batch_entries_sum 10010
ringrift_raft_batch_entries_count 4
`,
  );
});

test("label values cannot break the text format, and their number is bounded", () => {
  const registry = new Registry();
  registry.gauge("ringrift_queue_items", 'a"\\\n', "PENDING").set(1);
  assert.match(registry.render(), /^ringrift_queue_items\{queue="a\\"\\\\\\n",state="PENDING"\} 1$/m);
  for (let i = 0; i < MAX_SERIES + 100; i++) registry.gauge("ringrift_queue_items", `q${i}`, "PENDING").set(i);
  const series = registry
    .render()
    .split("\n")
    .filter((line) => line.startsWith("ringrift_queue_items{"));
  assert.equal(series.length, MAX_SERIES + 1);
  assert.match(series.at(-1) ?? "", /queue="other",state="other"/);
});

test("a metric used against its definition is a defect, not a wrong number", () => {
  const registry = new Registry();
  assert.throws(() => registry.counter("ringrift_raft_term"), /ringrift_raft_term is a gauge, not a counter/);
  assert.throws(() => registry.gauge("ringrift_queue_items", "a"), /ringrift_queue_items has 2 labels, got 1/);
});

test("docs/metrics.md lists exactly the metrics that exist, with type and labels", () => {
  const page = readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8");
  const documented = [...page.matchAll(/^\| `([a-z0-9_]+)(?:\{([a-z_,]+)\})?` \| (\w+) \| (.+) \|$/gm)].map(
    ([, name, labels, type, help]) => ({
      name,
      labels: labels?.split(",") ?? [],
      type,
      help,
    }),
  );
  const existing = Object.entries(catalogue).map(([name, definition]) => ({
    name,
    labels: "labels" in definition ? [...definition.labels] : [],
    type: definition.type,
    help: definition.help,
  }));
  const pulse = {
    name: "ringrift_pulse_stale_seconds",
    labels: [],
    type: "gauge",
    help: "Age of the snapshot that this page was made from.",
  };
  assert.deepEqual(documented, [...existing, pulse]);
});
