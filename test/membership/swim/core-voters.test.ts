import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeId } from "#kernel";
import { votersHashOf } from "#membership/core";
import { TinyNetwork } from "./tiny-network.ts";

const THREE = ["n0", "n1", "n2"];
const FIVE = ["n0", "n1", "n2", "n3", "n4"];

test("the hash of a list of voters is that of the set: any order, no other member", () => {
  const hash = (...ids: readonly string[]): number => votersHashOf(ids.map(NodeId));
  assert.equal(hash("n0", "n1", "n2"), hash("n2", "n0", "n1"));
  assert.equal(new Set([hash(), hash("n0"), hash("n0", "n1"), hash("n0n1"), hash("n0", "n1", "n2")]).size, 5);
});

test("incident I16: a member whose file lists other voters is seen by all, told once, and is a member like any other", () => {
  const net = new TinyNetwork(1);
  for (const name of FIVE) net.start(name, { voters: THREE });
  net.start("n7", { voters: FIVE });
  net.run(10_000);
  const told = net.events("voters-mismatch");
  for (const name of FIVE) {
    assert.deepEqual(net.view(name).otherVoters, ["n7"]);
    assert.deepEqual(
      told.filter(({ by }) => by === name).map(({ event }) => ({ ...event })),
      [{ kind: "voters-mismatch", peer: "n7", ours: votersHashOf(THREE.map(NodeId)), theirs: votersHashOf(FIVE.map(NodeId)) }],
    );
  }
  assert.deepEqual(net.view("n7").otherVoters, FIVE);
  assert.equal(told.filter(({ by }) => by === "n7").length, 1, "one other list, however many have it");
  assert.equal(net.stateAt("n0", "n7"), "alive");
  assert.equal(net.view("n0").digest, net.view("n7").digest);
});

test("while files are changed one by one the difference is shown, and it is gone when the last one has changed", () => {
  const net = new TinyNetwork(2);
  const all = [...FIVE, "n5"];
  for (const name of all) net.start(name, { voters: THREE, seeds: [] });
  for (const name of all)
    net.command(name, {
      kind: "join",
      seeds: [{ id: NodeId("n0"), addresses: net.get("n0").core.view(net.time).self.addresses }],
    });
  net.run(10_000);
  assert.deepEqual(net.events("voters-mismatch"), []);
  for (const [at, name] of all.entries()) {
    net.kill(name);
    net.start(name, {
      voters: FIVE,
      epoch: 2,
      seeds: all
        .filter((other) => other !== name)
        .map((id) => ({ id: NodeId(id), addresses: net.get(id).core.view(net.time).self.addresses })),
    });
    net.run(10_000);
    assert.deepEqual(net.view("n5").otherVoters, at === 5 ? [] : all.slice(0, at + 1), name);
  }
  assert.deepEqual(
    net.events("died").filter(({ event }) => event.member.incarnation.epoch === 2),
    [],
  );
  for (const name of all) assert.deepEqual(net.view(name).otherVoters, [], name);
});

test("a member that tells no list is no mismatch, and neither is one that is gone", () => {
  const net = new TinyNetwork(3);
  for (const name of THREE) net.start(name, { voters: THREE });
  net.start("n3");
  net.start("n7", { voters: FIVE });
  net.run(10_000);
  assert.deepEqual(net.view("n3").otherVoters, []);
  assert.deepEqual(net.view("n0").otherVoters, ["n7"]);
  net.command("n7", { kind: "leave", as: "left" });
  net.run(10_000);
  assert.deepEqual(net.view("n0").otherVoters, []);
});
