import assert from "node:assert/strict";
import { test } from "node:test";
import { id, Network } from "./network.ts";

test("a leader that must not lead any more steps down at once, and another one follows", () => {
  const net = Network.of(3);
  net.campaign(1);
  net.node(1).step({ kind: "mayLead", allowed: false });
  assert.deepEqual(net.leaders(), []);
  net.tick(100);
  assert.equal(net.leaders().length, 1);
  assert.notEqual(net.leaders()[0]!.id, id(1));
});

test("a voter that must not lead stands for nothing, votes for others, and stands again when it may", () => {
  const net = Network.of(2);
  net.node(1).step({ kind: "mayLead", allowed: false });
  net.campaign(1);
  net.tick(60);
  assert.deepEqual(
    net.leaders().map((node) => node.id),
    [id(2)],
  );
  net.node(2).step({ kind: "mayLead", allowed: false });
  net.tick(200);
  assert.deepEqual(net.leaders(), []);
  net.node(1).step({ kind: "mayLead", allowed: true });
  net.tick(60);
  assert.deepEqual(
    net.leaders().map((node) => node.id),
    [id(1)],
  );
});
