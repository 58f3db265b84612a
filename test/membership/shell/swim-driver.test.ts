import assert from "node:assert/strict";
import { test } from "node:test";
import { StreamId, swimProfiles } from "#membership/core";
import type { Endpoint, StreamEvents } from "#ports";
import { canonicalAddress } from "../../../src/membership/address.ts";
import { InboundStreams } from "../../../src/membership/inbound.ts";
import { SwimDriver } from "../../../src/membership/swim-driver.ts";
import { addressOf, FakeNetwork, type FakeLoop, swimSetup } from "./fake-world.ts";

// Through the inside on purpose: the driver stands below the room's door.

test("drivers carry a core's effects out: nodes that know one seed find each other, and a silent one is found dead", () => {
  const world = start(4);
  world.network.run(5_000);
  for (const name of world.names) assert.deepEqual(world.states(name), { n0: "alive", n1: "alive", n2: "alive", n3: "alive" });
  world.kill("n3");
  world.network.run(30_000);
  for (const name of ["n0", "n1", "n2"]) assert.equal(world.states(name)["n3"], "dead", name);
});

test("after a stall the sockets are read before a probe is judged, however much lies in them before the ack", () => {
  const world = start(6);
  world.network.run(10_000);
  for (const ms of [1_000, 4_000, 9_000]) {
    world.untilProbe("n0");
    world.loops.get("n0")!.stall(ms);
    // One turn of the loop reads 32.
    world.network.flood(addressOf("n0"), 500);
    world.network.run(20_000);
  }
  const { indirectAcks, nacks, streamAcks, failedProbes } = world.counters("n0");
  assert.deepEqual(
    { indirectAcks, nacks, streamAcks, failedProbes },
    { indirectAcks: 0, nacks: 0, streamAcks: 0, failedProbes: 0 },
  );
  assert.deepEqual(new Set(Object.values(world.states("n0"))), new Set(["alive"]));
});

test("an event loop that came late counts against its node's own health, until its probes are answered again", () => {
  const world = start(3);
  world.network.run(5_000);
  assert.equal(world.health("n1"), 1);
  world.loops.get("n1")!.stall(4_000);
  world.network.run(4_050);
  assert.equal(world.health("n1"), 2);
  world.network.run(10_000);
  assert.equal(world.health("n1"), 1);
});

test("a node that is alone has nobody to prove its health to, and is well again in time all the same", () => {
  const world = start(1);
  for (let lag = 0; lag < 9; lag++) {
    world.network.run(5_000);
    world.loops.get("n0")!.stall(4_000);
  }
  world.network.run(10_000);
  assert.equal(world.health("n0"), 1);
});

test("inbound streams have a limit for each host and one for all; a place is free again when its stream is over", () => {
  const inbound = new InboundStreams({ total: 6, perHost: 4 });
  const enter = (id: number, host: string): boolean => {
    const entered = inbound.enter(StreamId(id), host, () => assert.fail("nobody has to go"));
    inbound.known(StreamId(id));
    return entered;
  };
  assert.deepEqual(
    [1, 2, 3, 4, 5].map((id) => enter(id, "198.51.100.1")),
    [true, true, true, true, false],
  );
  inbound.leave(StreamId(1));
  assert.deepEqual([enter(6, "198.51.100.1"), enter(7, "198.51.100.1")], [true, false]);
  assert.deepEqual([enter(8, "198.51.100.2"), enter(9, "198.51.100.3"), enter(10, "198.51.100.4")], [true, true, false]);
  assert.equal(inbound.refused, 3);
});

test("whoever connects and says nothing makes room for the next: the oldest stranger, on a crowded host one of its own", () => {
  const inbound = new InboundStreams({ total: 6, perHost: 4 });
  const gone: number[] = [];
  const enter = (id: number, host: string): boolean => inbound.enter(StreamId(id), host, (stranger) => gone.push(stranger));
  for (const id of [1, 2]) enter(id, "198.51.100.1");
  for (const id of [3, 4, 5, 6]) enter(id, "198.51.100.2");
  inbound.known(StreamId(1));
  assert.ok(enter(7, "198.51.100.2"));
  assert.deepEqual(gone, [3], "its host is full");
  assert.ok(enter(8, "203.0.113.9"));
  assert.deepEqual(gone, [3, 2], "the oldest of all that is no member");
});

test("the driver closes the stranger that makes room, and takes the newcomer", () => {
  const network = new FakeNetwork();
  const { loop, datagrams } = network.node(addressOf("n0"));
  let accept: ((from: Endpoint, stream: { write(): void; close(): void }) => StreamEvents | null) | null = null;
  const started = SwimDriver.start(swimSetup("n0", []), [], {
    clock: loop.clock,
    timers: loop.timers,
    datagrams,
    streams: { accept: (handler) => void (accept = handler), dial: () => assert.fail() },
    onEvent: () => {},
  });
  assert.ok(started.ok);
  const closed: number[] = [];
  const open = (port: number): StreamEvents | null =>
    accept!({ host: "198.51.100.1", port }, { write: () => {}, close: () => void closed.push(port) });
  for (let port = 1; port <= 65; port++) assert.notEqual(open(port), null);
  assert.deepEqual([closed, started.value.counters.streamsRefused], [[1], 1]);
});

test("the system's names of an endpoint become the one spelling in which members write theirs", () => {
  const spelt = (host: string) => canonicalAddress({ host, port: 8771 });
  assert.equal(spelt("203.0.113.7"), "203.0.113.7:8771");
  assert.equal(spelt("::ffff:203.0.113.7"), "203.0.113.7:8771");
  assert.equal(spelt("2001:DB8:0:0:0:0:0:7"), "[2001:db8::7]:8771");
  assert.equal(spelt("fe80::1%eth0"), null);
  assert.equal(spelt("a.example"), null);
});

function start(count: number) {
  const network = new FakeNetwork();
  const names = Array.from({ length: count }, (_, at) => `n${at}`);
  const loops = new Map<string, FakeLoop>();
  const drivers = new Map<string, SwimDriver>();
  for (const name of names) {
    const { loop, ...sockets } = network.node(addressOf(name));
    const { clock, timers } = loop;
    const ports = { clock, timers, ...sockets, onEvent: () => {} };
    const started = SwimDriver.start(swimSetup(name, ["n0"], swimProfiles.mesh), [], ports);
    assert.ok(started.ok);
    loops.set(name, loop);
    drivers.set(name, started.value);
  }
  const health = (of: string): number => drivers.get(of)!.view().healthMultiplier;
  const states = (of: string): Record<string, string> =>
    Object.fromEntries(
      drivers
        .get(of)!
        .view()
        .members.map(({ record }) => [record.id, record.state]),
    );
  const kill = (name: string): void => {
    drivers.get(name)!.close();
    network.kill(addressOf(name));
  };
  const counters = (of: string) => drivers.get(of)!.view().counters;
  /** Up to the moment at which a ping has just left. */
  const untilProbe = (of: string): void => {
    const { probes } = counters(of);
    while (counters(of).probes === probes) network.run(1);
  };
  return { network, names, loops, health, states, kill, counters, untilProbe };
}
