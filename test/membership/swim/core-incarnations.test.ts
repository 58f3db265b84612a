import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs, NodeId } from "#kernel";
import type { MemberState, SwimCommand } from "#membership/core";
import { messagesOf, NodeUnderTest, record } from "./fake-peers.ts";

// Conformance scenario 17, through the whole core: sealed packets in, its view and its packets out.

const outcomes: Readonly<Record<string, readonly [lower: string, equal: string, higher: string]>> = {
  "alive ← alive": ["alive@2", "alive@2", "alive@3"],
  "alive ← suspect": ["alive@2", "suspect@2", "suspect@3"],
  "alive ← dead": ["alive@2", "dead@2", "dead@3"],
  "suspect ← alive": ["suspect@2", "suspect@2", "alive@3"],
  "suspect ← suspect": ["suspect@2", "suspect@2", "suspect@3"],
  "suspect ← dead": ["suspect@2", "dead@2", "dead@3"],
  "dead ← alive": ["dead@2", "dead@2", "alive@3"],
  "dead ← suspect": ["dead@2", "dead@2", "suspect@3"],
  "dead ← dead": ["dead@2", "dead@2", "dead@3"],
};

for (const [name, expected] of Object.entries(outcomes)) {
  test(`${name}: ${expected.join(", ")} for a lower, equal and higher incarnation`, () => {
    const [known, incoming] = name.split(" ← ") as [MemberState, MemberState];
    const found = [1, 2, 3].map((counter) => {
      const node = new NodeUnderTest();
      node.hearOf("a", record("x", "alive", 2));
      if (known !== "alive") node.hearOf("a", record("x", known, 2));
      node.hearOf("a", record("x", incoming, counter));
      const held = node.held("x")!;
      return `${held.state}@${held.incarnation.counter}`;
    });
    assert.deepEqual(found, expected);
  });
}

test("dead@1, dead@10, then a late alive@2 stays dead; alive@11 revives", () => {
  const node = new NodeUnderTest();
  node.hearOf("a", record("x", "alive", 0));
  for (const said of [record("x", "dead", 1), record("x", "dead", 10), record("x", "alive", 2)]) node.hearOf("a", said);
  assert.equal(node.held("x")?.state, "dead");
  node.hearOf("a", record("x", "alive", 11));
  assert.equal(node.held("x")?.state, "alive");
});

for (const state of ["suspect", "dead", "left"] as const) {
  test(`told that it is ${state} at its own incarnation or above, a node says alive one above`, () => {
    const node = new NodeUnderTest();
    node.hearOf("a", record("a", "alive", 0));
    node.hearOf("a", record("own", state, 0));
    assert.deepEqual(node.self.incarnation, { epoch: 1, counter: 1 });
    node.hearOf("a", record("own", state, 6));
    assert.deepEqual([node.self.state, node.self.incarnation], ["alive", { epoch: 1, counter: 7 }]);
    node.run(1_000);
    const said = messagesOf(node.sent(), "member").map(({ message }) => message.record);
    assert.ok(said.some(({ id, incarnation }) => id === "own" && incarnation.counter === 7));
  });
}

test("told so below its own incarnation, it repeats what it said and raises nothing", () => {
  const node = new NodeUnderTest();
  node.hearOf("a", record("a", "alive", 0));
  node.hearOf("a", record("own", "suspect", 4));
  node.run(2_000);
  node.sent();
  node.hearOf("a", record("own", "dead", 3));
  assert.deepEqual(node.self.incarnation, { epoch: 1, counter: 5 });
  node.run(1_000);
  const said = messagesOf(node.sent(), "member").map(({ message }) => message.record);
  assert.ok(said.some(({ id, incarnation }) => id === "own" && incarnation.counter === 5));
});

test("a node that hears of a later boot of its own opens an epoch above that, and has it made durable", () => {
  const node = new NodeUnderTest();
  node.hearOf("a", record("own", "dead", 3, { epoch: 9 }));
  assert.deepEqual(node.self.incarnation, { epoch: 10, counter: 0 });
  const persisted = node.events().filter((event) => event.kind === "persist-incarnation");
  assert.deepEqual(persisted, [{ kind: "persist-incarnation", incarnation: { epoch: 10, counter: 0 } }]);
});

