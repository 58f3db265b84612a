import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantError, MonotonicMs } from "#kernel";
import { Machines } from "./two-machines.ts";

test("after a pause, timers that are due come before what the socket holds, as in libuv", () => {
  const net = new Machines();
  net.timer(0, "b", 100);
  net.at(50, () => net.process("b").pause());
  net.datagram(60, "a", "b", "ack");
  net.at(400, () => net.process("b").resume());
  net.runUntil(1_000);
  assert.deepEqual(net.core("b").noted, ["400 report-lag", "400 timer", `400 ack from ${net.address("a")}`]);
});

test("a blocked member's timers run, and its packets go and come together when the block ends", () => {
  const net = new Machines();
  net.at(0, () => net.process("b").block());
  net.timer(0, "b", 100);
  net.datagram(10, "a", "b", "in");
  net.datagram(10, "b", "a", "out");
  net.at(500, () => net.process("b").unblock());
  net.runUntil(1_000);
  assert.deepEqual(net.core("b").noted, ["100 timer", `500 in from ${net.address("a")}`]);
  assert.deepEqual(net.core("a").noted, [`510 out from ${net.address("b")}`]);
});

test("a starved member reads everything late while its timers are on time", () => {
  const net = new Machines();
  net.at(0, () => net.process("b").starve({ fromMs: 500, toMs: 2_500 }));
  net.timer(0, "b", 100);
  for (let i = 0; i < 100; i += 1) net.datagram(10, "a", "b", "x");
  net.runUntil(5_000);
  const [timer, ...read] = net.core("b").noted;
  assert.equal(timer, "100 timer");
  const times = read.map((line) => Number(line.split(" ")[0]));
  assert.equal(times.length, 100);
  assert.ok(Math.min(...times) >= 520 && Math.max(...times) <= 2_520);
  assert.ok(Math.max(...times) - Math.min(...times) > 1_500);
});

test("a socket holds so many datagrams and no more", () => {
  const net = new Machines();
  net.at(0, () => net.process("b").pause());
  for (let i = 0; i < 400; i += 1) net.datagram(10, "a", "b", "x");
  net.at(100, () => net.process("b").resume());
  net.runUntil(200);
  assert.equal(net.core("b").noted.length, 271);
  assert.equal(net.process("b").overflowed, 130);
});

test("a fast clock's timers come early", () => {
  const net = new Machines();
  net.at(0, () => net.process("b").drift(1.25));
  net.timer(0, "b", 1_000);
  net.runUntil(2_000);
  assert.deepEqual(net.core("b").noted, ["800 timer"]);
});

test("nothing reaches a killed process, and nothing wakes it", () => {
  const net = new Machines();
  net.timer(0, "b", 100);
  net.datagram(45, "a", "b", "x");
  const core = net.core("b");
  net.at(50, () => net.kill("b"));
  net.runUntil(1_000);
  assert.deepEqual(core.noted, []);
});

test("a core whose deadline does not move is found out", () => {
  const net = new Machines();
  const core = net.core("b");
  core.handleTimeout = () => {};
  net.at(0, () => {
    core.nextDeadline = MonotonicMs(net.process("b").now + 5);
    net.process("b").begin();
  });
  assert.throws(() => net.runUntil(100), InvariantError);
});
