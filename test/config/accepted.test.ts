import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { loadConfig, parseDuration, profiles, validateConfig, type ProfileName } from "#config";
import { NodeId } from "#kernel";
import { httpPollProfiles, swimProfiles } from "#membership/core";
import { load, loaded, refused, valid, warned, writeConfig } from "./load.ts";

const example = fileURLToPath(new URL("../../config/distributed_hosts.yaml", import.meta.url));
const addresses = /^(?:\d{1,3}\.){3}\d{1,3}$/;

test("a small file becomes a complete, frozen configuration", () => {
  const config = loaded(valid);
  const { swim, httpPoll, ...membership } = config.membership;
  assert.deepEqual([swim, httpPoll], [swimProfiles.local, httpPollProfiles.failover]);
  assert.deepEqual(
    { ...config, file: "", dataDirectory: "", hosts: [...config.hosts.keys()], membership },
    {
      file: "",
      dataDirectory: "",
      nodeId: "a",
      clusterId: null,
      role: "voter",
      hosts: ["a", "b", "c", "w"],
      voters: ["a", "b", "c"],
      listen: { host: "127.0.0.1", httpHost: "127.0.0.1", http: 8770, peer: 8772, client: 8773 },
      tls: { peer: null, client: null },
      insecure: false,
      modes: { membership: "none", consensus: "raft" },
      membership: {
        label: "ringraft",
        keyFile: null,
        bind: "127.0.0.1:8771",
        advertise: ["127.0.0.1:8771"],
        seeds: ["a", "b", "c"].map((id) => ({ id, addresses: ["127.0.0.1:8771"] })),
        allow: { ids: ["a", "b", "c", "w"], networks: [] },
        maxMainStallMs: 30_000,
      },
      timing: { profile: "local", tickMs: 20, heartbeatMs: 100, electionMs: 600 },
      raft: {
        maxMessageBytes: 1_048_576,
        maxInflightBytes: 8_388_608,
        maxUncommittedBytes: 67_108_864,
        snapshotEveryEntries: 100_000,
        keepEntries: 10_000,
        segmentBytes: 16_777_216,
        minFreeBytes: 268_435_456,
        leaseReads: null,
      },
      election: {
        priorities: new Map([
          [NodeId("a"), 3],
          [NodeId("b"), 2],
          [NodeId("c"), 1],
        ]),
        preempt: false,
      },
      sessions: { defaultTtlMs: 15_000, electionGraceMs: 3_000, renewIntervalMs: 1_000 },
      adminKeyFile: null,
      worker: null,
      log: { level: "info" },
    },
  );
  assert.equal(config.dataDirectory, join(dirname(config.file), "ringraft-data/a"));
  assert.ok(Object.isFrozen(config.timing) && Object.isFrozen(config.hosts.get(NodeId("b"))));
});

test("one file serves every node: a host's own section overrides the cluster's", () => {
  const text = `${valid.replace("node_id: a\n", "").replace("http: 8800", "http: 8801")}
data_dir: data/shared
worker:
  queues: [selfplay]
  capabilities: {cpu: 4, memory_mib: 2000}
  handlers: {selfplay: {command: [./play, --fast]}}
`.replace(
    "w: {host: 127.0.0.1, ringraft: {",
    "w: {host: 127.0.0.1, ringraft: {data_dir: data/w, log: {level: debug}, worker: {slots: 3, capabilities: {cpu: 2}}, ",
  );
  const file = writeConfig(text);
  const result = loadConfig({ file, env: { RINGRIFT_NODE_ID: "w" } });
  assert.ok(result.ok);
  const { config } = result;
  assert.equal(config.role, "worker");
  assert.equal(config.dataDirectory, join(dirname(file), "data/w"));
  assert.equal(config.listen.http, 8801);
  assert.equal(config.log.level, "debug");
  assert.deepEqual(config.worker, {
    queues: ["selfplay"],
    slots: 3,
    ttlMs: 15_000,
    drainTimeoutMs: 30_000,
    capabilities: { gpuCount: 0, gpuMemoryMib: 0, gpuModel: "", cuda: 0, cpu: 2, memoryMib: 2_000, diskMib: 1_024, labels: {} },
    handlers: new Map([
      [
        "selfplay",
        {
          command: [join(dirname(file), "play"), "--fast"],
          workingDirectory: dirname(file),
          nice: 10,
          timeoutMs: 3_600_000,
          environment: {},
        },
      ],
    ]),
  });
  const voter = loadConfig({ file, env: { RINGRIFT_NODE_ID: "a" } });
  assert.ok(voter.ok);
  assert.equal(voter.config.worker, null);
  assert.equal(voter.config.dataDirectory, join(dirname(file), "data/shared"));
});

