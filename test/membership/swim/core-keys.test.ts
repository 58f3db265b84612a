import assert from "node:assert/strict";
import { test } from "node:test";
import { KEY, TinyNetwork } from "./tiny-network.ts";

const NEW_KEY = KEY.map((byte) => byte ^ 0xff);

test("keys are rotated under way: install everywhere, use everywhere, remove everywhere", () => {
  const net = new TinyNetwork(1);
  net.startMany(8);
  net.run(20_000);
  for (const kind of ["install-key", "use-key"] as const) {
    for (const name of net.members.keys()) assert.ok(net.command(name, { kind, key: NEW_KEY }).ok);
    net.run(10_000);
  }
  for (const name of net.members.keys()) assert.ok(net.command(name, { kind: "remove-key", key: KEY }).ok);
  net.run(20_000);
  assert.deepEqual(net.events("died"), []);
  assert.deepEqual(net.events("suspected"), []);
  net.start("n9");
  net.run(30_000);
  assert.equal(net.view("n9").lifecycle, "joining");
  assert.equal(net.stateAt("n1", "n9"), null);
  assert.ok(net.view("n0").counters.rejected["unknown-key"] > 0);
});

test("another cluster's members are refused unread, and told nothing", () => {
  const net = new TinyNetwork(2);
  net.startMany(3);
  net.start("n5", { label: "another" });
  net.run(30_000);
  assert.equal(net.stateAt("n0", "n5"), null);
  assert.ok(net.view("n0").counters.rejected.label > 0);
  assert.equal(net.view("n5").members.length, 1);
});

test("a member whose profile differs is a member, and everybody is told of the difference, for as long as it lasts", () => {
  const net = new TinyNetwork(3);
  net.startMany(4);
  net.start("n5", { options: { ...net.defaults, suspicionMultiplier: 6 } });
  net.run(10_000);
  const told = net.events("profile-mismatch").filter(({ event }) => event.peer === "n5");
  assert.equal(new Set(told.map(({ by }) => by)).size, 4);
  assert.equal(told.length, 4, "once each");
  assert.deepEqual(net.view("n0").mismatched, ["n5"]);
  net.kill("n5");
  net.start("n5", { epoch: 2 });
  net.run(10_000);
  assert.deepEqual(net.view("n0").mismatched, []);
});
