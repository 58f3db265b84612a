import assert from "node:assert/strict";
import { test } from "node:test";
import { swimProfiles } from "#membership/core";
import { TinyNetwork } from "./tiny-network.ts";

test("a record too long for the datagrams of most is known to all, alive and dead, for full exchanges carry it", () => {
  const net = new TinyNetwork(11);
  net.startMany(8, { ...swimProfiles.mesh, datagramBytes: 576 });
  const long = net.start("n8", { options: swimProfiles.mesh });
  net.run(10_000);
  const { metadata } = net.view("n8").self;
  const capabilities = Array.from({ length: 7 }, (_, at) => String(at).repeat(60));
  assert.ok(long.core.command(net.time, { kind: "set-metadata", metadata: { ...metadata, capabilities } }).ok);
  net.run(20_000);
  const others = [...net.members.keys()].filter((id) => id !== "n8");
  for (const id of others) {
    const held = net.view(id).members.find(({ record }) => record.id === "n8")!.record;
    assert.deepEqual([held.state, held.metadata.capabilities.length], ["alive", 7], id);
  }
  net.kill("n8");
  net.run(40_000);
  for (const id of others) assert.equal(net.stateAt(id, "n8"), "dead", id);
});
