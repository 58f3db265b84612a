import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { explainProblems, loadMembership, type MembershipConfig, parseDuration } from "#config";
import { httpPollKnobs, httpPollProfiles, swimKnobs, swimProfiles } from "#membership/core";
import { loaded, refused, valid, warned, writeConfig } from "./load.ts";

const mesh = valid.replace("profile: local", "profile: mesh");

/** The section as `ringraft swim explain` reads it; a start refuses whatever it sets. */
function membership(section: string, file = mesh): MembershipConfig {
  const loaded = loadMembership(writeConfig(`${file}${section}\n`));
  assert.ok(loaded.ok, loaded.ok ? "" : explainProblems(loaded.problems));
  return loaded.membership;
}

/** Problems of the section itself, without those about what this version does not do. */
function wrong(section: string, file = mesh): readonly string[] {
  return refused(`${file}${section}\n`).filter((problem) => !problem.includes("UNIMPLEMENTED"));
}

test("the profile gives the numbers, and single ones override it", () => {
  const { swim, httpPoll } = membership(
    "membership: {swim: {period: 1s, buddy: false}, http_poll: {profile: connectivity, failures: 5}}",
  );
  assert.deepEqual(swim, { ...swimProfiles.mesh, periodMs: 1_000, buddy: false });
  assert.deepEqual(httpPoll, { ...httpPollProfiles.connectivity, failures: 5 });
});

test("how long the main thread may be silent is a value, at least twice the period", () => {
  assert.equal(membership("membership: {max_main_stall: 1m}").maxMainStallMs, 60_000);
  const hint = "the others must hear that a node is degraded before it falls silent";
  assert.deepEqual(wrong("membership: {max_main_stall: 8s, swim: {period: 5s}}"), [
    `9:30 membership.max_main_stall: max_main_stall 8 s must be at least twice the period 5 s (profile mesh)\n  ${hint}`,
  ]);
  assert.deepEqual(wrong("membership: {swim: {gossip_interval_ms: 16000}}").slice(0, 1), [
    `9:41 membership.swim.gossip_interval_ms: max_main_stall 30 s must be at least twice the period 16 s (profile mesh)\n  ${hint}`,
  ]);
  assert.match(wrong("membership: {max_main_stall: 1s}").join(), /max_main_stall: "1s" is outside 5 s to 600 s/);
});

test("ADR-013's sample is refused with both names and both numbers, and its other names with what stands for them", () => {
  const sample = "membership: {swim: {gossip_interval_ms: 500, ping_timeout_ms: 1000, indirect_ping_count: 3}}";
  assert.deepEqual(wrong(sample), [
    "9:63 membership.swim.ping_timeout_ms: ping_timeout_ms 1 s must be at most half of gossip_interval_ms 500 ms (profile mesh)\n  relays are asked after a direct ping has failed and must answer before the period ends",
  ]);
  assert.deepEqual(wrong("membership: {swim: {bind_port: 8771, suspicion_timeout_ms: 5000}}"), [
    "9:21 membership.swim.bind_port: unknown key bind_port\n  write it into membership.bind, as address:port",
    "9:38 membership.swim.suspicion_timeout_ms: unknown key suspicion_timeout_ms\n  it follows from period, suspicion_multiplier and the number of members: see ringraft swim explain",
  ]);
});

test("ADR-013's names are read as ours; the same number under both names is refused", () => {
  assert.equal(membership("membership: {swim: {gossip_interval_ms: 1000, ping_timeout_ms: 400}}").swim.periodMs, 1_000);
  assert.equal(membership("membership: {swim: {indirect_ping_count: 2}}").swim.indirectProbes, 2);
  assert.deepEqual(wrong("membership: {swim: {gossip_interval_ms: 1000, period: 1s}}"), [
    "9:21 membership.swim.gossip_interval_ms: gossip_interval_ms is ADR-013's name for period, and both are given\n  keep period",
  ]);
});

