import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { explainProblems, loadConfig, validateConfig } from "#config";
import { load, refused, valid, writeConfig } from "./load.ts";

const message = (file: string): string => {
  const result = loadConfig({ file, env: {} });
  return result.ok ? "accepted" : explainProblems(result.problems).trimEnd();
};

test("row 1: a file that is missing, a folder, too large or not text is named with the reason", () => {
  const there = writeConfig(valid);
  assert.match(message(`${there}x`), /hosts\.yamlx: does not exist$/);
  assert.match(message(`${there}/x`), /hosts\.yaml\/x: does not exist/);
  assert.match(message(dirname(there)), /: is a directory$/);
  assert.match(message("/dev/zero"), /^\/dev\/zero: is not a regular file/);
  assert.match(message(writeConfig("#".repeat(262_145))), /: has 262145 bytes, over the limit of 262144/);
  writeFileSync(there, Buffer.from([0xff, 0xfe, 0x00]));
  assert.match(message(there), /is not UTF-8 text/);
});

test("row 1: an unreadable file is refused by name", { skip: process.getuid?.() === 0 && "root reads everything" }, () => {
  const file = writeConfig(valid);
  chmodSync(file, 0);
  assert.match(message(file), /cannot be read: permission denied/);
});

test("row 2: a syntax error is reported with line and column", () => {
  assert.match(refused("voters: [a\nhosts: {")[0] ?? "", /^2:\d+: not valid YAML: /);
  assert.match(refused("hosts:\n\ta: 1")[0] ?? "", /^2:1: not valid YAML: /);
  assert.match(refused("a: !!binary x")[0] ?? "", /^1:4: not valid YAML: Unresolved tag/);
  assert.match(refused("a: 1\n---\nb: 2\n")[0] ?? "", /^\d:\d+: not valid YAML: /);
});

test("an empty file, a list and a text are not a configuration", () => {
  assert.deepEqual(refused(""), ["the file must hold sections, got null"]);
  assert.deepEqual(refused("- a"), ["the file must hold sections, got a list"]);
  assert.deepEqual(refused("hello"), ['the file must hold sections, got "hello"']);
});

test("row 3: an unknown key in our sections is an error that says what was meant", () => {
  assert.deepEqual(refused(`${valid}electon_timeout: 3\n`), [
    "9:1 electon_timeout: unknown key electon_timeout\n  did you mean election.election_timeout?",
  ]);
  assert.deepEqual(refused(`${valid}election: {electon_timeout: 30}\n`), [
    "9:12 election.electon_timeout: unknown key electon_timeout\n  did you mean election_timeout?",
  ]);
  assert.deepEqual(refused(valid.replace("voters:", "voter:"))[0], "2:1 voter: unknown key voter\n  did you mean voters?");
  assert.deepEqual(refused(valid.replace("client: 8783", "clinet: 8783")), [
    "6:67 hosts.b.ringraft.ports.clinet: unknown key clinet\n  did you mean client?",
  ]);
  assert.deepEqual(refused(`${valid}ports: {admin: 8001}\n`), [
    "9:9 ports.admin: unknown key admin\n  known here: http, peer, client",
  ]);
});

test("row 4: a key that stands twice is an error", () => {
  assert.match(refused(`${valid}voters: [a]\n`)[0] ?? "", /^9:1: not valid YAML: Map keys must be unique/);
});

test("row 6: __proto__ and constructor are refused as keys, and no prototype changes", () => {
  assert.deepEqual(refused(`${valid}__proto__: {x: 1}\n`), ["9:1 __proto__: this name is not allowed as a key"]);
  assert.deepEqual(refused(valid.replace("  w:", "  constructor:")), ["8:3 constructor: this name is not allowed as a key"]);
  assert.equal(({} as Record<string, unknown>)["x"], undefined);
});

test("merge keys, keys that are not text, alias bombs and bottomless nesting are refused", () => {
  assert.deepEqual(refused(`${valid}<<: {x: 1}\n`), ["9:1 <<: merge keys are not supported"]);
  assert.deepEqual(refused(valid.replace("  w:", "  12:")), ["8:3 12: a key must be text; put quotes around it"]);
  const bomb = [
    "a: &a [x, x, x]",
    ...["b", "c", "d"].map((name, i) => `${name}: &${name} [${Array(9).fill(`*${"abc"[i]}`).join()}]`),
  ];
  assert.deepEqual(refused(bomb.join("\n")), ["more aliases than the 10 that are allowed"]);
  assert.match(refused(`a: ${"[".repeat(100)}${"]".repeat(100)}`).join(), /nested deeper than 32 levels/);
  assert.match(refused(`a: ${"[".repeat(100_000)}`).join(), /nested too deeply|not valid YAML/);
});