test("hosts may be a list with names, as the connectivity runbook writes it", () => {
  const text = `voters: [nebius-h100]
insecure: true
hosts:
  - name: nebius-h100
    host: 89.169.111.139 # Primary (Tailscale)
    fallback_host: 10.0.0.15 # Fallback (internal)
    port: 22
  - name: vast-1
    tailscale_ip: 100.64.0.9
`;
  const config = loaded(text, { env: { RINGRIFT_NODE_ID: "nebius-h100" } });
  assert.deepEqual(
    [...config.hosts.values()].map(({ name, address }) => [name, address]),
    [
      ["nebius-h100", "89.169.111.139"],
      ["vast-1", "100.64.0.9"],
    ],
  );
  assert.deepEqual([config.listen.host, config.insecure], ["0.0.0.0", true]);
});

test("voter_nodes is voters under its other name, and both may stand when they agree", () => {
  assert.deepEqual(loaded(valid.replace("voters:", "voter_nodes:")).voters, ["a", "b", "c"]);
  assert.deepEqual(loaded(`${valid}voter_nodes: [a, b, c]\n`).voters, ["a", "b", "c"]);
});

test("a node's name comes from the flag, the environment, canonical_node_id or node_id, when all that are given agree", () => {
  const nameless = valid.replace("node_id: a\n", "");
  assert.equal(loaded(nameless, { env: { RINGRIFT_NODE_ID: "b" } }).nodeId, "b");
  assert.equal(loaded(nameless, { canonicalNodeId: "c\n" }).nodeId, "c");
  assert.equal(loaded(nameless, { overrides: { nodeId: "w" } }).nodeId, "w");
  assert.equal(loaded(valid, { env: { RINGRIFT_NODE_ID: "a" }, canonicalNodeId: "a" }).nodeId, "a");
  assert.equal(loaded(valid, { env: { RINGRIFT_NODE_ID: "" } }).nodeId, "a");
});

test("the runbooks' election block is read in seconds by profile legacy, and pointed out elsewhere", () => {
  const block = "election:\n  heartbeat_interval: 10 # seconds\n  peer_timeout: 50\n  election_timeout: 30\n";
  const legacy = `${valid.replace("profile: local", "profile: legacy")}${block}`;
  assert.deepEqual(loaded(legacy).timing, { profile: "legacy", tickMs: 1_000, heartbeatMs: 10_000, electionMs: 50_000 });
  assert.match(
    warned(legacy).join(),
    /election_timeout describe the Bully election and are not used by Raft with profile legacy/,
  );
  assert.deepEqual(loaded(valid + block).timing.electionMs, 600);
  assert.match(
    warned(valid + block).join(),
    /^9:1 election: heartbeat_interval, peer_timeout, election_timeout describe the Bully/,
  );
});

test("keys of other programs are named once and left alone", () => {
  const text = `${valid.replace("b: {host: 127.0.0.1,", "b: {host: 127.0.0.1, gpu: L40S, tailscale_ipp: x,")}sync_routing:\n  max_disk_usage_percent: 70.0\nversion: 2\n`;
  assert.deepEqual(warned(text), [
    "9:1 sync_routing: not read by ringraft and left to other programs: sync_routing, version",
    "6:24 hosts.b.gpu: keys of hosts that ringraft does not read: gpu, tailscale_ipp\n  did you mean tailscale_ip instead of tailscale_ipp?",
  ]);
});

