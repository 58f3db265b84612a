import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeId } from "#kernel";
import { messagesOf, NodeUnderTest, peerAddress, record } from "./fake-peers.ts";
import { addressOf, seedOf, TinyNetwork } from "./tiny-network.ts";

test("the halves of a cut network find each other again by themselves", () => {
  const net = new TinyNetwork(1);
  net.startMany(12);
  net.run(30_000);
  const left = new Set(["n0", "n1", "n2", "n3"].map(addressOf));
  net.passes = (_kind, from, to) => left.has(from) === left.has(to);
  net.run(180_000);
  assert.equal(alive(net, "n0"), 4);
  assert.equal(alive(net, "n9"), 8);
  assert.ok(net.view("n0").partition !== null);
  net.passes = () => true;
  const healed = net.now;
  net.run(60_000);
  for (const name of net.members.keys()) assert.equal(alive(net, name), 12, name);
  assert.deepEqual(
    net.events("died").filter(({ at }) => at > healed),
    [],
    "neither half's verdicts spread through the other",
  );
  assert.equal(net.view("n0").partition, null);
});

test("a member that was alone for an hour is back within a minute and a half, and was quiet meanwhile", () => {
  const net = new TinyNetwork(2);
  net.startMany(5);
  net.run(30_000);
  const lonely = addressOf("n3");
  net.passes = (_kind, from, to) => from !== lonely && to !== lonely;
  const before = net.get("n3").datagramsSent;
  net.run(3_600_000);
  assert.ok((net.get("n3").datagramsSent - before) / 3_600 < 2);
  net.passes = () => true;
  const restored = net.now;
  net.run(90_000);
  assert.equal(alive(net, "n3"), 5);
  assert.equal(net.stateAt("n1", "n3"), "alive");
  assert.deepEqual(
    net.events("died").filter(({ at }) => at > restored),
    [],
    "its verdicts of that hour are nobody's news",
  );
});

test("a member that all took for dead refutes it within a period of being heard again", () => {
  const net = new TinyNetwork(3);
  net.startMany(12);
  net.run(30_000);
  net.get("n7").paused = true;
  net.run(45_000);
  for (const name of net.members.keys()) if (name !== "n7") assert.equal(net.stateAt(name, "n7"), "dead", name);
  net.get("n7").paused = false;
  net.run(5_000);
  for (const name of net.members.keys()) assert.equal(net.stateAt(name, "n7"), "alive", name);
  assert.deepEqual(
    net.events("died").filter(({ by }) => by === "n7"),
    [],
    "it accused nobody of its own silence",
  );
});

test("views that differ although all gossip is over are found by their digests and repaired", () => {
  const net = new TinyNetwork(4);
  const calm = { ...net.defaults, pushPullIntervalMs: 3_600_000 };
  net.startMany(8, calm);
  net.run(30_000);
  const deaf = addressOf("n7");
  net.passes = (_kind, from, to) => from !== deaf && to !== deaf;
  net.start("n9", { options: calm });
  net.run(2_500);
  assert.equal(net.stateAt("n7", "n9"), null);
  net.passes = () => true;
  net.run(15_000);
  assert.equal(net.stateAt("n7", "n9"), "alive");
  assert.equal(net.view("n7").digest, net.view("n3").digest);
});

test("who missed a piece of news knows it within seconds, although it also hears a suspect that never answers", () => {
  const took = Array.from({ length: 40 }, (_, seed) => {
    const net = new TinyNetwork(seed);
    const calm = { ...net.defaults, pushPullIntervalMs: 3_600_000 };
    net.startMany(8, calm);
    net.run(30_000);
    const deaf = addressOf("n7");
    const unreached = addressOf("n6");
    net.passes = (_kind, from, to) => to !== unreached && from !== deaf && to !== deaf;
    net.start("n9", { options: calm });
    net.run(2_500);
    net.passes = (_kind, _from, to) => to !== unreached;
    const heard = net.now;
    while (net.stateAt("n7", "n9") !== "alive" && net.now < heard + 10_000) net.run(50);
    return net.now - heard;
  }).toSorted((a, b) => a - b);
  assert.ok(took[20]! < 2_000, `half of them after ${took[20]} ms`);
  assert.ok(took.at(-1)! <= 5_000, `the last after ${took.at(-1)} ms`);
});