test("an override is judged against the profile's other numbers, and the one that was written is pointed at", () => {
  assert.deepEqual(wrong("membership: {swim: {period: 600ms}}"), [
    "9:29 membership.swim.period: probe_timeout 350 ms must be at most half of period 600 ms (profile mesh)\n  relays are asked after a direct ping has failed and must answer before the period ends",
  ]);
  assert.deepEqual(wrong("membership: {http_poll: {request_timeout: 20s}}"), [
    "9:43 membership.http_poll.request_timeout: request_timeout 20 s must be below interval 15 s (profile failover)\n  polls of one peer would overlap",
  ]);
});

test("unknown keys are named with what was meant, in the section, its knobs and its seeds", () => {
  assert.match(wrong("membership: {seed: []}")[0] ?? "", /unknown key seed\n {2}did you mean seeds\?/);
  assert.match(wrong("membership: {swim: {probe_timeot: 1s}}")[0] ?? "", /did you mean probe_timeout\?/);
  assert.match(wrong("membership: {http_poll: {intervall: 1s}}")[0] ?? "", /did you mean interval\?/);
  assert.match(wrong("membership: {seeds: [{id: a, addr: [x]}]}").join(), /unknown key addr\n {2}did you mean addrs\?/);
});

test("a knob out of its range is refused with the range", () => {
  assert.match(wrong("membership: {swim: {period: 10ms}}").join(), /"10ms" is outside 50 ms to 60 s/);
  assert.match(wrong("membership: {swim: {datagram_size: 9000}}").join(), /9000 is out of range, 576 to 1400 bytes/);
  assert.match(wrong("membership: {swim: {nack_share: 2}}").join(), /must be from 0\.1 to 0\.95/);
  assert.match(wrong("membership: {swim: {buddy: 1}}").join(), /must be a boolean, got 1/);
});

test("I6: a seed has several addresses, and 8771 is the port where none is written", () => {
  const section = `membership:
  allow_ids: ["vast-*"]
  seeds:
    - {id: a, addrs: [100.64.10.3, "46.62.147.150:9000", seed.example, "2001:db8::7", "[2001:db8::8]:9001"]}
    - {id: vast-1, addrs: [192.0.2.1]}
    - {addrs: [bootstrap.example]}`;
  assert.deepEqual(membership(section).seeds, [
    {
      id: "a",
      addresses: ["100.64.10.3:8771", "46.62.147.150:9000", "seed.example:8771", "[2001:db8::7]:8771", "[2001:db8::8]:9001"],
    },
    { id: "vast-1", addresses: ["192.0.2.1:8771"] },
    { id: null, addresses: ["bootstrap.example:8771"] },
  ]);
});

test("without seeds the voters are asked, at every address that the inventory knows", () => {
  const file = mesh.replace("b: {host: 127.0.0.1,", "b: {host: 127.0.0.1, tailscale_ip: 100.64.0.2,");
  assert.deepEqual(membership("", file).seeds[1], { id: "b", addresses: ["127.0.0.1:8771", "100.64.0.2:8771"] });
});

test("seeds that nobody knows, container ids, unreadable addresses, patterns and networks are refused by place", () => {
  assert.deepEqual(wrong("membership: {seeds: [{id: ab, addrs: [x]}]}"), [
    "9:27 membership.seeds[0].id: the seed ab is neither under hosts nor matched by membership.allow_ids",
  ]);
  assert.match(wrong("membership: {seeds: [{id: 2d9de0d97a72, addrs: [x]}]}").join(), /looks like a container id/);
  assert.match(wrong("membership: {seeds: [{id: a, addrs: []}]}").join(), /must name at least one address/);
  for (const address of ["1.2.3", "1.2.3.4:0", "a:70000", "::1:x", "[::1", "a b", "http://a:1", "a:8771:1"]) {
    const [problem = "accepted"] = wrong(`membership: {seeds: [{id: a, addrs: ["${address}"]}]}`);
    assert.match(problem, /^9:\d+ membership\.seeds\[0\]\.addrs\[0\]: ".*" is not an address/, address);
  }
  assert.match(wrong('membership: {allow_ids: ["vast-*", "^vast"]}').join(), /allow_ids\[1\]: "\^vast" is not a node id/);
  assert.match(wrong("membership: {allow_cidrs: [10.0.0.0/33]}").join(), /allow_cidrs\[0\]: "10\.0\.0\.0\/33" is not a network/);
});

