import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeId, seededRandom } from "#kernel";
import { type FormerLives, Membership, type MembershipSetup } from "#membership";
import { swimProfiles } from "#membership/core";
import type { HttpGetResult } from "#ports";
import { nodeAead } from "../../../src/host/aead.ts";
import { record } from "../swim/wire-samples.ts";
import { addressOf, FakeNetwork, membershipSetup } from "./fake-world.ts";

test("in mode http a node is polled over its status port, and its verdicts come from there alone", async () => {
  const world = new World({ mode: "http" }, 2);
  await world.run(60_000);
  assert.deepEqual(
    world.look("n0").http?.peers.map(({ id, state, boot }) => [id, state, boot]),
    [["n1", "alive", "1"]],
  );
  assert.equal(world.look("n0").swim, null);
  world.kill("n1");
  await world.run(60_000);
  assert.equal(world.look("n0").http?.peers[0]?.state, "dead");
});

test("in mode hybrid both detectors find a crash, SWIM first, and the comparison says by how much", async () => {
  const world = new World({ mode: "hybrid" }, 4);
  await world.run(60_000);
  assert.deepEqual(
    world.look("n0").clauses.filter(({ broken }) => broken !== null),
    [],
  );
  world.kill("n3");
  await world.run(60_000);
  const { comparison } = world.look("n0");
  assert.deepEqual([comparison?.swim.deaths, comparison?.http.deaths, comparison?.foundByBoth], [1, 1, 1]);
  assert.ok(comparison!.swimLeadMs! > 3_000, `SWIM was earlier by ${comparison?.swimLeadMs} ms`);
  assert.ok(comparison!.swim.messages > 0 && comparison!.http.messages > 0);
  assert.equal(comparison?.disagreements, 1);
});

test("in mode http a node that the operator forgot is polled no more, by the word of the voter that has applied most of the log", async () => {
  const world = new World({ mode: "http" }, 4);
  const polled = () => world.look("n3").http?.peers.map(({ id }) => id);
  world.pages.set("n0", { applied_index: "90", committed_nodes: { n2: { state: "DOWN" } } });
  world.pages.set("n1", { applied_index: "80", committed_nodes: { n2: { state: "EVICTED" } } });
  await world.run(60_000);
  assert.deepEqual(polled(), ["n0", "n1", "n2"], "a voter that lags behind is not believed");
  world.pages.set("n0", { applied_index: "91", committed_nodes: { n2: { state: "EVICTED" } } });
  await world.run(20_000);
  assert.deepEqual(polled(), ["n0", "n1"]);
  const asked = world.asked.get("n2");
  await world.run(600_000);
  // Its own view has no n2 either, so nobody is left that would ask.
  assert.equal(world.asked.get("n2"), asked);
  world.pages.set("n0", { applied_index: "92", committed_nodes: { n2: { state: "UP" } } });
  await world.run(60_000);
  assert.deepEqual(
    world.look("n3").http?.peers.map(({ id, state }) => [id, state]),
    [
      ["n0", "alive"],
      ["n1", "alive"],
      ["n2", "alive"],
    ],
  );
});

test("in mode http a voter hears from itself whom the log holds for forgotten", async () => {
  const world = new World({ mode: "http" }, 2);
  const polled = () => world.look("n0").http?.peers.length;
  const own = (state: string) =>
    world.nodes.get("n0")!.hearStatus(NodeId("n0"), { applied_index: "7", committed_nodes: { n1: { state } } });
  own("EVICTED");
  assert.equal(polled(), 0);
  own("DOWN");
  assert.equal(polled(), 1);
});

test("in mode hybrid a node that gossip calls removed is polled no more, until it is readmitted", async () => {
  const world = new World({ mode: "hybrid" }, 3);
  await world.run(60_000);
  world.kill("n2");
  await world.run(90_000);
  world.nodes.get("n0")!.remove([{ kind: "forget", member: NodeId("n2"), barrier: { epoch: 1, counter: 9 } }]);
  await world.run(10_000);
  for (const name of ["n0", "n1"]) assert.ok(!world.look(name).http!.peers.some(({ id }) => id === "n2"), name);
  const asked = world.asked.get("n2");
  await world.run(600_000);
  assert.equal(world.asked.get("n2"), asked);
  world.nodes.get("n0")!.remove([{ kind: "readmit", member: NodeId("n2") }]);
  await world.run(10_000);
  for (const name of ["n0", "n1"])
    assert.ok(
      world.look(name).http!.peers.some(({ id }) => id === "n2"),
      name,
    );
});

test("who was removed is remembered across a restart, yet not by a node that was down for longer than a tombstone stands", async () => {
  const removed = { ...record, id: NodeId("gone"), state: "removed", accuser: null } as const;
  for (const [awayMs, holds] of [
    [swimProfiles.mesh.tombstoneMs - 1_000, ["gone", "n0"]],
    [swimProfiles.mesh.tombstoneMs + 1_000, ["n0"]],
  ] as const) {
    const world = new World({}, 1, { members: [removed], wallMs: -awayMs });
    await world.run(500);
    assert.deepEqual(
      world.look("n0").swim?.view.members.map((member) => member.record.id),
      holds,
    );
  }
});

test("a name without an address is asked for again, and the node joins once it has one", async () => {
  const world = new World({ advertise: ["n0.example:8771"] }, 1);
  await world.run(5_000);
  assert.equal(world.look("n0").clauses[0]?.broken, "this node has not begun to join");
  assert.equal(world.unresolved, 1);
  world.names.set("n0.example", ["192.0.2.1"]);
  await world.run(5_000);
  assert.deepEqual(world.look("n0").swim?.view.self.addresses, ["192.0.2.1:8771"]);
});

