import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { seededRandom } from "#kernel";
import { Membership, type MembershipPorts } from "#membership";
import { type SwimEvent, swimProfiles } from "#membership/core";
import { nodeAead } from "../../src/host/aead.ts";
import { systemClock, systemTimers } from "../../src/host/clock.ts";
import { listenTcp } from "../../src/host/tcp.ts";
import { bindUdp } from "../../src/host/udp.ts";
import { membershipSetup } from "../membership/shell/fake-world.ts";

/** Fast enough to wait for, with suspicions that outlast a busy machine. */
const options = { ...swimProfiles.local, periodMs: 500, probeTimeoutMs: 250, suspicionMultiplier: 12, keepaliveMs: 2_000 };

test(
  "I16, I7: over real sockets a node whose datagrams are dropped both ways says so within seconds, lives by streams, and outlives its relay",
  { timeout: 180_000 },
  async (t) => {
    const nodes = new Map<string, Node>();
    t.after(() => nodes.forEach((node) => node.close()));
    const first = await Node.open("n0", []);
    nodes.set("n0", first);
    for (const name of ["n1", "n2", "n3"]) nodes.set(name, await Node.open(name, [first.place]));
    await until("four members", () => [...nodes.values()].every((node) => node.alive().length === 4));

    const cut = await Node.open("n4", [first.place], { datagrams: false });
    nodes.set("n4", cut);
    // The target is 3 s; a view over a stream comes first, without which silence proves nothing.
    await until("n4's self-test", () => cut.look()?.selfTest.udp === "failed", 15);
    assert.equal(cut.look()!.selfTest.udpIn, "failed");
    await until("n4 at everybody, with the path told", () =>
      [...nodes.values()].every((node) => {
        const seen = node.look()?.view.members.find(({ record }) => record.id === "n4");
        return seen?.record.state === "alive" && seen.record.reach !== "direct" && seen.record.relays.length > 0;
      }),
    );

    const [relay] = cut.look()!.view.self.relays;
    nodes.get(relay!)!.close();
    nodes.delete(relay!);
    await until("another relay", () => {
      const { relays } = cut.look()!.view.self;
      return relays.length > 0 && !relays.includes(relay!);
    });
    await until("its death everywhere", () => [...nodes.values()].every(({ died }) => died.has(relay!)));
    for (const [name, node] of nodes) {
      assert.deepEqual([...node.died], [relay], `${name} declared dead`);
      assert.ok(node.alive().includes("n4"), name);
    }
  },
);

class Node {
  readonly place: string;
  readonly died = new Set<string>();
  readonly #membership: Membership;
  readonly #closeSockets: () => void;

  static async open(name: string, seeds: readonly string[], { datagrams = true } = {}): Promise<Node> {
    for (let port = 25_200 + (process.pid % 20) * 10; ; port++) {
      const place = `127.0.0.1:${port}`;
      const udp = await bindUdp(place).catch(() => null);
      const streams = await listenTcp(place).catch(() => null);
      if (udp !== null && streams !== null) {
        const closeSockets = () => {
          udp.close();
          streams.close();
        };
        return new Node(
          name,
          place,
          seeds,
          { datagrams: datagrams ? udp : { send: () => {}, receive: () => {} }, streams },
          closeSockets,
        );
      }
      udp?.close();
      streams?.close();
      assert.ok(port < 25_500, "no free port");
    }
  }

  private constructor(
    name: string,
    place: string,
    seeds: readonly string[],
    sockets: NonNullable<MembershipPorts["sockets"]>,
    closeSockets: () => void,
  ) {
    this.place = place;
    this.#closeSockets = closeSockets;
    const setup = membershipSetup(name, {
      advertise: [place],
      swim: options,
      seeds: seeds.map((seed) => ({ id: null, addresses: [seed] })),
    });
    this.#membership = new Membership(
      { ...setup, metadata: { ...setup.metadata, role: "voter" } },
      { epoch: 1, members: [], wallMs: null },
      {
        clock: systemClock(),
        timers: systemTimers(),
        random: seededRandom(Number(name.slice(1)) + 1),
        aead: nodeAead,
        sockets,
        get: () => Promise.resolve({ kind: "failed", why: "refused" }),
        resolve: () => Promise.resolve([]),
        machine: { interfaceMtu: null },
        onSwimEvent: (event: SwimEvent) => void (event.kind === "died" && this.died.add(event.member.id)),
        onHttpEvent: () => {},
        onUnresolved: () => {},
      },
    );
    void this.#membership.join();
  }

  look() {
    return this.#membership.look().swim;
  }

  alive(): readonly string[] {
    const members = this.look()?.view.members ?? [];
    return members.filter(({ record }) => record.state === "alive").map(({ record }) => record.id);
  }

  /** As a crash: without a word. */
  close(): void {
    this.#membership.close();
    this.#closeSockets();
  }
}

async function until(what: string, holds: () => boolean, seconds = 60): Promise<void> {
  for (const end = performance.now() + seconds * 1_000; !holds(); await pause(50)) {
    assert.ok(performance.now() < end, `${what} did not come within ${seconds} s`);
  }
}
