import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs, NodeId, seededRandom } from "#kernel";
import { removalBarrier } from "../../../src/membership/core/swim/incarnation.ts";
import { MemberTable } from "../../../src/membership/core/swim/member-table.ts";
import { deadBy, readmitted, removedAt, suspectedBy } from "../../../src/membership/core/swim/statement.ts";
import type { MemberRecord, MemberState } from "../../../src/membership/core/swim/types.ts";
import { addresses, limits, statement, T0, tableOf, told } from "./records.ts";

// Known and incoming state; then what is held after the incoming word came at a lower, an equal, a higher incarnation.
const transitions: readonly [MemberState, MemberState, string, string, string][] = [
  ["alive", "alive", "alive@1.5", "alive@1.5", "alive@1.6"],
  ["alive", "suspect", "alive@1.5", "suspect@1.5", "suspect@1.6"],
  ["alive", "dead", "alive@1.5", "dead@1.5", "dead@1.6"],
  ["suspect", "alive", "suspect@1.5", "suspect@1.5", "alive@1.6"],
  ["suspect", "suspect", "suspect@1.5", "suspect@1.5", "suspect@1.6"],
  ["suspect", "dead", "suspect@1.5", "dead@1.5", "dead@1.6"],
  ["dead", "alive", "dead@1.5", "dead@1.5", "alive@1.6"],
  ["dead", "suspect", "dead@1.5", "dead@1.5", "suspect@1.6"],
  ["dead", "dead", "dead@1.5", "dead@1.5", "dead@1.6"],
];
for (const [known, incoming, ...expected] of transitions) {
  for (const [at, age] of ["a lower", "an equal", "a higher"].entries()) {
    test(`${known} and then ${incoming} at ${age} incarnation: ${expected[at]}`, () => {
      const table = tableOf(`${known}@5`, `${incoming}@${4 + at}`);
      assert.equal(told(table.get(NodeId("x"))), expected[at]);
    });
  }
}

test("al8n/memberlist#197: a second death counts, so that a late alive between the two does not revive", () => {
  const table = tableOf("alive@1", "dead@1", "dead@10", "alive@2");
  assert.equal(told(table.get(NodeId("x"))), "dead@1.10");
  const summary = table.apply(T0, statement("alive@11"), "gossip");
  assert.equal(summary.kind === "changed" && summary.change, "recovered");
});

test("a new boot beats whatever was said of the former", () => {
  assert.equal(told(tableOf("dead@1.900", "alive@2.0").get(NodeId("x"))), "alive@2.0");
});

test("nodes that hear the same words in any order, any number of times, hold the same view", () => {
  const random = seededRandom(4);
  const states = ["alive", "suspect", "dead", "left", "removed"] as const;
  for (let run = 0; run < 300; run += 1) {
    const words = Array.from({ length: 12 }, () =>
      statement(`${states[Math.floor(random() * 5)]!}@${Math.floor(random() * 2)}.${Math.floor(random() * 3)}`, {
        id: NodeId(`m${Math.floor(random() * 3)}`),
      }),
    );
    const [one, other] = [tableOf(), tableOf()];
    for (const word of words) one.apply(T0, word, "gossip");
    for (const word of [...words, ...words].toSorted(() => random() - 0.5)) other.apply(T0, word, "gossip");
    assert.deepEqual(view(other), view(one), `run ${run}`);
    assert.equal(other.digest, one.digest);
  }
});

test("what a change means: the steps of one member's life", () => {
  const table = tableOf();
  const steps: [string, string, string | null][] = [
    ["alive@0", "joined", "appeared"],
    ["suspect@0", "suspected", null],
    ["alive@1", "refuted", null],
    ["alive@2", "renewed", null],
    ["dead@2", "died", "vanished"],
    ["dead@3", "buried", null],
    ["suspect@4", "recovered", "appeared"],
    ["left@4", "left", "vanished"],
    ["alive@2.0", "recovered", "appeared"],
    ["removed@9.0", "removed", "vanished"],
  ];
  for (const [word, change, presence] of steps) {
    const summary = table.apply(T0, statement(word), "gossip");
    assert.ok(summary.kind === "changed", word);
    assert.deepEqual([summary.change, summary.presence, summary.gossip], [change, presence, true], word);
  }
});