test("a name server that does not answer holds nobody up who has another address to ask", async () => {
  const world = new World({ seeds: [{ id: null, addresses: ["silent.example:8771", addressOf("n0")] }] }, 2);
  await world.run(5_000);
  assert.equal(world.look("n1").swim?.view.lifecycle, "joined");
  await world.run(65_000);
  assert.equal(world.look("n1").swim?.view.lifecycle, "joined");
});

test("a name server that answers in another order changes nothing; one that answers with another address does", async () => {
  const world = new World({ advertise: ["n0.example:8771", "192.0.2.1:9000"] }, 1);
  const self = () => world.look("n0").swim!.view.self;
  world.names.set("n0.example", ["198.51.100.2", "198.51.100.1"]);
  await world.run(35_000);
  const addresses = ["198.51.100.1:8771", "198.51.100.2:8771", "192.0.2.1:9000"];
  assert.deepEqual(self().addresses, addresses, "the configured order, and within a name a fixed one");
  const { incarnation } = self();
  world.names.set("n0.example", ["198.51.100.1", "198.51.100.2"]);
  await world.run(65_000);
  assert.deepEqual(self().incarnation, incarnation);
  world.names.delete("n0.example");
  await world.run(65_000);
  assert.deepEqual([self().addresses, self().incarnation], [addresses, incarnation], "nor one that answers nothing");
  world.names.set("n0.example", ["198.51.100.3"]);
  await world.run(35_000);
  assert.deepEqual(self().addresses, ["198.51.100.3:8771", "192.0.2.1:9000"]);
  assert.equal(self().incarnation.counter, incarnation.counter + 1);
});

test("a node that leaves is left, not dead, at the others, and then says nothing more", async () => {
  const world = new World({}, 3);
  await world.run(10_000);
  const leaving = world.nodes.get("n2")!.leave();
  await world.run(6_000);
  await leaving;
  const seen = world.look("n0").swim?.view.members.find(({ record }) => record.id === "n2");
  assert.equal(seen?.record.state, "left");
});

test("a key that nodes install, use and remove while they run is told to the others at each step, and costs no member", async () => {
  const world = new World({}, 3);
  await world.run(10_000);
  const old = new Uint8Array(32);
  const fresh = new Uint8Array(32).fill(7);
  const [oldName, freshName] = [old, fresh].map((key) => Number.parseInt(nodeAead.importKey(key).fingerprint.slice(0, 8), 16));
  for (const [keys, names] of [
    [[old], [oldName]],
    [
      [old, fresh],
      [oldName, freshName],
    ],
    [
      [fresh, old],
      [freshName, oldName],
    ],
    [[fresh], [freshName]],
  ] as const) {
    for (const node of world.nodes.values()) {
      node.setKeys(keys);
      await world.run(3_000);
    }
    for (const name of world.nodes.keys()) {
      const { members } = world.look(name).swim!.view;
      assert.deepEqual(
        members.map(({ record }) => [record.state, record.metadata.keys]),
        [1, 2, 3].map(() => ["alive", names]),
      );
    }
  }
});

/** Whole nodes over fake sockets; a status page answers while its node lives. */
class World {
  readonly network = new FakeNetwork();
  readonly nodes = new Map<string, Membership>();
  readonly names = new Map<string, readonly string[]>();
  /** What status pages say beside who answers. */
  readonly pages = new Map<string, object>();
  /** Requests for the status page of each. */
  readonly asked = new Map<string, number>();
  unresolved = 0;

  constructor(more: Partial<MembershipSetup>, count: number, lives: Partial<FormerLives> = {}) {
    const all = Array.from({ length: count }, (_, at) => `n${at}`);
    const setups = all.map((name) => membershipSetup(name));
    for (const [at, name] of all.entries()) {
      const own = setups[at]!;
      const { loop, datagrams, streams } = this.network.node(addressOf(name));
      const node = new Membership(
        {
          ...own,
          seeds: [{ id: setups[0]!.id, addresses: [addressOf("n0")] }],
          peers: setups.filter(({ id }) => id !== own.id).map(({ id }) => ({ id, addresses: [`http://${id}`] })),
          ...more,
        },
        { epoch: 1, members: [], wallMs: null, ...lives },
        {
          clock: loop.clock,
          timers: loop.timers,
          random: seededRandom(at + 1),
          aead: nodeAead,
          sockets: { datagrams, streams },
          get: (url) => Promise.resolve(this.#page(url)),
          resolve: (host) => (host.startsWith("silent.") ? new Promise(() => {}) : Promise.resolve(this.names.get(host) ?? [])),
          machine: { interfaceMtu: null },
          onSwimEvent: () => {},
          onHttpEvent: () => {},
          onUnresolved: () => void this.unresolved++,
        },
      );
      this.nodes.set(name, node);
      void node.join();
    }
  }

  look(name: string) {
    return this.nodes.get(name)!.look();
  }

  kill(name: string): void {
    this.nodes.get(name)!.close();
    this.nodes.delete(name);
    this.network.kill(addressOf(name));
  }

  /** Simulated time in small steps, with promises settled in between. */
  async run(ms: number): Promise<void> {
    for (let done = 0; done < ms; done += 50) {
      this.network.run(50);
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    }
    await new Promise((resolve) => setImmediate(resolve));
  }

  #page(url: string): HttpGetResult {
    const name = /^http:\/\/(n\d+)\/status$/.exec(url)?.[1] ?? "";
    this.asked.set(name, (this.asked.get(name) ?? 0) + 1);
    if (!this.nodes.has(name)) return { kind: "failed", why: "refused" };
    return {
      kind: "answered",
      status: 200,
      body: JSON.stringify({ node_id: name, membership: { boot: "1" }, ...this.pages.get(name) }),
    };
  }
}
