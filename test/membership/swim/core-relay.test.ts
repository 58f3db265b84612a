import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs, NodeId } from "#kernel";
import { Address } from "#membership/core";
import { ProbeNumber } from "../../../src/membership/core/swim/message.ts";
import { messagesOf, NodeUnderTest, record } from "./fake-peers.ts";
import { addressOf, seedOf, TinyNetwork } from "./tiny-network.ts";

test("a member behind a NAT that lets only answers in gets relays and is never declared dead", () => {
  const net = new TinyNetwork(1);
  net.hidden.add(addressOf("n7"));
  net.startMany(12);
  net.run(60_000);
  const own = net.view("n7").self;
  assert.equal(own.reach, "relay");
  assert.equal(own.relays.length, 2);
  assert.equal(net.view("n3").members.find(({ record }) => record.id === "n7")?.reach, "relay");
  const settled = net.now;
  net.run(300_000);
  assert.deepEqual(net.events("died"), []);
  assert.deepEqual(
    net.events("suspected").filter(({ at }) => at > settled),
    [],
  );
});

for (const seed of [1, 2, 3, 4, 5]) {
  test(`a member behind a NAT has relays before anybody accuses it (seed ${seed})`, () => {
    const net = new TinyNetwork(seed);
    net.startMany(7);
    net.run(10_000);
    net.hidden.add(addressOf("n7"));
    net.start("n7");
    net.run(10_000);
    assert.equal(net.view("n7").self.reach, "relay");
    assert.deepEqual(net.events("suspected"), []);
    const declared = net.events("path-changed").find(({ event }) => event.id === "n7" && event.now === "relay")!;
    assert.ok(declared.at < 12_000, `${declared.at} ms`);
  });
}

for (const seed of [1, 2, 3, 4]) {
  test(`a member that says goodbye while it finds out whether it is reached has left, and takes nothing back (seed ${seed})`, () => {
    const net = new TinyNetwork(seed);
    net.startMany(7);
    net.run(10_000);
    net.hidden.add(addressOf("n7"));
    net.start("n7");
    while (net.events("observed-address").every(({ by }) => by !== "n7")) net.run(5);
    // Its relays have taken it on, and in a moment it would say so.
    net.run(net.defaults.probeTimeoutMs - 60);
    net.command("n7", { kind: "leave", as: "left" });
    net.run(20_000);
    for (let index = 0; index < 7; index++) assert.equal(net.stateAt(`n${index}`, "n7"), "left");
    assert.deepEqual([net.events("recovered"), net.events("died")], [[], []]);
  });
}

for (const seed of [1, 2, 3]) {
  test(`where all but one are hidden nobody is declared dead: relays hear of their members before gossip finds its way (seed ${seed})`, () => {
    const net = new TinyNetwork(seed);
    for (let index = 1; index < 8; index++) net.hidden.add(addressOf(`n${index}`));
    net.startMany(8);
    net.run(60_000);
    assert.deepEqual(net.events("died"), []);
    for (let index = 1; index < 8; index++) assert.equal(net.view(`n${index}`).self.reach, "relay");
  });
}

test("a member that was seen elsewhere while there was but one to ask has strangers ping it as soon as there are two", () => {
  const node = new NodeUnderTest();
  const asks = (): number =>
    messagesOf(node.sent(), "ping-request").filter(({ message }) => message.target === NodeId("own")).length;
  node.hearOf("a", record("a", "alive", 0));
  node.hear("a", [{ kind: "ack", probe: ProbeNumber(1), observed: Address("203.0.113.1:10000") }]);
  assert.equal(asks(), 0);
  // The ack came before the view that names all others, and who is probed next may be hidden and answer nothing.
  node.hearOf("a", record("b", "alive", 0));
  node.run(node.options.periodMs);
  assert.equal(asks(), 2);
});

test("a member that was seen elsewhere, and has since given that address, asks nobody", () => {
  const node = new NodeUnderTest();
  const outside = Address("203.0.113.1:10000");
  node.hearOf("a", record("a", "alive", 0));
  node.hear("a", [{ kind: "ack", probe: ProbeNumber(1), observed: outside }]);
  assert.ok(node.core.command(MonotonicMs(node.now), { kind: "set-addresses", addresses: [outside] }).ok);
  node.hearOf("a", record("b", "alive", 0));
  node.run(2 * node.options.periodMs);
  assert.deepEqual(
    messagesOf(node.sent(), "ping-request").filter(({ message }) => message.target === NodeId("own")),
    [],
  );
});

test("a member that is seen at another address than it gives, and is reached all the same, stays direct", () => {
  const net = new TinyNetwork(1);
  net.otherWayOut.add(addressOf("n7"));
  net.startMany(12);
  net.run(60_000);
  assert.ok(net.events("observed-address").some(({ by }) => by === "n7"));
  const own = net.view("n7").self;
  assert.deepEqual(
    { reach: own.reach, relays: own.relays, counter: own.incarnation.counter },
    { reach: "direct", relays: [], counter: 0 },
  );
  assert.deepEqual(net.events("path-changed"), []);
});

