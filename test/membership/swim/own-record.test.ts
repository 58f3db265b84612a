import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantError, NodeId } from "#kernel";
import type { ApplySummary, MemberTable } from "../../../src/membership/core/swim/member-table.ts";
import { readmitted } from "../../../src/membership/core/swim/statement.ts";
import { addresses, incarnation, statement, T0, tableOf, told } from "./records.ts";

const self = NodeId("self");

for (const state of ["suspect", "dead", "left"] as const) {
  test(`a ${state} about this node is refuted one above, and repeated without raising when it is old`, () => {
    const table = tableOf();
    table.claim(T0, {}, incarnation("5"));
    assert.deepEqual(refutation(hear(table, `${state}@5`)), ["1.6", "raised"]);
    assert.deepEqual(refutation(hear(table, `${state}@9`)), ["1.10", "raised"]);
    assert.deepEqual(refutation(hear(table, `${state}@4`)), ["1.5", "repeated"]);
  });
}

test("memberlist#311: a node that lost its boot count learns it from what others remember, and opens a new epoch", () => {
  const table = tableOf();
  assert.deepEqual(refutation(hear(table, "dead@100.7")), ["101.0", "raised"]);
  assert.deepEqual(refutation(hear(table, "alive@100.7")), ["101.0", "raised"]);
});

test("this node's own words, and old ones, come back and mean nothing", () => {
  const table = tableOf();
  table.claim(T0, {}, incarnation("5"));
  assert.deepEqual(hear(table, "alive@5"), { kind: "known" });
  assert.deepEqual(hear(table, "alive@3"), { kind: "known" });
});

test("a claim is always newer than the one before", () => {
  const table = tableOf();
  const moved = table.claim(T0, addresses("198.51.100.7:9000"));
  assert.equal(told(moved), "alive@1.1");
  assert.deepEqual(table.self.addresses, ["198.51.100.7:9000"]);
  assert.equal(table.get(self), table.self);
  assert.throws(() => table.claim(T0, {}, incarnation("1")), InvariantError);
});

test("a node that has said goodbye refutes nothing", () => {
  const table = tableOf();
  assert.equal(told(table.leave(T0)), "left@1.0");
  assert.deepEqual(hear(table, "dead@8"), { kind: "known" });
});

test("a removed node does not refute; readmitted, it comes back with a new incarnation", () => {
  const table = tableOf();
  const removed = hear(table, "removed@50.0");
  assert.equal(removed.kind, "removed-self");
  assert.equal(told(table.self), "removed@50.0");
  assert.equal(table.present, 0);
  assert.deepEqual(hear(table, "alive@51.0"), { kind: "known" });
  assert.deepEqual(hear(table, "removed@50.0"), { kind: "known" });
  const back = table.apply(T0, readmitted(table.self), "gossip");
  assert.deepEqual(refutation(back), ["50.2", "raised"]);
  table.claim(T0, {}, incarnation("50.2"));
  assert.deepEqual(refutation(hear(table, "removed@50.0")), ["50.2", "repeated"]);
});

test("what stands at the end of the number space cannot be refuted, and breaks nothing", () => {
  const end = 0xffff_ffff;
  const table = tableOf();
  assert.deepEqual(hear(table, `dead@${end}.${end}`), { kind: "known" });
  assert.deepEqual(hear(table, `alive@${end}.${end}`), { kind: "known" });
  assert.equal(told(table.self), "alive@1.0");
});

test("a former life does not answer: its address is outbid once and for all", () => {
  const table = tableOf();
  const former = { id: self, ...addresses("192.0.2.200:1") };
  const summary = table.apply(T0, statement("alive@4.0", former), "gossip");
  assert.deepEqual(refutation(summary), ["5.0", "raised"]);
  table.claim(T0, {}, incarnation("5.0"));
  assert.deepEqual(table.apply(T0, statement("alive@4.0", former), "gossip"), { kind: "known" });
});

test("of two processes with one name the one with the higher incarnation stays, after at most three changes of address", () => {
  for (const [first, second, yields] of [
    ["7.3", "2.0", 1],
    ["2.0", "7.0", 0],
    ["2.0", "2.1", 0],
    ["2.0", "2.0", 0],
  ] as const) {
    const rivals = [claimant("192.0.2.1:1", first), claimant("192.0.2.2:1", second)];
    const onlooker = tableOf();
    onlooker.apply(T0, rivals[0]!.self, "gossip");
    const flips = quarrel(rivals, onlooker);
    assert.deepEqual(flips.yielded, [rivals[yields]], `${first} ${second}`);
    assert.ok(flips.readdressed <= 3, `${first} ${second}: ${flips.readdressed} changes of address`);
  }
});

test("third parties see two processes when one incarnation has two addresses, and change nothing", () => {
  const table = tableOf("alive@3");
  const summary = table.apply(T0, statement("alive@3", addresses("198.51.100.7:9000")), "gossip");
  assert.ok(summary.kind === "contested");
  assert.deepEqual(summary.claimed.addresses, ["198.51.100.7:9000"]);
  assert.deepEqual(table.get(NodeId("x"))?.addresses, ["192.0.2.1:8771"]);
});

function hear(table: MemberTable, word: string): ApplySummary {
  return table.apply(T0, statement(word, { id: self, addresses: table.self.addresses }), "gossip");
}

function refutation(summary: ApplySummary): [string, string] {
  assert.ok(summary.kind === "refute", summary.kind);
  const { epoch, counter } = summary.incarnation;
  return [`${epoch}.${counter}`, summary.raised ? "raised" : "repeated"];
}

function claimant(address: string, start: string): MemberTable {
  const table = tableOf();
  table.claim(T0, addresses(address), incarnation(start));
  return table;
}

/** Each hears the other's latest word in turn, as does an onlooker of the same cluster, until nobody answers. */
function quarrel(rivals: readonly MemberTable[], onlooker: MemberTable): { yielded: MemberTable[]; readdressed: number } {
  const yielded: MemberTable[] = [];
  let readdressed = 0;
  for (let turn = 1; turn < 20; turn += 1) {
    const [speaker, hearer] = turn % 2 === 1 ? [rivals[1]!, rivals[0]!] : [rivals[0]!, rivals[1]!];
    if (yielded.includes(speaker)) continue;
    const seen = onlooker.apply(T0, { ...speaker.self, id: NodeId("x") }, "gossip");
    if (seen.kind === "changed" && seen.readdressed) readdressed += 1;
    if (yielded.includes(hearer)) continue;
    const summary = hearer.apply(T0, speaker.self, "gossip");
    if (summary.kind === "refute") hearer.claim(T0, {}, summary.incarnation);
    if (summary.kind === "yield") yielded.push(hearer);
  }
  return { yielded, readdressed };
}