test("a host's own bind and advertise addresses stand above the cluster's; every address is none to advertise", () => {
  const host = (own: string) => mesh.replace("a: {host: 127.0.0.1}", `a: {host: 127.0.0.1, ringraft: {membership: {${own}}}}`);
  const { bind, advertise } = membership(
    "membership: {bind: 0.0.0.0}",
    host("bind: 127.0.0.1:9, advertise: [203.0.113.7:4, a.example]"),
  );
  assert.deepEqual([bind, advertise], ["127.0.0.1:9", ["203.0.113.7:4", "a.example:8771"]]);
  assert.match(wrong("", host("advertise: [0.0.0.0:8771]")).join(), /is every address of this machine/);
  assert.match(wrong("", host('bind: "a b"')).join(), /hosts\.a\.ringraft\.membership\.bind: "a b" is not an IP address to bind/);
});

test("no address is accepted that others could not dial, or that cannot be bound, and the field is named", () => {
  const seed = (address: string) => wrong(`membership: {seeds: [{id: a, addrs: ["${address}"]}]}`).join();
  assert.match(seed("0.0.0.0"), /seeds\[0\]\.addrs\[0\]: "0\.0\.0\.0" is every address of this machine/);
  assert.match(seed("[0:0::0]:8771"), /is every address of this machine/);
  assert.match(seed("fe80::1%eth0"), /"fe80::1%eth0" is not an address: the zone %eth0 means nothing on another machine/);
  assert.match(seed("[fe80::1%en0]:8771"), /the zone %en0 means nothing on another machine/);
  assert.match(seed("203.0.113.7:0"), /"203\.0\.113\.7:0" is not an address: nobody can dial port 0/);
  assert.match(seed("224.0.0.251"), /is a multicast address: nobody can dial it/);
  assert.match(seed("[ff02::1]:8771"), /is a multicast address/);
  const bind = (address: string) => wrong(`membership: {bind: "${address}"}`).join();
  assert.match(
    bind("node-1.example"),
    /membership\.bind: "node-1\.example" is not an IP address to bind: write one of this machine's/,
  );
  assert.match(bind("0.0.0.0:0"), /membership\.bind: "0\.0\.0\.0:0" is not an IP address to bind: nobody can dial port 0/);
  assert.match(bind("239.1.1.1"), /membership\.bind: "239\.1\.1\.1" is a multicast address/);
  assert.equal(membership("membership: {seeds: [{addrs: [node_1]}]}").seeds[0]?.addresses[0], "node_1:8771");
});

/** A cluster on several machines, as node \`a\` starts in it. */
const apart = `node_id: a
insecure: true
voters: [a, b, c]
membership: {key_file: k}
hosts:
  a: {host: 203.0.113.1}
  b: {host: 203.0.113.2}
  c: {host: 203.0.113.3}
`;

