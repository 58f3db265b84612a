import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs, type NodeId } from "#kernel";
import { decodeMembers, encodeMembers, rememberedAs, worthRemembering } from "#membership";
import { Address, Digest, type MembershipView, type MemberState, swimProfiles } from "#membership/core";
import { swimConvergence } from "../../../src/membership/convergence.ts";
import { pollResultOf } from "../../../src/membership/http-poll-driver.ts";
import { selfTestOf } from "../../../src/membership/self-test.ts";

const { mesh } = swimProfiles;

test("converged needs a joined node, four fifths of the peers heard lately, no young suspicion and a well node", () => {
  const broken = (more: Partial<MembershipView>): readonly string[] =>
    swimConvergence({ ...view, ...more }, mesh).flatMap(({ name, broken: why }) => (why === null ? [] : [name]));
  assert.deepEqual(broken({}), []);
  assert.deepEqual(broken({ lifecycle: "joining" }), ["joined"]);
  assert.deepEqual(broken({ agreeing: 8 }), []);
  assert.deepEqual(broken({ agreeing: 7 }), ["digest_agrees"]);
  assert.deepEqual(broken({ sampled: 3, agreeing: 3 }), ["digest_agrees"]);
  // Min among eleven members: 4 × log10(11) × 750 ms.
  assert.deepEqual(broken({ youngestSuspicion: MonotonicMs(100_000 - 3_123) }), ["no_young_suspicion"]);
  assert.deepEqual(broken({ youngestSuspicion: MonotonicMs(100_000 - 3_125) }), []);
  assert.deepEqual(broken({ healthMultiplier: 4 }), ["local_health"]);
  // Files are changed one by one: a warning on the screens, and no more.
  assert.deepEqual(broken({ otherVoters: ["n3" as NodeId] }), []);
});

test("in a cluster of three both peers must have been heard, and a node alone has nobody to disagree with", () => {
  const two = view.members.slice(0, 3);
  const agrees = (more: Partial<MembershipView>): string | null =>
    swimConvergence({ ...view, ...more }, mesh).find(({ name }) => name === "digest_agrees")!.broken;
  assert.equal(agrees({ members: two, sampled: 2, agreeing: 2 }), null);
  assert.equal(agrees({ members: two, sampled: 1, agreeing: 1 }), "1 of 2 peers heard lately, 2 needed");
  assert.equal(agrees({ members: view.members.slice(0, 1), sampled: 0, agreeing: 0 }), null);
});