test("an accuser at the same incarnation confirms once it is another one, and changes nothing", () => {
  const table = tableOf("suspect@3");
  assert.deepEqual(table.apply(T0, statement("suspect@3"), "gossip"), { kind: "known" });
  const second = table.apply(T0, statement("suspect@3", { accuser: NodeId("b") }), "gossip");
  assert.ok(second.kind === "confirmed");
  assert.equal(second.accuser, "b");
  assert.equal(table.get(NodeId("x"))?.accuser, "accuser");
});

test("a verdict takes over nothing but the state: the accuser's idea of the addresses is not believed", () => {
  const table = tableOf("alive@3");
  table.apply(T0, statement("dead@3", addresses("198.51.100.66:1")), "gossip");
  assert.deepEqual(table.get(NodeId("x"))?.addresses, ["192.0.2.1:8771"]);
});

test("a dead member in a full sync is only a suspect where it is present, and unheard of where it is unknown", () => {
  const table = tableOf("alive@3");
  const summary = table.apply(T0, statement("dead@3"), "sync");
  assert.equal(summary.kind === "changed" && summary.change, "suspected");
  assert.equal(told(table.get(NodeId("x"))), "suspect@1.3");
  assert.equal(table.apply(T0, statement("dead@3", { accuser: NodeId("b") }), "sync").kind, "confirmed");
  assert.equal(told(tableOf("dead@3").get(NodeId("x"))), "dead@1.3");
  assert.deepEqual(tableOf().apply(T0, statement("dead@3"), "sync"), { kind: "refused", why: "long-dead" });
  assert.deepEqual(tableOf().apply(T0, statement("left@3"), "sync"), { kind: "refused", why: "long-dead" });
});

test("a goodbye in a full sync is the member's own word and holds", () => {
  const table = tableOf("alive@3");
  table.apply(T0, statement("left@3"), "sync");
  assert.equal(told(table.get(NodeId("x"))), "left@1.3");
});

test("memberlist#311: a member that says alive below its tombstone is told of it, and nobody else is", () => {
  const table = tableOf("dead@100");
  const summary = table.apply(T0, statement("alive@1"), "first-hand");
  assert.ok(summary.kind === "outdated" && summary.tell);
  assert.equal(told(summary.held), "dead@1.100");
  const restarted = tableOf("alive@100").apply(T0, statement("alive@1"), "first-hand");
  assert.ok(restarted.kind === "outdated" && restarted.tell, "the member itself must learn how far it once was");
  const echo = tableOf("dead@100").apply(T0, statement("alive@1"), "gossip");
  assert.ok(echo.kind === "outdated" && !echo.tell, "told to a third, an old verdict would be taken for a new one");
});

test("a changed address under a higher incarnation is an update, not a leaving and a joining", () => {
  const table = tableOf("alive@3");
  const summary = table.apply(T0, statement("alive@4", addresses("198.51.100.7:9000")), "gossip");
  assert.ok(summary.kind === "changed");
  assert.deepEqual([summary.change, summary.readdressed, summary.presence], ["renewed", true, null]);
  assert.equal(table.size, 2);
  const restart = table.apply(T0, statement("alive@2.0", addresses("198.51.100.8:9000")), "gossip");
  assert.ok(restart.kind === "changed" && restart.readdressed);
});

test("the operator's removal holds against late gossip and new boots, until the operator takes it back", () => {
  const table = tableOf("alive@7.3");
  const barrier = removalBarrier(table.get(NodeId("x"))!.incarnation);
  const removal = removedAt(barrier, table.get(NodeId("x"))!);
  table.apply(T0, removal, "gossip");
  for (const word of ["alive@7.4", "suspect@7.9", "alive@8.0", "dead@8.0", "left@9.0", "alive@1000.0"]) {
    const summary = table.apply(T0, statement(word), "gossip");
    assert.equal(summary.kind, "outdated", word);
  }
  assert.equal(table.apply(T0, readmitted(removal), "gossip").kind, "changed");
  assert.equal(table.get(NodeId("x"))?.state, "left");
  assert.equal(table.apply(T0, removal, "gossip").kind, "outdated", "a late copy of the removal");
  assert.equal(table.apply(T0, statement("alive@8.0"), "gossip").kind, "outdated", "it must call again, and learn");
  const back = table.apply(T0, statement(`alive@${barrier.epoch + 1}.0`), "gossip");
  assert.equal(back.kind === "changed" && back.change, "recovered");
});