test("a node that the others could not reach does not start among them, and the field that says so is named", () => {
  assert.deepEqual(loaded(apart).membership.bind, "0.0.0.0:8771");
  assert.deepEqual(refused(apart.replace("key_file: k", "key_file: k, bind: 127.0.0.1")), [
    "4:33 membership.bind: 127.0.0.1:8771 is heard on this machine only, and b at 203.0.113.2:8771 is on another\n  set membership.bind to 0.0.0.0, or to the address that the others dial",
  ]);
  assert.deepEqual(refused(apart.replace("203.0.113.1", "127.0.0.1").replace("key_file: k", 'key_file: k, bind: "0.0.0.0"')), [
    "6:13 hosts.a.host: 127.0.0.1:8771 is advertised to the others, who would dial themselves there: b at 203.0.113.2:8771 is on another machine\n  name an address that they can dial under hosts, or in hosts.<name>.ringraft.membership.advertise",
  ]);
  const behind = apart.replace("a: {host: 203.0.113.1}", "a: {host: 203.0.113.1, ringraft: {listen: {address: 127.0.0.1}}}");
  assert.match(refused(behind).join(), /membership\.bind: 127\.0\.0\.1:8771 is heard on this machine only/);
  const written = (own: string) => apart.replace("203.0.113.1}", `203.0.113.1, ringraft: {membership: {${own}}}}`);
  assert.match(
    refused(written("advertise: [203.0.113.1, localhost]")).join(),
    /^6:\d+ hosts\.a\.ringraft\.membership\.advertise\[1\]: localhost:8771/,
  );
  assert.match(refused(written("bind: 127.0.0.2")).join(), /hosts\.a\.ringraft\.membership\.bind: 127\.0\.0\.2:8771 is heard/);
  // One machine is a cluster too.
  assert.equal(loaded(`${valid}membership: {key_file: k}\n`).membership.bind, "127.0.0.1:8771");
});

test("an inventory that says nothing that could be dialled is named where membership would use it, and nowhere else", () => {
  const broken = apart.replace("203.0.113.2", "0.0.0.0");
  assert.match(refused(broken).join(), /^7:13 hosts\.b\.host: "0\.0\.0\.0:8771" is every address of this machine/);
  assert.match(
    refused(apart.replace("203.0.113.1", "fe80::1%eth0")).join(),
    /hosts\.a\.host: "fe80::1%eth0" is not an address: the zone/,
  );
  for (const mode of ["http", "none"]) {
    const section = mode === "none" ? "" : "membership: {mode: http}\n";
    assert.deepEqual(warned(broken.replace("membership: {key_file: k}\n", section)), []);
  }
});

test("IPv6 alone is not advertised by a node that hears IPv4 alone", () => {
  const six = apart.replace("203.0.113.1", '"2001:db8::1"');
  assert.deepEqual(refused(six), [
    '4:13 membership.bind: 0.0.0.0:8771 hears IPv4 only, and [2001:db8::1]:8771, by which the others reach this node, is IPv6\n  set membership.bind to "[::]", which hears both',
  ]);
  assert.equal(loaded(six.replace("key_file: k", 'key_file: k, bind: "[::]"')).membership.bind, "[::]:8771");
});

test("a node outside allow_cidrs, whom everybody would refuse without a word to it, does not start", () => {
  const mesh = apart.replace("203.0.113.1}", "203.0.113.1, tailscale_ip: 100.64.0.1}");
  const only = mesh.replace("key_file: k", "key_file: k, allow_cidrs: [100.64.0.0/10]");
  assert.match(
    refused(only).join(),
    /^6:13 hosts\.a\.host: 203\.0\.113\.1:8771 is advertised to the others and lies outside membership\.allow_cidrs/,
  );
  const own = only.replace("100.64.0.1}", "100.64.0.1, ringraft: {membership: {advertise: [100.64.0.1]}}}");
  assert.deepEqual(loaded(own).membership.advertise, ["100.64.0.1:8771"]);
});

test("modes that poll warn of a status port that the pollers cannot reach", () => {
  const closed = `${apart.replace("key_file: k", "mode: http")}listen: {http_address: 127.0.0.1}\n`;
  assert.match(
    warned(closed).join(),
    /listen\.http_address: the others poll a at 203\.0\.113\.1:8770, and its status port listens on 127\.0\.0\.1 only/,
  );
  assert.deepEqual(warned(`${apart}listen: {http_address: 127.0.0.1}\n`), []);
});

