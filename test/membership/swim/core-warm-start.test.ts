import assert from "node:assert/strict";
import { test } from "node:test";
import { type MonotonicMs, NodeId, seededRandom } from "#kernel";
import { createSwim, type MemberRecord, type SwimCore } from "#membership/core";
import { nodeAead } from "../../../src/host/aead.ts";
import { addressOf, KEY, seedOf, TinyNetwork } from "./tiny-network.ts";

/** Twelve that have joined each other, and one more that is dead. */
function cluster(): TinyNetwork {
  const net = new TinyNetwork(1);
  net.startMany(13);
  net.run(10_000);
  net.kill("n12");
  net.run(30_000);
  return net;
}

function warm(net: TinyNetwork, name: string, members: readonly MemberRecord[]): SwimCore {
  const made = createSwim(net.time, {
    id: NodeId(name),
    label: "test",
    epoch: 1,
    addresses: [addressOf(name)],
    metadata: members[0]!.metadata,
    options: net.defaults,
    seeds: [seedOf("n0")],
    members,
    keys: [KEY],
    aead: nodeAead,
    random: seededRandom(1),
    allow: { ids: [], networks: [] },
  });
  assert.ok(made.ok);
  return made.value;
}

test("a member that is given all others holds the view of those that have joined, and has nothing to tell or to ask", () => {
  const net = cluster();
  const view = net.view("n3");
  const core = warm(
    net,
    "n3",
    view.members.map(({ record }) => record),
  );
  const own = core.view(net.time);
  assert.deepEqual(
    own.members.map(({ record }) => record),
    view.members.map(({ record }) => record),
  );
  assert.deepEqual([own.digest, own.lifecycle, core.present], [view.digest, "joined", 12]);
  assert.deepEqual([core.takeEvents(), core.takeTransmissions()], [[], []]);
});

test("it probes those that are present, in an order of its own, and the dead not at all", () => {
  const net = cluster();
  const members = net.view("n3").members.map(({ record }) => record);
  const core = warm(net, "n3", members);
  const asked = new Set<string>();
  // Nobody answers; each period asks one first, before the round begins anew.
  let at: MonotonicMs | null = core.nextDeadline;
  while (at !== null && core.view(at).counters.probes < 11) {
    core.handleTimeout(at);
    for (const sent of core.takeTransmissions()) if (sent.kind === "datagram") asked.add(sent.to);
    at = core.nextDeadline;
  }
  assert.equal(asked.size, 11);
  assert.ok(!asked.has(addressOf("n12")) && !asked.has(addressOf("n3")));
});
