import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeId } from "#kernel";
import { removalBarrier } from "../../../src/membership/core/swim/incarnation.ts";
import { addressOf, seedOf, TinyNetwork } from "./tiny-network.ts";

test("a goodbye is known everywhere in a second, and nobody suspects who said it", () => {
  const net = new TinyNetwork(1);
  net.startMany(12);
  net.run(30_000);
  net.command("n7", { kind: "leave", as: "left" });
  net.run(1_500);
  for (const name of net.members.keys()) assert.equal(net.stateAt(name, "n7"), "left", name);
  net.run(30_000);
  assert.equal(net.view("n7").lifecycle, "left");
  assert.deepEqual(net.events("suspected"), []);
  assert.deepEqual(net.events("died"), []);
});

test("a member that leaves as failed says nothing and is declared dead", () => {
  const net = new TinyNetwork(2);
  net.startMany(12);
  net.run(30_000);
  net.command("n7", { kind: "leave", as: "failed" });
  net.run(15_000);
  assert.equal(net.stateAt("n3", "n7"), "dead");
});

test("whoever left comes back with its next boot", () => {
  const net = new TinyNetwork(3);
  net.startMany(6);
  net.run(10_000);
  net.command("n5", { kind: "leave", as: "left" });
  net.run(10_000);
  net.kill("n5");
  net.start("n5", { epoch: 2 });
  net.run(5_000);
  for (const name of net.members.keys()) assert.equal(net.stateAt(name, "n5"), "alive", name);
});

test("a forgotten member stays forgotten when it starts again, until it is readmitted", () => {
  const net = new TinyNetwork(4);
  net.startMany(6);
  net.run(10_000);
  net.kill("n5");
  net.run(20_000);
  const held = net.view("n1").members.find(({ record }) => record.id === "n5")!.record;
  net.command("n1", { kind: "forget", member: NodeId("n5"), barrier: removalBarrier(held.incarnation) });
  net.run(3_000);
  for (const name of ["n0", "n1", "n2", "n3", "n4"]) assert.equal(net.stateAt(name, "n5"), "removed", name);
  net.start("n5", { epoch: 2 });
  net.run(10_000);
  assert.equal(net.stateAt("n2", "n5"), "removed");
  assert.equal(net.view("n5").lifecycle, "removed");
  net.run(300_000);
  assert.equal(net.stateAt("n2", "n5"), "removed");
  net.command("n3", { kind: "readmit", member: NodeId("n5") });
  net.run(2_000);
  net.kill("n5");
  net.start("n5", { epoch: 3 });
  net.run(5_000);
  assert.equal(net.stateAt("n2", "n5"), "alive");
  assert.ok(net.get("n5").events.some(({ event }) => event.kind === "persist-incarnation"));
});

test("a removed member that still runs comes back by itself once it is readmitted", () => {
  const net = new TinyNetwork(6);
  net.startMany(6);
  net.run(10_000);
  const held = net.view("n1").members.find(({ record }) => record.id === "n5")!.record;
  net.command("n1", { kind: "forget", member: NodeId("n5"), barrier: removalBarrier(held.incarnation) });
  net.run(20_000);
  assert.equal(net.view("n5").lifecycle, "removed");
  net.command("n3", { kind: "readmit", member: NodeId("n5") });
  net.run(90_000);
  for (const name of net.members.keys()) assert.equal(net.stateAt(name, "n5"), "alive", name);
  assert.equal(net.view("n5").lifecycle, "joined");
});

test("two members that never return cost less than a packet in ten seconds", () => {
  const net = new TinyNetwork(5);
  net.startMany(4);
  net.run(10_000);
  net.kill("n2");
  net.kill("n3");
  net.run(1_800_000);
  let packets = 0;
  net.passes = (_kind, _from, to) => {
    if (to === "10.0.0.3:8771" || to === "10.0.0.4:8771") packets += 1;
    return true;
  };
  net.run(1_800_000);
  assert.ok(packets > 0 && packets / 1_800 < 0.1, `${packets} packets in half an hour`);
});

test("a member that is leaving takes its goodbye back for no news of its process: a main thread that is late, a seed's new address", () => {
  const net = new TinyNetwork(1);
  net.startMany(8);
  net.run(10_000);
  const { self } = net.view("n5");
  net.command("n5", { kind: "leave", as: "left" });
  net.run(20);
  for (const command of [
    { kind: "set-metadata", metadata: { ...self.metadata, degraded: true } },
    { kind: "set-addresses", addresses: [addressOf("n9")] },
    { kind: "join", seeds: [seedOf("n1")] },
  ] as const)
    assert.ok(net.command("n5", command).ok, command.kind);
  net.run(20_000);
  assert.equal(net.view("n5").lifecycle, "left");
  for (const name of ["n0", "n1", "n2", "n3", "n4", "n6", "n7"]) assert.equal(net.stateAt(name, "n5"), "left", name);
  assert.deepEqual([net.events("recovered"), net.events("died")], [[], []]);
});