test("whatever is wrong in the section is told with the field's path and its line", () => {
  const knob = (section: string, knobs: Readonly<Record<string, { readonly key: string }>>) =>
    Object.values(knobs).map(({ key }): readonly [string, string] => [`${section}.${key}`, `{${section}: {${key}: wrong}}`]);
  const options: readonly (readonly [path: string, section: string])[] = [
    ["mode", "{mode: gossip}"],
    ["label", '{label: ""}'],
    ["label", '{label: "a\\nb"}'],
    ["key_file", "{key_file: 7}"],
    ["bind", "{bind: 8771}"],
    ["seeds", "{seeds: a}"],
    ["seeds[0].id", "{seeds: [{id: a b, addrs: [x]}]}"],
    ["seeds[0].addrs", "{seeds: [{id: a}]}"],
    ["allow_ids", "{allow_ids: a}"],
    ["allow_ids[0]", '{allow_ids: ["a b"]}'],
    ["allow_cidrs[0]", "{allow_cidrs: [everywhere]}"],
    ["swim", "{swim: fast}"],
    ["http_poll.profile", "{http_poll: {profile: mesh}}"],
    ...knob("swim", swimKnobs),
    ...knob("http_poll", httpPollKnobs),
  ];
  for (const [path, section] of options) {
    const problems = wrong(`membership: ${section}`).join("\n");
    assert.ok(problems.startsWith("9:") && problems.includes(` membership.${path}: `), `${section}: ${problems}`);
  }
  for (const [key, own] of [
    ["bind", "bind: 7"],
    ["advertise", "advertise: []"],
    ["advertise[0]", "advertise: [7]"],
  ]) {
    const problems = wrong(
      "",
      mesh.replace("a: {host: 127.0.0.1}", `a: {host: 127.0.0.1, ringraft: {membership: {${own}}}}`),
    ).join();
    assert.ok(problems.startsWith("5:") && problems.includes(` hosts.a.ringraft.membership.${key}: `), `${own}: ${problems}`);
  }
});

test("whoever stands under hosts may be a member, and whoever a pattern names", () => {
  assert.deepEqual(membership('membership: {allow_ids: ["vast-*"], allow_cidrs: [100.64.0.0/10]}').allow, {
    ids: ["a", "b", "c", "w", "vast-*"],
    networks: ["100.64.0.0/10"],
  });
});

test("SWIM does not run without the cluster's key; polling needs none", () => {
  for (const section of ["{mode: swim}", "{mode: hybrid}", "{allow_ids: [vast-1]}"]) {
    assert.match(refused(`${mesh}membership: ${section}\n`).join(), /membership mode \w+ needs membership\.key_file/, section);
  }
  const ofHost = mesh.replace("a: {host: 127.0.0.1}", "a: {host: 127.0.0.1, ringraft: {membership: {bind: 127.0.0.1}}}");
  assert.match(refused(ofHost).join(), /needs membership\.key_file/);
  assert.deepEqual(warned(`${mesh}membership: {mode: http}\n`), warned(mesh));
});

test("a host that binds another port is reached there, unless its addresses are written out", () => {
  const file = mesh.replace("a: {host: 127.0.0.1}", "a: {host: 127.0.0.1, ringraft: {membership: {bind: 127.0.0.1:9}}}");
  assert.deepEqual(membership("", file).seeds[0], { id: "a", addresses: ["127.0.0.1:9"] });
});

test("the membership section of every profile file says the profile's numbers", () => {
  for (const [name, options] of Object.entries(swimProfiles)) {
    const text = readFileSync(new URL(`../../config/profiles/${name}.yaml`, import.meta.url), "utf8");
    const { swim } = (parse(text) as { membership: { swim: Record<string, string | number> } }).membership;
    const fields = Object.entries(swimKnobs).filter(([, { key }]) => key in swim);
    assert.equal(fields.length, Object.keys(swim).length);
    for (const [field, { key }] of fields) {
      assert.equal(parseDuration(swim[key]), options[field as keyof typeof options], `${name} ${key}`);
    }
  }
});
