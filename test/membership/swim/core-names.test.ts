import assert from "node:assert/strict";
import { test } from "node:test";
import { Address } from "#membership/core";
import { addressOf, seedOf, TinyNetwork } from "./tiny-network.ts";

const moved = "10.9.9.9:8771";

test("a member that comes back under another address, its state lost, is one member with the new address", () => {
  const net = new TinyNetwork(1);
  net.startMany(12);
  net.run(30_000);
  net.kill("n7");
  net.run(2_000);
  net.start("n7", { address: moved });
  net.run(10_000);
  for (const name of net.members.keys()) {
    const held = net.view(name).members.filter(({ record }) => record.id === "n7");
    assert.deepEqual(
      held.map(({ record }) => [record.state, record.addresses]),
      [["alive", [moved]]],
      name,
    );
  }
  net.run(60_000);
  let toOld = 0;
  net.passes = (_kind, _from, to) => {
    if (to === "10.0.0.8:8771") toOld += 1;
    return true;
  };
  net.run(60_000);
  assert.equal(toOld, 0);
});

test("a restarted member that remembers nothing overrules what is remembered of it, and dies for nobody", () => {
  const net = new TinyNetwork(2);
  net.startMany(12);
  net.run(30_000);
  net.kill("n7");
  net.run(20_000);
  assert.equal(net.stateAt("n3", "n7"), "dead");
  net.start("n7");
  net.run(10_000);
  for (const name of net.members.keys()) assert.equal(net.stateAt(name, "n7"), "alive", name);
  assert.ok(
    net.get("n7").events.some(({ event }) => event.kind === "persist-incarnation") || net.view("n7").self.incarnation.epoch === 1,
  );
});

test("of two processes with one name one survives, and the other says so and falls silent", () => {
  const net = new TinyNetwork(3);
  net.startMany(12);
  net.run(30_000);
  const first = net.get("n7");
  const second = net.start("n7", { address: moved });
  net.members.set("first n7" as typeof first.id, first);
  net.run(30_000);
  const conflicted = [first, second].filter((member) => member.core.view(net.time).lifecycle === "conflicted");
  assert.equal(conflicted.length, 1);
  assert.ok(conflicted[0]!.events.some(({ event }) => event.kind === "conflict" && !event.survives));
  const survivor = first === conflicted[0] ? second : first;
  net.run(60_000);
  const told = survivor.events.filter(({ event }) => event.kind === "conflict");
  assert.deepEqual(
    told.map(({ event }) => event.kind === "conflict" && event.survives),
    [true],
    "the survivor is told once that another goes by its name",
  );
  const held = net.view("n3").members.find(({ record }) => record.id === "n7")!.record;
  assert.deepEqual([held.state, held.addresses], ["alive", [survivor.address]]);
  const flips = net.get("n3").events.filter(({ event }) => event.kind === "address-changed").length;
  assert.ok(flips <= 3, `${flips} flips`);
});

test("of two machines with one configuration, address and all, one gives way as well, for as long as the other lives", () => {
  const net = new TinyNetwork(4);
  net.startMany(6);
  net.run(30_000);
  const first = net.get("n5");
  const copy = net.start("n5", { address: moved, addresses: [addressOf("n5")] });
  net.members.set("first n5" as typeof first.id, first);
  net.run(30_000);
  const isConflicted = (member: typeof first): boolean => member.core.view(net.time).lifecycle === "conflicted";
  const [loser, survivor] = isConflicted(first) ? [first, copy] : [copy, first];
  assert.ok(isConflicted(loser) && !isConflicted(survivor));
  net.run(180_000);
  assert.ok(isConflicted(loser) && !isConflicted(survivor));
  assert.equal(net.events("conflict").length, 1);
  survivor.running = false;
  net.run(120_000);
  assert.ok(!isConflicted(loser));
});

test("whoever gave way stays silent while the survivor lives, and takes the name up again when the survivor has died", () => {
  const net = new TinyNetwork(6);
  net.startMany(8);
  net.run(30_000);
  const first = net.get("n7");
  const second = net.start("n7", { address: moved });
  net.members.set("first n7" as typeof first.id, first);
  net.run(30_000);
  const [loser, survivor] = first.core.view(net.time).lifecycle === "conflicted" ? [first, second] : [second, first];
  const sent = loser.datagramsSent;
  net.run(600_000);
  assert.equal(loser.core.view(net.time).lifecycle, "conflicted");
  assert.equal(loser.datagramsSent, sent);
  assert.deepEqual(net.events("died"), []);
  survivor.running = false;
  net.run(120_000);
  assert.equal(loser.core.view(net.time).lifecycle, "joined");
  const held = net.view("n3").members.find(({ record }) => record.id === "n7")!.record;
  assert.deepEqual([held.state, held.addresses], ["alive", [loser.address]]);
  const told = loser.events.findLast(({ event }) => event.kind === "persist-incarnation")!.event;
  assert.deepEqual(told, { kind: "persist-incarnation", incarnation: { epoch: held.incarnation.epoch, counter: 0 } });
});