test("an even number of voters, and a single one, are warned about", () => {
  assert.match(
    warned(valid.replace("[a, b, c]", "[a, b]")).join(),
    /2 voters survive the loss of 0, as 1 would: use an odd number/,
  );
  assert.match(warned(valid.replace("[a, b, c]", "[a]")).join(), /one voter: its loss stops the cluster/);
});

test("the defaults of the flags are accepted", () => {
  assert.deepEqual(warned(valid, { env: { RINGRIFT_CONSENSUS_MODE: "raft", RINGRIFT_RAFT_ENABLED: "true" } }), []);
});

test("a detector runs where the file or a flag says something about membership; the MODE decides which", () => {
  const mode = (section: string, env: Record<string, string> = {}) => loaded(valid + section, { env }).modes.membership;
  assert.equal(mode(""), "none");
  assert.equal(mode("membership: {key_file: k}\n"), "swim");
  assert.equal(mode("membership: {key_file: k, mode: hybrid}\n"), "hybrid");
  assert.equal(mode("membership: {mode: http}\n"), "http");
  assert.equal(mode("membership: {key_file: k, mode: hybrid}\n", { RINGRIFT_MEMBERSHIP_MODE: "http" }), "http");
  assert.equal(mode("membership: {key_file: k}\n", { RINGRIFT_SWIM_ENABLED: "true" }), "swim");
  assert.equal(mode("", { RINGRIFT_SWIM_ENABLED: "false" }), "http");
  const halfway = { RINGRIFT_MEMBERSHIP_MODE: "http", RINGRIFT_SWIM_ENABLED: "true" };
  assert.match(warned(valid, { env: halfway }).join(), /RINGRIFT_SWIM_ENABLED=true has no effect: RINGRIFT_MEMBERSHIP_MODE=http/);
  const both = warned(`${valid}membership: {key_file: k, mode: hybrid}\n`, { env: { RINGRIFT_SWIM_ENABLED: "false" } });
  assert.match(both.join(), /RINGRIFT_SWIM_ENABLED=false has no effect: membership\.mode=hybrid decides/);
});

test("ADR-013: every step of the migration, and the way back, is a change of the environment alone", () => {
  const file = `${valid}membership: {key_file: k}\n`;
  const mode = (env: Record<string, string>) => loaded(file, { env }).modes.membership;
  assert.equal(mode({ RINGRIFT_SWIM_ENABLED: "false", RINGRIFT_MEMBERSHIP_MODE: "http" }), "http", "where the ADR begins");
  assert.equal(mode({ RINGRIFT_SWIM_ENABLED: "true", RINGRIFT_MEMBERSHIP_MODE: "hybrid" }), "hybrid", "phase 1: the pilot");
  assert.equal(mode({ RINGRIFT_SWIM_ENABLED: "true", RINGRIFT_MEMBERSHIP_MODE: "swim" }), "swim", "phase 2");
  assert.equal(mode({ RINGRIFT_SWIM_ENABLED: "true" }), "swim");
  assert.equal(mode({ RINGRIFT_SWIM_ENABLED: "true", RINGRIFT_MEMBERSHIP_MODE: "http" }), "http", "rolled back");
  assert.equal(mode({ RINGRIFT_SWIM_ENABLED: "false" }), "http", "rolled back by the other flag");
  assert.match(
    refused(`${valid}membership: {key_file: k, mode: swim}\n`, { env: { RINGRIFT_SWIM_ENABLED: "false" } }).join(),
    /RINGRIFT_SWIM_ENABLED=false contradicts membership\.mode=swim/,
  );
});

test("durations are milliseconds or text with a unit, sizes bytes or text with a unit", () => {
  assert.deepEqual(["250ms", "1.1s", "2 m", "1h", 40].map(parseDuration), [250, 1_100, 120_000, 3_600_000, 40]);
  assert.deepEqual(
    ["5 parsecs", "-1s", "1e3s", "", "s", -1, 0.5, NaN, Infinity, true, null].map(parseDuration),
    Array(11).fill(null),
  );
  assert.equal(loaded(`${valid}raft: {segment: 32MiB}\n`).raft.segmentBytes, 33_554_432);
});