test("row 7: a port that is none is named with its value", () => {
  for (const [written, shown] of [
    ["0", "0"],
    ["70000", "70000"],
    ["80a", '"80a"'],
    ["-1", "-1"],
    ["1.5", "1.5"],
  ] as const) {
    assert.deepEqual(refused(`${valid}ports: {peer: ${written}}\n`), [
      `9:15 ports.peer: ${shown} is not a port: it must be a whole number from 1 to 65535`,
    ]);
  }
});

test("row 7: two listeners on one port are an error that names both", () => {
  assert.deepEqual(refused(valid.replace("client: 8783", "client: 8782")), [
    "6:75 hosts.b.ringraft.ports.client: port 8782 of 127.0.0.1 is claimed twice: by hosts.b peer and by hosts.b client\n  give one of them its own port under hosts.b.ringraft.ports",
  ]);
  assert.match(
    refused(valid.replace("peer: 8792", "peer: 8770")).join(),
    /port 8770 of 127\.0\.0\.1 is claimed twice: by hosts\.a http and by hosts\.c peer/,
  );
});

test("row 8: timings that cannot work are refused with the rule", () => {
  const timing = (text: string) => refused(valid.replace("profile: local", text));
  assert.deepEqual(timing("heartbeat: 200ms, election: 600ms"), [
    "3:38 timing.election: the election timeout 600 ms must be above 3 × the heartbeat 200 ms (profile mesh)\n  two lost heartbeats must not depose a healthy leader",
  ]);
  assert.deepEqual(
    timing("tick: 30ms"),
    [
      "timing.heartbeat: the heartbeat 250 ms must be a multiple of the tick 30 ms (profile mesh)",
      "timing.election: the election 2 s must be a multiple of the tick 30 ms (profile mesh)",
    ].map((text) => `3:9 ${text}`),
  );
  assert.match(timing("profile: lann").join(), /"lann" must be one of local, lan, mesh, legacy\n {2}did you mean lan\?/);
});

test("row 9: negative, not-a-number, infinite and fanciful durations are refused", () => {
  for (const written of ["-5", "-5s", ".nan", ".inf", "1e309", "5 parsecs", "[]", "true", "0.5"]) {
    assert.match(
      refused(`${valid}sessions: {default_ttl: ${written}}\n`).join(),
      /^9:\d+ sessions\.default_ttl: .* is not a duration: /,
      written,
    );
  }
  assert.deepEqual(refused(`${valid}sessions: {default_ttl: 2h}\n`), [
    '9:25 sessions.default_ttl: "2h" is outside 1 s to 3600 s',
  ]);
});

test("row 10: TLS files must be there, be PEM, and keep the key private", () => {
  const file = writeConfig(`${valid}tls: {peer: {ca: ca.pem, cert: cert.pem, key: key.pem}}\n`);
  const folder = dirname(file);
  const certificate = "-----BEGIN CERTIFICATE-----\n";
  assert.match(
    message(file),
    /:9:18 tls\.peer\.ca: .*\/ca\.pem does not exist\n.*cert\.pem does not exist\n.*key\.pem does not exist$/,
  );
  writeFileSync(join(folder, "ca.pem"), certificate);
  writeFileSync(join(folder, "cert.pem"), "hello");
  writeFileSync(join(folder, "key.pem"), "-----BEGIN EC PRIVATE KEY-----\n", { mode: 0o644 });
  assert.match(
    message(file),
    /cert\.pem holds no PEM certificate\n.*key\.pem is a private key that everybody on this machine may open \(mode 0644\): chmod 600$/,
  );
  writeFileSync(join(folder, "cert.pem"), certificate);
  chmodSync(join(folder, "key.pem"), 0o600);
  assert.equal(message(file), "accepted");
  assert.match(refused(`${valid}tls: {peer: {ca: ca.pem, cert: cert.pem}}\n`).join(), /tls\.peer\.key: is missing/);
});

test("row 11: voters must be known, listed once, and at least one", () => {
  const voters = (list: string) => refused(valid.replace("[a, b, c]", list));
  assert.deepEqual(voters("[a, b, b]"), ["2:16 voters[2]: the voter b is listed twice"]);
  assert.deepEqual(voters("[a, b, x]"), ["2:16 voters[2]: the voter x is not under hosts"]);
  assert.deepEqual(voters("[]"), ["2:9 voters: no voters are named: list the nodes that keep the log"]);
});

