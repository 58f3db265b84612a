import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs, NodeId } from "#kernel";
import { Address, ProfileHash } from "#membership/core";
import { removalBarrier } from "../../../src/membership/core/swim/incarnation.ts";
import { ProbeNumber } from "../../../src/membership/core/swim/message.ts";
import { messagesOf, NodeUnderTest, record } from "./fake-peers.ts";
import { addressOf, TinyNetwork } from "./tiny-network.ts";

test("a table that is full is told of once, and every refusal is counted", () => {
  const node = new NodeUnderTest({ maxMembers: 3 });
  for (const id of ["a", "b", "c", "d", "e"]) node.hearOf("a", record(id, "alive", 1));
  const told = node.events().filter(({ kind }) => kind === "members-full");
  assert.deepEqual(told, [{ kind: "members-full", refused: "c", maxMembers: 3 }]);
  assert.equal(node.core.view(MonotonicMs(0)).counters.refusedFull, 3);
});

test("other numbers are told of once the node that uses them is a member; of strangers nothing is kept", () => {
  const node = new NodeUnderTest();
  const told = (): number => node.events().filter(({ kind }) => kind === "profile-mismatch").length;
  const ping = { kind: "ping", probe: ProbeNumber(1), target: node.self.id } as const;
  node.hear("x", [ping], undefined, ProfileHash(1));
  assert.equal(told(), 0);
  node.hearOf("a", record("x", "alive", 1));
  node.hear("x", [ping], undefined, ProfileHash(1));
  node.hear("x", [ping], undefined, ProfileHash(1));
  assert.equal(told(), 1);
});

test("addresses at which others see this node are told once each, sixteen at a time; one not seen any more makes room", () => {
  const node = new NodeUnderTest();
  const see = (host: number): void =>
    node.hear("a", [{ kind: "ack", probe: ProbeNumber(1), observed: Address(`203.0.113.${host}:8771`) }]);
  const told = (): readonly unknown[] =>
    node.events().flatMap((event) => (event.kind === "observed-address" ? [event.address] : []));
  for (let host = 0; host < 20; host++) see(host);
  assert.equal(told().length, 16);
  node.run(600_000);
  node.events();
  for (let host = 1; host < 16; host++) see(host);
  see(99);
  assert.deepEqual(told(), ["203.0.113.99:8771"]);
});

test("flapping is told of when it begins and when it is over, and the view shows it", () => {
  const node = new NodeUnderTest({ flapLimit: 3, flapHalfLifeMs: 60_000 });
  node.hearOf("a", record("a", "alive", 1));
  node.hearOf("a", record("x", "alive", 1));
  for (let counter = 1; counter <= 4; counter++) {
    node.hearOf("a", record("x", "dead", counter));
    node.hearOf("a", record("x", "alive", counter + 1));
  }
  const flapping = (): readonly unknown[] => node.events().filter(({ kind }) => kind === "flapping");
  assert.deepEqual(flapping(), [{ kind: "flapping", id: "x", is: "begun", flapsPerHour: 3 }]);
  const shown = (): boolean => node.core.view(MonotonicMs(node.now)).members.find(({ record: { id } }) => id === "x")!.isFlapping;
  assert.equal(shown(), true);
  node.run(80_000);
  assert.deepEqual(flapping(), []);
  node.run(10_000);
  assert.deepEqual(flapping(), [{ kind: "flapping", id: "x", is: "over", flapsPerHour: 4 }]);
  assert.equal(shown(), false);
});

test("a partition that was suspected is over when its members were scrapped for good", () => {
  const net = new TinyNetwork(1);
  net.startMany(8);
  net.run(20_000);
  for (const name of ["n4", "n5", "n6"]) net.kill(name);
  net.run(40_000);
  assert.deepEqual(net.view("n1").partition, ["n4", "n5", "n6"]);
  for (const name of ["n4", "n5", "n6"]) {
    const held = net.view("n1").members.find(({ record: { id } }) => id === name)!.record;
    net.command("n1", { kind: "forget", member: NodeId(name), barrier: removalBarrier(held.incarnation) });
  }
  net.run(5_000);
  assert.equal(net.view("n1").partition, null);
  assert.equal(net.view("n2").partition, null);
});

test("the way to a member is told as the view shows it: by stream, then by its relay, never direct in between", () => {
  const net = new TinyNetwork(3);
  net.startMany(12);
  net.run(30_000);
  const mute = addressOf("n7");
  net.passes = (kind, from, to) => kind === "stream" || (from !== mute && to !== mute);
  net.run(300_000);
  for (const name of ["n1", "n2", "n3"]) {
    const ways = net
      .get(name)
      .events.flatMap(({ event }) => (event.kind === "path-changed" && event.id === "n7" ? [event.before, event.now] : []));
    assert.ok(ways.length <= 4, `${name}: ${ways.join(" ")}`);
    ways.forEach((way, at) => assert.equal(way, at === 0 ? "direct" : ways[at - 1 + (at % 2)], `${name}: ${ways.join(" ")}`));
    assert.ok(!ways.slice(1).includes("direct"), `${name}: ${ways.join(" ")}`);
  }
});

test("after a long stall a node answers a few of the pings that wait in its socket, and later all again", () => {
  const node = new NodeUnderTest();
  node.hearOf("a", record("a", "alive", 1));
  node.run(10_000);
  node.stall(20_000);
  node.sent();
  const ping = (probe: number): void => node.hear("a", [{ kind: "ping", probe: probe as never, target: NodeId("own") }]);
  for (let probe = 0; probe < 60; probe++) ping(probe);
  assert.equal(messagesOf(node.sent(), "ack").length, 10);
  node.wake();
  node.run(1_000);
  node.sent();
  ping(99);
  assert.equal(messagesOf(node.sent(), "ack").length, 1);
});

test("what was sent since the last gossip tick counts as gossip, so that a busy node sends no more for it", () => {
  const gossipOf = (pings: number): number => {
    const node = new NodeUnderTest({ retransmitMultiplier: 20 });
    node.hearOf("a", record("a", "alive", 1));
    for (const id of ["b", "c", "d", "e", "f"]) node.hearOf("a", record(id, "alive", 1));
    for (let probe = 0; probe < pings; probe++) {
      node.hear("a", [{ kind: "ping", probe: probe as never, target: NodeId("own") }]);
    }
    node.sent();
    node.run(200);
    return node.sent().filter(({ messages }) => messages.every(({ kind }) => kind === "member")).length;
  };
  assert.equal(gossipOf(0), 2, "the ping of the period is the third");
  assert.equal(gossipOf(5), 0);
});