test("a node that holds everybody else for dead does not call itself converged; the left and the removed are another matter", () => {
  const agrees = (state: MemberState): string | null => {
    const others = view.members.slice(1, 3).map((member) => ({ ...member, record: { ...member.record, state } }));
    const members = [view.members[0]!, ...others];
    return swimConvergence({ ...view, members, sampled: 0, agreeing: 0 }, mesh)[1]!.broken;
  };
  assert.match(agrees("dead") ?? "", /nobody else is alive in this node's view, which holds 2 for dead: forget those/);
  assert.deepEqual([agrees("left"), agrees("removed")], [null, null]);
});

test("the self-test calls datagrams blocked only where a stream shows that somebody is there", () => {
  const nobodyYet = {
    messagesSent: 9,
    largestDatagramReceived: 0,
    streamsDialled: 3,
    streamsOpened: 0,
    streamsAccepted: 0,
    streamsRefused: 0,
  };
  const silent: MembershipView = { ...view, counters: { ...view.counters, datagramsReceived: 0, probes: 2 } };
  const found = (seen: MembershipView, opened: number, mtu: number | null, clockIsBehind = false) =>
    selfTestOf(seen, { ...nobodyYet, streamsOpened: opened }, { interfaceMtu: mtu, clockIsBehind }, mesh);
  assert.deepEqual([found(silent, 0, null).udp, found(silent, 0, null).udpIn], ["unknown", "unknown"]);
  assert.deepEqual([found(silent, 1, null).udp, found(silent, 1, null).udpIn], ["failed", "failed"]);
  const early: MembershipView = { ...silent, counters: { ...silent.counters, probes: 1 } };
  assert.deepEqual([found(early, 1, null).udp, found(early, 1, null).udpIn], ["unknown", "unknown"], "its ping is on its way");
  const heard: MembershipView = { ...view, members: view.members.map((member) => ({ ...member, rttMs: 12 })) };
  assert.deepEqual([found(heard, 1, 1_280).udp, found(heard, 1, 1_280).streamOut], ["ok", "ok"]);
  assert.deepEqual(
    [1_280, 1_248, 1_247, null].map((mtu) => found(heard, 1, mtu).mtu),
    ["ok", "ok", "failed", "unknown"],
  );
  assert.equal(found(heard, 1, null, true).clock, "failed");
});

test("a poll's answer is read for who answers and in which life; anything else says why it is none", () => {
  const read = (status: number, body: string) => pollResultOf({ kind: "answered", status, body });
  assert.deepEqual(read(200, '{"node_id":"b","membership":{"boot":"7"}}'), { kind: "answered", nodeId: "b", boot: "7" });
  assert.deepEqual(read(200, '{"node_id":"b"}'), { kind: "answered", nodeId: "b", boot: null });
  assert.deepEqual(read(500, "{}"), { kind: "failed", why: "status" });
  for (const body of ["<html>", "null", "[]", '{"node_id":7}'])
    assert.deepEqual(read(200, body), { kind: "failed", why: "not-json" });
  for (const id of ["", "two words", "a".repeat(65), "x\n"]) {
    assert.deepEqual(read(200, JSON.stringify({ node_id: id })), { kind: "failed", why: "not-json" }, id);
  }
  const longBoot = read(200, JSON.stringify({ node_id: "n1", membership: { boot: "9".repeat(11) } }));
  assert.deepEqual(longBoot, { kind: "answered", nodeId: "n1", boot: null });
  assert.deepEqual(pollResultOf({ kind: "failed", why: "timeout" }), { kind: "failed", why: "timeout" });
});

test("members are remembered without the dead and the left, and a damaged memory is no memory", () => {
  const states: readonly MemberState[] = ["alive", "suspect", "dead", "left", "removed"];
  const records = states.map((state, at) => ({ ...view.members[at]!.record, state }));
  const kept = worthRemembering(records, records[0]!.id);
  assert.deepEqual(
    kept.map(({ state }) => state),
    ["suspect", "removed"],
  );
  const read = decodeMembers(encodeMembers(kept, 5));
  assert.equal(read?.writtenAtMs, 5);
  assert.deepEqual(
    read?.members.map(({ id, state, addresses }) => [id, state, addresses]),
    [
      ["n1", "alive", ["192.0.2.1:8771"]],
      ["n4", "removed", ["192.0.2.4:8771"]],
    ],
  );
  assert.equal(rememberedAs(read!.members), rememberedAs(kept));
  const text = encodeMembers(kept, 5);
  for (const damaged of ["", "[]", text.slice(0, -9)]) assert.equal(decodeMembers(damaged), null, damaged);
  for (const damaged of [
    text.replace('"n1"', '"../n1"'),
    text.replace('"n1"', '"-n1"'),
    text.replace('"epoch":1', '"epoch":-1'),
  ]) {
    const others = decodeMembers(damaged)?.members.map(({ id }) => id);
    assert.deepEqual(others, ["n4"], damaged);
  }
});

const view: MembershipView = {
  at: MonotonicMs(100_000),
  lifecycle: "joined",
  self: recordOf(0),
  members: Array.from({ length: 11 }, (_, at) => ({
    record: recordOf(at),
    since: MonotonicMs(0),
    reach: "direct",
    rttMs: null,
    flapsPerHour: 0,
    isFlapping: false,
    heardAt: null,
  })),
  digest: Digest(1),
  sampled: 10,
  agreeing: 10,
  healthMultiplier: 1,
  youngestSuspicion: null,
  partition: null,
  mismatched: [],
  otherVoters: [],
  counters: {
    datagramsSent: 5,
    datagramsReceived: 5,
    bytesSent: 0,
    bytesReceived: 0,
    probes: 0,
    failedProbes: 0,
    indirectAcks: 0,
    nacks: 0,
    streamAcks: 0,
    suspicionsRefuted: 0,
    pushPulls: 0,
    repairs: 0,
    selfHealed: 0,
    refusedFull: 0,
    unknownMessages: 0,
    rejected: {} as MembershipView["counters"]["rejected"],
  },
};

function recordOf(at: number): MembershipView["self"] {
  return {
    id: `n${at}` as NodeId,
    incarnation: { epoch: 1, counter: 0 },
    state: "alive",
    addresses: [Address(`192.0.2.${at}:8771`)],
    reach: "direct",
    relays: [],
    metadata: { role: "worker", provider: "", capabilities: [], version: "0", degraded: false, keys: [], voters: null },
    accuser: null,
  };
}