test("seeds that were all down are asked until one is back", () => {
  const net = new TinyNetwork(5);
  const late = net.start("n5", { seeds: [seedOf("n0"), seedOf("n1")] });
  net.run(600_000);
  assert.equal(late.core.view(net.time).lifecycle, "joining");
  net.start("n0", { seeds: [] });
  net.run(65_000);
  assert.equal(net.stateAt("n0", "n5"), "alive");
  assert.equal(net.view("n5").lifecycle, "joined");
});

test("a member that still joins asks its seeds anew at once when it gets another address", () => {
  const net = new TinyNetwork(9);
  net.start("n0", { seeds: [] });
  net.passes = (_kind, from, to) => from !== addressOf("n5") && to !== addressOf("n5");
  net.start("n5", { seeds: [seedOf("n0")] });
  net.run(120_000);
  assert.equal(net.view("n5").lifecycle, "joining");
  net.passes = () => true;
  net.command("n5", { kind: "set-addresses", addresses: [addressOf("n50"), addressOf("n5")] });
  net.run(1_000);
  assert.equal(net.view("n5").lifecycle, "joined");
});

test("one that is gone for good costs an attempt in a quarter of an hour, and a stream to it is asked for once", () => {
  const node = new NodeUnderTest();
  node.hearOf("a", record("x", "alive", 0));
  node.hearOf("a", record("x", "dead", 0));
  node.run(14_400_000);
  const asked = node.dialled.filter(({ to }) => to === peerAddress("x"));
  assert.ok(asked.every(({ timeoutMs }) => timeoutMs < 1_000));
  const pings = messagesOf(node.sent(), "ping").filter(({ to }) => to === peerAddress("x"));
  const attempts = asked.length + pings.length;
  assert.ok(attempts >= 16 && attempts <= 24, `${attempts} attempts in four hours`);
});

test("a seed's addresses are tried all at once, so one without a route costs nothing", () => {
  const net = new TinyNetwork(6);
  net.start("n0", { seeds: [] });
  const seed = { id: seedOf("n0").id, addresses: [addressOf("n100"), addressOf("n101"), addressOf("n0")] };
  net.start("n1", { seeds: [seed] });
  net.run(1_000);
  assert.equal(net.view("n1").lifecycle, "joined");
});

function alive(net: TinyNetwork, name: string): number {
  return net.view(name).members.filter(({ record }) => record.state === "alive").length;
}

test("a node without other seeds whose remembered members are gone stands alone after a while, and still finds one that returns", () => {
  const net = new TinyNetwork(8);
  net.start("n0", { seeds: [] });
  const n1 = { ...net.view("n0").self, id: NodeId("n1"), addresses: [addressOf("n1")] };
  net.command("n0", { kind: "recall", members: [n1] });
  net.run(10_000);
  assert.equal(net.view("n0").lifecycle, "joining");
  net.run(50_000);
  assert.equal(net.view("n0").lifecycle, "joined");
  net.start("n1", { seeds: [] });
  net.run(60_000);
  assert.equal(net.stateAt("n0", "n1"), "alive");
});

test("a node without other seeds finds its cluster again by the members it remembers", () => {
  const net = new TinyNetwork(7);
  net.startMany(4);
  net.run(10_000);
  const remembered = net.view("n0").members.map(({ record }) => record);
  net.kill("n0");
  net.run(20_000);
  net.start("n0", { seeds: [], epoch: 2 });
  net.command("n0", { kind: "recall", members: remembered });
  net.run(3_000);
  assert.equal(alive(net, "n0"), 4);
  assert.equal(net.stateAt("n3", "n0"), "alive");
});