test("a removed member's tombstone does not expire, one of the dead or left does after its time", () => {
  const table = tableOf();
  for (const [id, word] of [
    ["a", "dead@0"],
    ["b", "left@0"],
    ["c", "removed@0"],
    ["d", "dead@0"],
  ] as const) {
    table.apply(T0, statement(word, { id: NodeId(id) }), "gossip");
  }
  table.apply(T0, statement("alive@1", { id: NodeId("d") }), "gossip");
  assert.equal(table.nextExpiry, T0 + limits.tombstoneMs);
  assert.deepEqual(table.expire(MonotonicMs(T0 + limits.tombstoneMs - 1)), []);
  assert.deepEqual(table.expire(MonotonicMs(T0 + limits.tombstoneMs)), ["a", "b"]);
  assert.deepEqual([table.size, table.count("removed"), table.count("dead"), table.nextExpiry], [3, 1, 0, null]);
});

test("a member unknown so far that is already dead is remembered, quietly", () => {
  const summary = tableOf().apply(T0, statement("dead@3"), "gossip");
  assert.ok(summary.kind === "changed");
  assert.deepEqual([summary.change, summary.presence, summary.gossip], ["buried", null, false]);
});

test("unknown members beyond the limit are refused, known ones are not", () => {
  const table = new MemberTable(T0, statement("alive@0", { id: NodeId("self") }), { ...limits, maxMembers: 2 });
  table.apply(T0, statement("alive@0"), "gossip");
  assert.deepEqual(table.apply(T0, statement("alive@0", { id: NodeId("y") }), "gossip"), { kind: "refused", why: "full" });
  assert.equal(table.apply(T0, statement("suspect@0"), "gossip").kind, "changed");
});

test("own verdicts are words like any other", () => {
  const table = tableOf("alive@3");
  const held = table.get(NodeId("x"))!;
  table.apply(T0, suspectedBy(NodeId("self"), held), "gossip");
  const summary = table.apply(T0, deadBy(NodeId("self"), held), "gossip");
  assert.equal(summary.kind === "changed" && summary.change, "died");
  assert.equal(table.get(NodeId("x"))?.accuser, "self");
});

test("the present are counted, this node included, and the state's age is kept", () => {
  const table = tableOf("alive@1");
  assert.equal(table.present, 2);
  table.apply(MonotonicMs(T0 + 500), statement("alive@2"), "gossip");
  assert.equal(table.since(NodeId("x")), T0);
  table.apply(MonotonicMs(T0 + 900), statement("dead@2"), "gossip");
  assert.equal(table.since(NodeId("x")), T0 + 900);
  assert.equal(table.present, 1);
  table.leave(T0);
  assert.deepEqual([table.present, table.count("left")], [0, 1]);
});

test("who is entered has been in its state since the start, its tombstone as well; later words count from when they came", () => {
  const self = statement("alive@0", { id: NodeId("self"), ...addresses("192.0.2.9:8771") });
  const table = new MemberTable(T0, self, limits, undefined, 3);
  table.enter(statement("alive@1"));
  table.enter(statement("dead@4", { id: NodeId("y") }));
  assert.deepEqual([table.size, table.present, table.since(NodeId("x")), table.since(NodeId("y"))], [3, 2, T0, T0]);
  table.apply(MonotonicMs(T0 + 700), statement("suspect@1"), "gossip");
  assert.equal(table.since(NodeId("x")), T0 + 700);
  assert.deepEqual(table.expire(MonotonicMs(T0 + limits.tombstoneMs)), ["y"]);
  assert.equal(table.since(NodeId("y")), null);
});

function view(table: MemberTable): MemberRecord[] {
  return [...table.records()].map((record) => ({ ...record, accuser: null })).toSorted((a, b) => (a.id < b.id ? -1 : 1));
}