test("row 11: a node id that stands twice in a list of hosts is an error", () => {
  const text = "voters: [a]\nhosts:\n  - {name: a, host: 127.0.0.1}\n  - {name: a, host: 127.0.0.2}\n  - {host: 127.0.0.3}\n";
  assert.deepEqual(refused(text), [
    '4:12 hosts[1].name: the node id "a" stands twice under hosts',
    "5:5 hosts[2].name: every host of a list needs a name",
  ]);
});

test("row 11: a node that is not under hosts is told which names are", () => {
  assert.deepEqual(refused(valid.replace("node_id: a", "node_id: hetzner")), [
    '5:3 hosts: this node\'s id "hetzner" is not under hosts\n  hosts has: a, b, c, w',
  ]);
});

test("voters and voter_nodes that differ are refused with both lists", () => {
  assert.deepEqual(refused(`${valid}voter_nodes: [a, b]\n`), [
    "9:14 voter_nodes: voters (a, b, c) and voter_nodes (a, b) differ\n  keep one of the two lists",
  ]);
});

test("sources of the node's name that disagree are all named", () => {
  assert.deepEqual(refused(valid, { env: { RINGRIFT_NODE_ID: "b" }, canonicalNodeId: "c\n", overrides: { nodeId: "w" } }), [
    '1:10 node_id: the node\'s name is disputed: --node-id says "w", RINGRIFT_NODE_ID says "b", the file canonical_node_id says "c", node_id in the configuration says "a"\n  make them agree',
  ]);
});

test("a node without a name does not fall back to its hostname", () => {
  assert.match(
    refused(valid.replace("node_id: a\n", "")).join(),
    /node_id: this node has no name\n {2}set RINGRIFT_NODE_ID, or write .* canonical_node_id .*, or set node_id in it$/,
  );
});

test("the monitoring log's container ids, addresses and unprintable names are no node ids", () => {
  const named = (id: string) => refused(valid, { env: { RINGRIFT_NODE_ID: id } }).join();
  const nameless = (id: string) => refused(valid.replace("node_id: a\n", ""), { env: { RINGRIFT_NODE_ID: id } }).join();
  assert.match(nameless("2d9de0d97a72"), /RINGRIFT_NODE_ID: "2d9de0d97a72" looks like a container id/);
  assert.match(nameless("a".repeat(64)), /looks like a container id/);
  assert.match(nameless("100.64.0.1"), /is an address/);
  assert.match(nameless("../etc"), /cannot name a node: use 1 to 64 letters/);
  assert.match(named("a\u202e"), /disputed/);
  assert.match(
    refused(valid.replace("  w:", "  7513a0ce51c0:")).join(),
    /^8:3 hosts\.7513a0ce51c0: "7513a0ce51c0" looks like a container id/,
  );
});

test("a canonical_node_id that cannot be read stops the start instead of being skipped", () => {
  const file = writeConfig(valid);
  mkdirSync(join(dirname(file), "canonical_node_id"));
  assert.match(message(file), /\/canonical_node_id: is a directory$/);
});

test("a listener that other machines can reach needs TLS or a written insecure", () => {
  const open = valid.replace("a: {host: 127.0.0.1}", "a: {host: 192.0.2.1}");
  assert.deepEqual(refused(open), [
    "5:6 hosts.a: the status port 0.0.0.0:8770 of a is plain HTTP and can be reached from other machines\n  write insecure: [http] if that network is trusted (a mesh VPN), or listen.http_address: 127.0.0.1",
    "tls.peer: the peer port 0.0.0.0:8772 of a can be reached from other machines without TLS\n  give tls.peer {ca, cert, key}, listen on 127.0.0.1, or write insecure: true",
    "tls.client: the client port 0.0.0.0:8773 of a can be reached from other machines without TLS\n  give tls.client {ca, cert, key}, listen on 127.0.0.1, or write insecure: true",
  ]);
  assert.equal(refused(`${open}insecure: [http]\n`).length, 2);
  assert.ok(load(`${open}insecure: true\n`).ok);
  assert.ok(load(`${open}listen: {address: 127.0.0.1}\n`).ok);
  assert.equal(refused(`${valid}listen: {address: 0.0.0.0}\n`).length, 3);
  assert.match(refused(`${valid}insecure: yes please\n`).join(), /"yes please" must be true, false or \[http\]/);
});