test("memberlist#311: a member that pings under an incarnation below its tombstone gets the tombstone with the ack", () => {
  const node = new NodeUnderTest();
  node.hearOf("a", record("x", "alive", 100));
  node.hearOf("a", record("x", "dead", 100));
  node.run(2_000);
  node.sent();
  node.hear("x", [{ kind: "ping", probe: 7 as never, target: node.self.id }], { epoch: 1, counter: 1 });
  const [answer] = node.sent();
  assert.deepEqual(
    answer?.messages
      .map((message) => (message.kind === "member" ? `${message.record.id} ${message.record.state}` : message.kind))
      .slice(0, 2),
    ["ack", "x dead"],
  );
});

test("what a node concluded while it was alone is no news for whoever comes next", () => {
  const node = new NodeUnderTest({ gossipToDeadMs: 0 });
  node.hearOf("a", record("a", "alive", 0));
  node.run(10_000);
  assert.equal(node.held("a")?.state, "dead");
  node.sent();
  node.hear("b", [{ kind: "ping", probe: 7 as never, target: node.self.id }]);
  assert.deepEqual(
    node.sent().map(({ messages }) => messages.map(({ kind }) => kind)),
    [["ack"]],
  );
});

test("a word from the end of the number space ends no process: it is outbid while there is room, then nothing new is said", () => {
  const end = 0xffff_ffff;
  const node = new NodeUnderTest({}, end - 1);
  const setDegraded = (degraded: boolean) =>
    node.core.command(MonotonicMs(node.now), { kind: "set-metadata", metadata: { ...node.self.metadata, degraded } });
  node.hearOf("a", record("own", "suspect", 0, { epoch: end }));
  assert.deepEqual(node.self.incarnation, { epoch: end, counter: 1 });
  assert.ok(setDegraded(true).ok);
  node.hearOf("a", record("own", "suspect", end - 1, { epoch: end }));
  assert.deepEqual(node.self.incarnation, { epoch: end, counter: end });
  assert.ok(!setDegraded(false).ok);
  assert.deepEqual([node.self.state, node.self.metadata.degraded], ["alive", true]);
});

test("others' word from far beyond what is held of a member is refused, whatever it says and however it comes", () => {
  const far = 2 ** 30;
  const node = new NodeUnderTest();
  node.hearOf("a", record("a", "alive", 0));
  node.hearOf("a", record("x", "alive", 0));
  for (const state of ["alive", "dead", "left", "removed"] as const) {
    node.hearOf("a", record("x", state, 0, { epoch: far + 2 }));
    node.hearOf("x", record("x", state, 0, { epoch: 0xffff_ffff }));
    node.hearOf("a", record("own", state, 0xffff_ffff, { epoch: 0xffff_ffff }));
    node.hearOf("a", record("y", state, 0, { epoch: far + 1 }));
  }
  assert.deepEqual(node.held("x")?.incarnation, { epoch: 1, counter: 0 });
  assert.deepEqual([node.self.state, node.self.incarnation], ["alive", { epoch: 1, counter: 0 }]);
  assert.equal(node.held("y"), null);
  assert.equal(node.core.view(MonotonicMs(node.now)).counters.rejected.implausible, 16);
  node.hearOf("a", record("x", "dead", 0, { epoch: far + 1 }));
  assert.equal(node.held("x")?.state, "dead");
});

test("a node that has lost its boot count after hundreds of removals still learns it from the others", () => {
  const node = new NodeUnderTest();
  node.hearOf("a", record("own", "dead", 0, { epoch: 1_000 * 2 ** 20 }));
  assert.deepEqual(node.self.incarnation, { epoch: 1_000 * 2 ** 20 + 1, counter: 0 });
});

test("a removal at the end of the counter is taken back in the next epoch; a command that is overruled says so", () => {
  const end = 0xffff_ffff;
  const node = new NodeUnderTest();
  const command = (given: SwimCommand) => node.core.command(MonotonicMs(node.now), given);
  const x = NodeId("x");
  node.hearOf("a", record("x", "removed", end));
  assert.ok(command({ kind: "readmit", member: x }).ok);
  node.run(1_000);
  assert.deepEqual([node.held("x")?.state, node.held("x")?.incarnation], ["left", { epoch: 2, counter: 0 }]);
  const outcome = command({ kind: "forget", member: x, barrier: { epoch: 1, counter: 0 } });
  assert.ok(!outcome.ok && outcome.refusal.reason === "CONFLICT");
  assert.equal(node.held("x")?.state, "left");
});
