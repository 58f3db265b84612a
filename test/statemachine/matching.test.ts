import assert from "node:assert/strict";
import { test } from "node:test";
import { type Capabilities, emptyCapabilities, type LabelRule, type Requirements } from "#statemachine";
import { World } from "./world.ts";

const none: Requirements = {
  gpuCount: 0,
  gpuMemoryMib: 0,
  cpu: 0,
  memoryMib: 0,
  diskMib: 0,
  gpuModels: [],
  cudaMin: 0,
  labels: [],
};

const node: Capabilities = {
  gpuCount: 2,
  gpuMemoryMib: 160_000,
  cpu: 16,
  memoryMib: 64_000,
  diskMib: 500_000,
  gpuModel: "H100",
  cuda: 12_040,
  labels: { provider: "nebius", disk_tb: "4", word: "many" },
};

const rule = (key: string, operator: LabelRule["operator"], ...values: string[]): Partial<Requirements> => ({
  labels: [{ key, operator, values }],
});

for (const [needs, fits] of [
  [{}, true],
  [{ gpuCount: 2 }, true],
  [{ gpuCount: 3 }, false],
  [{ gpuMemoryMib: 160_001 }, false],
  [{ cpu: 17 }, false],
  [{ memoryMib: 64_001 }, false],
  [{ diskMib: 500_001 }, false],
  [{ gpuModels: ["A100", "H100"] }, true],
  [{ gpuModels: ["A100"] }, false],
  [{ cudaMin: 12_040 }, true],
  [{ cudaMin: 12_050 }, false],
  [rule("provider", "in", "vultr", "nebius"), true],
  [rule("provider", "in", "vultr"), false],
  [rule("absent", "in", "vultr"), false],
  [rule("provider", "not_in", "nebius"), false],
  [rule("absent", "not_in", "nebius"), true],
  [rule("provider", "exists"), true],
  [rule("absent", "exists"), false],
  [rule("toString", "exists"), false],
  [rule("disk_tb", "gt", "3.5"), true],
  [rule("disk_tb", "gt", "4"), false],
  [rule("disk_tb", "lt", "5"), true],
  [rule("word", "lt", "5"), false],
  [rule("absent", "gt", "-1"), false],
] as const) {
  test(`an item that requires ${JSON.stringify(needs)} ${fits ? "fits" : "does not fit"} the node`, () => {
    const world = new World();
    world.enqueue({ requires: { ...none, ...needs } });
    const client = world.open(15_000, node);
    assert.equal(world.machine.read().claimable(client.id, ["default"], 0 as never), fits);
    assert.equal(client.claim().length, fits ? 1 : 0);
  });
}

test("what a claim reserves is not there for the next one, and comes back when the claim ends", () => {
  const world = new World();
  const client = world.open(15_000, node);
  for (let n = 0; n < 3; n += 1) world.enqueue({ requires: { ...none, gpuCount: 1, gpuMemoryMib: 80_000 } });
  const items = client.claim(3);
  assert.equal(items.length, 2);
  assert.deepEqual(client.claim(), []);
  const [first] = items;
  client.succeed({ workId: first!.workId, fencingToken: first!.claim!.fencingToken });
  assert.equal(client.claim().length, 1);
});

test("an item that fits is not held up by a more urgent one that does not", () => {
  const world = new World();
  world.enqueue({ priority: 9, requires: { ...none, gpuCount: 8 } });
  const small = world.enqueue();
  assert.deepEqual(
    world
      .open(15_000, node)
      .claim()
      .map(({ workId }) => workId),
    [small.workId],
  );
});

test("a session that declared no capabilities does not claim", () => {
  const world = new World();
  world.enqueue();
  world.open(15_000, null).refuse("BAD_STATE", { kind: "claimWork", workerId: "w", queues: ["default"], maxItems: 1 });
  assert.equal(world.open(15_000, emptyCapabilities).claim().length, 1);
});