test("a lease is what clock drift and two ticks leave of the election timeout, in whole milliseconds", () => {
  assert.deepEqual(loaded(`${valid}raft: {lease_reads: true}\n`).raft.leaseReads, { leaseMs: 600 * 0.9 - 2 * 20 });
  assert.deepEqual(loaded(`${valid}raft: {lease_reads: true, clock_drift: 0.5}\n`).raft.leaseReads, { leaseMs: 260 });
  assert.deepEqual(loaded(`${valid}raft: {lease_reads: true, clock_drift: 0.333}\n`).raft.leaseReads, { leaseMs: 360 });
  assert.equal(loaded(`${valid}raft: {clock_drift: 0.5}\n`).raft.leaseReads, null);
});

test("the voters' order is their priority; that a healthy leader makes way is asked for", () => {
  const { election } = loaded(`${valid}election: {preempt: true}\n`);
  assert.equal(election.preempt, true);
  assert.deepEqual(
    [...election.priorities.values()],
    [...election.priorities.values()].toSorted((a, b) => b - a),
  );
});

test("an alias may be used a few times", () => {
  const text = valid
    .replace("c: {host: 127.0.0.1,", "c: {host: *home,")
    .replace("a: {host: 127.0.0.1}", "a: {host: &home 127.0.0.1}");
  assert.equal(loaded(text).hosts.get(NodeId("c"))?.address, "127.0.0.1");
});

test("every profile keeps its own rules and its file in config/profiles says the same numbers", () => {
  for (const [name, numbers] of Object.entries(profiles)) {
    const path = fileURLToPath(new URL(`../../config/profiles/${name}.yaml`, import.meta.url));
    const { timing, sessions } = parse(readFileSync(path, "utf8")) as Record<string, Record<string, string>>;
    assert.equal(timing?.["profile"], name);
    assert.deepEqual(
      {
        tickMs: parseDuration(timing?.["tick"]),
        heartbeatMs: parseDuration(timing?.["heartbeat"]),
        electionMs: parseDuration(timing?.["election"]),
        defaultTtlMs: parseDuration(sessions?.["default_ttl"]),
        electionGraceMs: parseDuration(sessions?.["election_grace"]),
        renewIntervalMs: parseDuration(sessions?.["renew_interval"]),
      },
      numbers,
    );
    assert.equal(loaded(valid.replace("profile: local", `profile: ${name}`)).timing.profile, name as ProfileName);
  }
});

test("the example cluster is valid for all its nodes, with the failover runbook's voters", () => {
  const result = validateConfig({ file: example, env: {} });
  assert.ok(result.ok);
  assert.deepEqual(result.nodes[0]?.voters, [
    "nebius-backbone-1",
    "nebius-h100-3",
    "hetzner-cpu1",
    "hetzner-cpu2",
    "vultr-a100-20gb",
  ]);
  assert.deepEqual(result.nodes.filter(({ role }) => role === "worker").length, 5);
  const runpod = result.nodes.find(({ nodeId }) => nodeId === "runpod-h100");
  assert.deepEqual([...(runpod?.worker?.handlers.keys() ?? [])], ["selfplay", "train"]);
  assert.match(
    result.warnings.map(({ message }) => message).join(),
    /^not read by ringraft and left to other programs: sync_routing$/,
  );
});

test("the runbooks' grep and awk print the example cluster's addresses and nothing else", () => {
  const shell = (command: string): readonly string[] =>
    spawnSync("sh", ["-c", command, "sh", example], { encoding: "utf8" }).stdout.trim().split("\n");
  const hosts = shell(`cat "$1" | grep 'host:' | awk '{print $2}'`);
  const mesh = shell(`cat "$1" | grep "tailscale_ip" | awk '{print $2}'`);
  assert.deepEqual([hosts.length, mesh.length], [11, 10]);
  for (const address of [...hosts, ...mesh]) assert.match(address, addresses);
});

test("validation on a machine that is none of the nodes does not look for the nodes' keys; a start does", () => {
  const result = load(readFileSync(example, "utf8"), { env: { RINGRIFT_NODE_ID: "hetzner-cpu1" } });
  assert.ok(!result.ok);
  assert.match(result.problems[0]?.message ?? "", /^\/etc\/ringraft\/tls\/peer-ca\.pem does not exist$/);
});