test("a member that is seen where it says that it is asks nobody and opens no stream to a relay", () => {
  const net = new TinyNetwork(1);
  const own = addressOf("n7");
  const opened: string[] = [];
  let sent = false;
  // Its NAT keeps the port and lets everybody in once something has gone out: the address outside is the one that it gives.
  net.passes = (kind, from, to) => {
    if (from === own && kind === "stream") opened.push(to);
    sent ||= from === own && kind === "datagram";
    return to !== own || (kind === "datagram" && sent);
  };
  net.startMany(12);
  net.run(3_000);
  assert.deepEqual([...new Set(opened)], [addressOf("n0")], "the seed, to join");
  net.run(57_000);
  assert.equal(net.view("n7").self.reach, "direct");
  assert.deepEqual(net.events("suspected"), []);
  assert.deepEqual(net.events("path-changed"), []);
});

test("a member that others cannot reach any more is accused a few times at most before it has relays", () => {
  const net = new TinyNetwork(1);
  net.startMany(24);
  net.run(30_000);
  net.hidden.add(addressOf("n7"));
  net.run(120_000);
  assert.equal(net.view("n7").self.reach, "relay");
  const accused = new Set(net.events("suspected").map(({ event: { member } }) => `${member.id} ${member.incarnation.counter}`));
  assert.ok(accused.size <= 3, [...accused].join(", "));
  const declared = net.events("path-changed").find(({ event }) => event.id === "n7" && event.now === "relay")!;
  assert.ok(declared.at < 38_000, `${declared.at} ms`);
});

test("the crash of a relay moves its members to another one in seconds", () => {
  const net = new TinyNetwork(2);
  net.hidden.add(addressOf("n7"));
  net.startMany(12);
  net.run(60_000);
  const [relay, other] = net.view("n7").self.relays;
  net.kill(relay!);
  net.run(5_000);
  const { relays } = net.view("n7").self;
  assert.equal(relays.length, 2);
  assert.ok(!relays.includes(relay!) && relays.includes(other!));
  net.run(30_000);
  assert.deepEqual([...new Set(net.events("died").map(({ event }) => event.member.id))], [relay]);
});

test("a member without UDP stays alive and says that only streams reach it, until UDP is back", () => {
  const net = new TinyNetwork(3);
  net.startMany(12);
  net.run(30_000);
  const mute = addressOf("n7");
  net.passes = (kind, from, to) => kind === "stream" || (from !== mute && to !== mute);
  net.run(30_000);
  assert.equal(net.view("n7").self.reach, "stream");
  assert.equal(net.view("n2").members.find(({ record }) => record.id === "n7")?.reach, "stream");
  net.run(120_000);
  net.passes = () => true;
  net.run(120_000);
  assert.deepEqual(net.events("died"), []);
  assert.equal(net.view("n7").self.reach, "direct");
  assert.deepEqual(net.view("n2").members.find(({ record }) => record.id === "n7")?.record.relays, []);
});

test("two members without UDP reach each other through two relays", () => {
  const net = new TinyNetwork(4);
  const mute = new Set([addressOf("n6"), addressOf("n7")]);
  net.passes = (kind, from, to) => kind === "stream" || (!mute.has(from) && !mute.has(to));
  net.startMany(9);
  net.run(60_000);
  const settled = net.now;
  net.run(120_000);
  assert.deepEqual(net.events("died"), []);
  assert.deepEqual(
    net.events("suspected").filter(({ at }) => at > settled),
    [],
  );
});

test("a relay whose machine vanishes without closing a stream is replaced within seconds, by whoever depends on it", () => {
  const net = new TinyNetwork(5);
  net.hidden.add(addressOf("n7"));
  net.startMany(12);
  net.run(60_000);
  const [relay] = net.view("n7").self.relays;
  net.get(relay!).paused = true;
  net.run(4_000);
  const { relays } = net.view("n7").self;
  assert.equal(relays.length, 2);
  assert.ok(!relays.includes(relay!));
  net.run(30_000);
  assert.deepEqual([...new Set(net.events("died").map(({ event }) => event.member.id))], [relay]);
});

test("a stream to a relay that carries nothing any more, though both ends hold it open, is replaced within seconds", () => {
  const net = new TinyNetwork(6);
  net.hidden.add(addressOf("n7"));
  net.startMany(12);
  net.run(60_000);
  const own = addressOf("n7");
  const [relay, other] = net.view("n7").self.relays;
  const there = addressOf(relay!);
  net.run(120_000);
  assert.deepEqual(net.view("n7").self.relays, [relay, other], "streams that carry stay");
  net.carries = (from, to) => !(from === own && to === there) && !(from === there && to === own);
  net.run(4_000);
  const { relays } = net.view("n7").self;
  assert.ok(relays.length === 2 && relays.includes(other!) && !relays.includes(relay!), relays.join(" "));
  assert.deepEqual(net.events("died"), []);
});

test("where no voter takes it on, a member that cannot be reached finds relays among the others", () => {
  const net = new TinyNetwork(7);
  const own = addressOf("n7");
  const voters = ["n0", "n1", "n2"].map(addressOf);
  net.hidden.add(own);
  net.passes = (kind, from, to) => !(kind === "stream" && from === own && voters.includes(to));
  for (let index = 0; index < 9; index++) {
    net.start(`n${index}`, { role: index < 3 ? "voter" : "worker", seeds: [seedOf("n3")] });
  }
  net.run(60_000);
  const { relays } = net.view("n7").self;
  assert.equal(relays.length, 2, relays.join(" "));
});