test("ADR-013: modes that this version does not do are refused with UNIMPLEMENTED and the setting's name", () => {
  const set = (env: Record<string, string>) => refused(valid, { env }).join("\n");
  assert.match(
    set({ RINGRIFT_CONSENSUS_MODE: "bully" }),
    /^RINGRIFT_CONSENSUS_MODE: UNIMPLEMENTED: RINGRIFT_CONSENSUS_MODE=bully is not in this version/,
  );
  assert.match(set({ RINGRIFT_CONSENSUS_MODE: "etcd" }), /UNIMPLEMENTED/);
  assert.match(
    set({ RINGRIFT_RAFT_ENABLED: "false" }),
    /UNIMPLEMENTED: RINGRIFT_RAFT_ENABLED=false \(which means consensus mode bully\)/,
  );
  assert.match(
    refused(`${valid}consensus: {mode: hybrid}\n`).join(),
    /^9:19 consensus\.mode: UNIMPLEMENTED: consensus\.mode=hybrid/,
  );
  const busyVoter = valid.replace("a: {host: 127.0.0.1}", "a: {host: 127.0.0.1, ringraft: {worker: {slots: 1}}}");
  assert.match(refused(busyVoter).join(), /UNIMPLEMENTED: a is a voter, and a voter that also runs work is not in this version/);
});

test("ADR-013: flags that contradict each other or are misspelt fail, naming both settings", () => {
  const set = (env: Record<string, string>) => refused(valid, { env }).join("\n");
  assert.match(
    set({ RINGRIFT_RAFT_ENABLED: "false", RINGRIFT_CONSENSUS_MODE: "raft" }),
    /RINGRIFT_RAFT_ENABLED=false contradicts RINGRIFT_CONSENSUS_MODE=raft/,
  );
  assert.match(set({ RINGRIFT_SWIM_ENABLED: "yes" }), /^RINGRIFT_SWIM_ENABLED: "yes" must be true or false/);
  assert.match(set({ RINGRIFT_CONSENSUS_MODE: "rafd" }), /"rafd" must be one of bully, raft, hybrid, etcd/);
});

test("limits that cannot hold together are refused with both numbers", () => {
  const raft = (text: string) => refused(`${valid}raft: {${text}}\n`).join();
  assert.match(
    raft("max_message: 2MiB, max_inflight: 1MiB"),
    /raft\.max_message: 2097152 bytes is over raft\.max_inflight 1048576/,
  );
  assert.match(raft("keep_entries: 100000"), /100000 entries must be below raft\.snapshot_every 100000/);
  assert.match(raft("lease_reads: true, clock_drift: 0.99"), /0\.99 of the election timeout .* leave no time for a lease/);
  assert.match(raft("lease_reads: true, clock_drift: 0.94"), /two ticks of 20 ms leave no time for a lease/);
  assert.match(raft("lease_reads: true, clock_drift: 2"), /must be a share from 0 to 1/);
  assert.match(raft("segment: 5 floppies"), /"5 floppies" is not a size/);
  assert.match(
    refused(`${valid}sessions: {default_ttl: 2s}\n`).join(),
    /a lease of 2 s is shorter than 3 × sessions\.renew_interval 1 s and 2 × the heartbeat 100 ms\n {2}use at least 3 s/,
  );
});

test("wrong types are named with what was expected and what was found", () => {
  assert.deepEqual(refused(valid.replace("[a, b, c]", "a")), ['2:9 voters: must be a list, got "a"']);
  assert.deepEqual(refused(valid.replace("{profile: local}", "fast")), ['3:9 timing: must be a section, got "fast"']);
  assert.deepEqual(refused("voters: [a]\n"), ["hosts: is missing"]);
  assert.deepEqual(refused("voters: [a]\nhosts: {}\n")[0], "2:8 hosts: there must be at least one host");
  assert.match(
    refused(valid.replace("a: {host: 127.0.0.1}", "a: {gpu: x}")).join(),
    /hosts\.a: has no address: give host or tailscale_ip/,
  );
  assert.match(refused(`${valid}worker: {handlers: {train: {command: python train.py}}}\n`).join(), /must be a list/);
});

test("all problems are reported at once, and validation finds those of every node", () => {
  assert.equal(refused(`${valid}ports: {http: 0}\nlog: {level: loud}\ntiming2: 1\n`).length, 3);
  const open = writeConfig(valid.replaceAll("127.0.0.1", "192.0.2.1"));
  const result = validateConfig({ file: open, env: {} });
  assert.ok(!result.ok);
  assert.deepEqual(
    result.problems.map(({ message: text }) => / of (\w) /.exec(text)?.[1]),
    ["a", "a", "a", "b", "b", "b", "c", "c", "c", "w"],
  );
});
