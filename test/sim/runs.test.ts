import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { runSeed, swarm } from "#sim";
import { partitionModes, splitOf } from "../../src/sim/nemesis/partitions.ts";
import { Dice } from "../../src/sim/time/random.ts";
import { NodeId } from "#kernel";

const minutes = 0.5;

test("a seed is a whole run: twice the same seed is twice the same run, event by event", async () => {
  const [first, again] = [await runSeed(11, { overrides: { minutes } }), await runSeed(11, { overrides: { minutes } })];
  assert.equal(first.fingerprint, again.fingerprint);
  assert.equal(first.events, again.events);
  assert.deepEqual(first.counters, again.counters);
  const other = await runSeed(12, { overrides: { minutes } });
  assert.notEqual(first.fingerprint, other.fingerprint);
});

test("the configuration is a function of the seed, and leaving a fault out changes nothing else", () => {
  assert.deepEqual(swarm(5), swarm(5));
  const { faults, ...rest } = swarm(5, { faults: [] });
  assert.deepEqual(faults, {});
  const { faults: _all, ...full } = swarm(5);
  assert.deepEqual(rest, full);
});

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`seed ${seed} is clean`, async () => {
    const { failure, acknowledged } = await runSeed(seed, { overrides: { minutes } });
    assert.equal(failure, null);
    assert.ok(acknowledged > 0);
  });
}

const nodes = ["n1", "n2", "n3", "n4", "n5"].map((id) => NodeId(id));

for (const mode of partitionModes) {
  test(`partition ${mode} cuts some directions and never all`, () => {
    for (let seed = 0; seed < 50; seed += 1) {
      const cuts = new Set(splitOf(mode, nodes, nodes[0]!, new Dice(seed)).map(({ from, to }) => `${from} ${to}`));
      assert.ok(cuts.size > 0 && cuts.size < nodes.length * (nodes.length - 1), `${cuts.size} cut`);
    }
  });
}

test("in a ring of majorities everybody still reaches a majority", () => {
  const cuts = splitOf("majorities-ring", nodes, nodes[0]!, new Dice(3));
  for (const node of nodes) {
    assert.ok(nodes.length - cuts.filter(({ from }) => from === node).length >= 3, `${node} reaches a majority`);
  }
});

test("a wrong flag is named and ends with 64", () => {
  const command = ["src/sim/main.ts", "--seed", "x", "--faults", "gremlins"];
  const { status, stderr } = spawnSync(process.execPath, command, { encoding: "utf8" });
  assert.equal(status, 64);
  assert.match(stderr, /--seed x: a whole number from 0 is wanted/);
  assert.match(stderr, /--faults gremlins: known are crash, power/);
});
