import assert from "node:assert/strict";
import { test } from "node:test";
import { Machines } from "./two-machines.ts";

test("a datagram arrives after the link's delay, from the address that the receiver can answer", () => {
  const net = new Machines();
  net.datagram(0, "a", "b", "hello");
  net.runUntil(100);
  assert.deepEqual(net.core("b").noted, [`10 hello from ${net.address("a")}`]);
});

test("a one-way cut drops what goes one way, and nothing that comes back", () => {
  const net = new Machines();
  net.network.cut(net.machine("a"), net.machine("b"), true);
  net.datagram(0, "a", "b", "lost");
  net.datagram(0, "b", "a", "arrives");
  net.runUntil(100);
  assert.deepEqual(net.core("b").noted, []);
  assert.deepEqual(net.core("a").noted, [`10 arrives from ${net.address("b")}`]);
});

test("where datagrams are dropped, streams work", () => {
  const net = new Machines();
  net.machine("b").faults.udp += 1;
  net.datagram(0, "a", "b", "lost");
  net.open(0, "a", "b", 1);
  net.bytes(50, "a", 1, "arrives");
  net.runUntil(100);
  assert.deepEqual(net.core("b").noted, ["10 stream 2 with 198.18.0.0", "60 arrives on stream 2"]);
  assert.deepEqual(net.core("a").noted, ["20 stream 1 with 198.18.0.1"]);
});

test("a NAT lets in only the peer that was written to, only at the mapping made for it, and only while it is fresh", () => {
  const net = new Machines();
  net.network.putBehindNat(net.machine("a"), { of: [], mappingMs: 30_000, endpointDependent: true });
  net.datagram(0, "b", "a", "unsolicited");
  net.datagram(100, "a", "b", "hello");
  net.runUntil(1_000);
  const [seen] = net.core("b").noted;
  const outside = seen!.split(" ").at(-1)!;
  assert.match(seen!, /^110 hello from 203\.0\.0\.0:\d+$/);
  net.datagram(2_000, "b", outside, "answer");
  net.datagram(2_000, "c", outside, "stranger");
  net.datagram(40_000, "b", outside, "late");
  net.open(40_000, "b", outside, 1, 500);
  net.runUntil(60_000);
  assert.deepEqual(net.core("a").noted, [`2010 answer from ${net.address("b")}`]);
  assert.equal(net.core("b").noted.at(-1), "40500 stream 1 failed");
});

test("a NAT gives every peer an address of its own, and a new one when the old has been forgotten", () => {
  const net = new Machines();
  net.network.putBehindNat(net.machine("a"), { of: [], mappingMs: 30_000, endpointDependent: true });
  net.datagram(0, "a", "b", "one");
  net.datagram(0, "a", "c", "two");
  net.datagram(20_000, "a", "b", "three");
  net.datagram(60_000, "a", "b", "four");
  net.runUntil(61_000);
  const sources = net.core("b").noted.map((line) => line.split(" ").at(-1));
  assert.equal(sources[0], sources[1]);
  assert.notEqual(sources[1], sources[2]);
  assert.notEqual(sources[0], net.core("c").noted[0]!.split(" ").at(-1));
});

test("a stream to a machine without the process is refused, and to a dead machine it times out", () => {
  const net = new Machines();
  net.kill("b");
  net.open(0, "a", "b", 1, 500);
  net.kill("c");
  net.machine("c").isUp = false;
  net.open(0, "a", "c", 3, 500);
  net.runUntil(1_000);
  assert.deepEqual(net.core("a").noted, ["20 stream 1 failed", "500 stream 3 failed"]);
});

test("what is sent on a stream keeps its order and waits while the path is cut", () => {
  const net = new Machines();
  net.open(0, "a", "b", 1);
  net.bytes(50, "a", 1, "one");
  net.at(70, () => net.network.cut(net.machine("b"), net.machine("a"), true));
  net.bytes(80, "a", 1, "two");
  net.bytes(90, "a", 1, "three");
  net.at(1_000, () => net.network.cut(net.machine("b"), net.machine("a"), false));
  net.runUntil(5_000);
  assert.deepEqual(
    net.core("b").noted.map((line) => line.split(" ").slice(1).join(" ")),
    ["stream 2 with 198.18.0.0", "one on stream 2", "two on stream 2", "three on stream 2"],
  );
});

test("a stream over a path that stays cut breaks at the sender after 30 s", () => {
  const net = new Machines();
  net.open(0, "a", "b", 1);
  net.at(40, () => net.network.cut(net.machine("a"), net.machine("b"), true));
  net.bytes(50, "a", 1, "lost");
  net.runUntil(60_000);
  assert.match(net.core("a").noted.at(-1)!, /^(3[0-9]|4[0-9]|5[0-9])\d{3} stream 1 failed$/);
});

test("the streams of a killed process fail at its peers at once; those of a dead machine do not", () => {
  const net = new Machines();
  net.open(0, "a", "b", 1);
  net.open(0, "a", "c", 3);
  net.at(100, () => net.kill("b"));
  net.at(100, () => {
    net.machine("c").isUp = false;
    net.kill("c");
  });
  net.runUntil(1_000);
  assert.deepEqual(net.core("a").noted.slice(2), ["110 stream 1 failed"]);
});

test("loss drops the share of datagrams that was asked for", () => {
  const net = new Machines({ lossChance: 0.03 });
  for (let i = 0; i < 10_000; i += 1) net.datagram(i, "a", "b", "x");
  net.runUntil(20_000);
  const lost = 10_000 - net.core("b").noted.length;
  assert.ok(lost > 240 && lost < 360, `${lost} of 10000 lost`);
});