test("of two with one name and nobody else to ask, the silent one takes the name up when the other answers no more", () => {
  const net = new TinyNetwork(7);
  const first = net.start("n7", { seeds: [] });
  net.members.set("first n7" as typeof first.id, first);
  const second = net.start("n7", { address: moved, seeds: [{ id: null, addresses: [first.address] }] });
  net.run(30_000);
  const [loser, survivor] = first.core.view(net.time).lifecycle === "conflicted" ? [first, second] : [second, first];
  assert.equal(loser.core.view(net.time).lifecycle, "conflicted");
  net.run(300_000);
  assert.equal(loser.core.view(net.time).lifecycle, "conflicted");
  survivor.running = false;
  net.run(300_000);
  assert.notEqual(loser.core.view(net.time).lifecycle, "conflicted");
});

test("whoever gave way and is cut off from everybody waits: the survivor may live where it cannot see", () => {
  const net = new TinyNetwork(8);
  net.startMany(8);
  net.run(30_000);
  const first = net.get("n7");
  const second = net.start("n7", { address: moved });
  net.members.set("first n7" as typeof first.id, first);
  net.run(30_000);
  const loser = first.core.view(net.time).lifecycle === "conflicted" ? first : second;
  net.passes = (_kind, from, to) => from !== loser.address && to !== loser.address;
  net.run(600_000);
  net.passes = () => true;
  net.run(120_000);
  assert.equal(loser.core.view(net.time).lifecycle, "conflicted");
  assert.deepEqual(net.events("died"), []);
});

test("whoever gave way can still leave for good, and be told of new keys and addresses", () => {
  const net = new TinyNetwork(9);
  net.startMany(6);
  net.run(30_000);
  const first = net.get("n5");
  const second = net.start("n5", { address: moved });
  net.members.set("first n5" as typeof first.id, first);
  net.run(30_000);
  const loser = first.core.view(net.time).lifecycle === "conflicted" ? first : second;
  assert.ok(loser.core.command(net.time, { kind: "set-addresses", addresses: [Address("10.9.9.8:8771")] }).ok);
  assert.ok(loser.core.command(net.time, { kind: "install-key", key: new Uint8Array(32).fill(9) }).ok);
  assert.ok(loser.core.command(net.time, { kind: "leave", as: "left" }).ok);
  assert.equal(loser.core.view(net.time).lifecycle, "left");
  assert.equal(loser.core.nextDeadline, null);
});

test("whoever took two former lives of its own for a rival is a member again by itself", () => {
  const net = new TinyNetwork(10);
  const slow = { ...net.defaults, periodMs: 40_000 };
  // Two that do not know each other, and each knows another life of n5.
  net.start("n0", { seeds: [], options: slow });
  net.start("n1", { seeds: [], options: slow });
  net.start("n5", { epoch: 5, seeds: [seedOf("n1")] });
  net.run(1_000);
  net.kill("n5");
  net.start("n5", { epoch: 9, seeds: [seedOf("n0")] });
  net.run(1_000);
  net.kill("n5");
  const returned = net.start("n5", { address: moved, seeds: [seedOf("n1")] });
  net.run(2_000);
  net.command("n5", { kind: "join", seeds: [seedOf("n0"), seedOf("n1")] });
  net.run(40_000);
  assert.equal(net.view("n5").lifecycle, "conflicted", "the story did not happen");
  net.run(600_000);
  assert.equal(net.view("n5").lifecycle, "joined");
  const held = net.view("n0").members.find(({ record }) => record.id === "n5")!.record;
  assert.deepEqual([held.state, held.addresses], ["alive", [returned.address]]);
});

test("an address that changes is news about one member, not a death and a birth", () => {
  const net = new TinyNetwork(4);
  net.startMany(6);
  net.run(20_000);
  const member = net.get("n5");
  net.command("n5", { kind: "set-addresses", addresses: [Address(moved), member.address] });
  net.run(3_000);
  const told = net.get("n2").events.filter(({ at }) => at > 20_000);
  assert.deepEqual(
    told.map(({ event }) => event.kind),
    ["address-changed"],
  );
  net.run(30_000);
  assert.equal(net.stateAt("n2", "n5"), "alive");
  assert.deepEqual(net.events("suspected"), []);
});

test("metadata is news, too, and too much of it is refused", () => {
  const net = new TinyNetwork(5);
  net.startMany(4);
  net.run(10_000);
  const metadata = { ...net.view("n1").self.metadata, degraded: true };
  assert.ok(net.command("n1", { kind: "set-metadata", metadata }).ok);
  net.run(2_000);
  assert.equal(net.view("n3").members.find(({ record }) => record.id === "n1")?.record.metadata.degraded, true);
  const capabilities = Array.from({ length: 32 }, (_, index) => `capability-number-${index}`);
  assert.ok(!net.command("n1", { kind: "set-metadata", metadata: { ...metadata, capabilities } }).ok);
});

test("after a change of address the old one is looked at once or twice, so that a rival there learns of it", () => {
  const net = new TinyNetwork(11);
  net.startMany(12);
  net.run(30_000);
  const old = net.get("n7").address;
  const looks: number[] = [];
  net.passes = (kind, _from, to) => {
    if (kind === "datagram" && to === old && net.now > 33_000) looks.push(net.now - 33_000);
    return true;
  };
  net.run(3_000);
  net.kill("n7");
  net.start("n7", { address: moved, epoch: 2 });
  net.run(3_000);
  const inTime = looks.length;
  net.run(60_000);
  assert.equal(looks.length, inTime, "nobody asks there later");
  assert.ok(inTime >= 1 && inTime <= 12, `${inTime} datagrams`);
});
