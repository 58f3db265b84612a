import assert from "node:assert/strict";
import { test } from "node:test";
import { type Random, seededRandom, WorkId } from "#kernel";
import { restoreStateMachine, type WorkItem } from "#statemachine";
// The inside of the room: the table's chunks only fill up with hundreds of items.
import { packWork, unpackWork } from "../../src/statemachine/work/packed.ts";
import { WorkRecord, WorkVersion } from "../../src/statemachine/work/record.ts";
import { WorkTable } from "../../src/statemachine/work/table.ts";
import { defaultWorkSpec, World } from "./world.ts";

const spec = { ...defaultWorkSpec, kind: "train", payload: '{"seed":1,"text":"äöü \u0000 \u2028"}' };

function itemAt(createRevision: number, ordinal: number, priority = 0): WorkItem {
  const world = new World();
  world.index = createRevision - 1;
  const { decision } = world.apply({
    sessionId: null,
    sequence: null,
    firstUnackedSequence: 0 as never,
    operation: { kind: "enqueueWork", spec: { ...spec, priority } },
  });
  assert.ok(decision.outcome.ok && decision.outcome.value.kind === "work");
  const { item } = decision.outcome.value;
  return ordinal === -1 ? item : { ...item, workId: WorkId(`${item.workId}-${ordinal}`) };
}

const versionAt = (revision: number, ordinal: number, priority = 0): WorkVersion =>
  new WorkVersion(itemAt(revision, ordinal, priority), ordinal, "default", null);

test("the table finds, orders and forgets items like a sorted list of them, over thousands of changes", () => {
  const random = seededRandom(5);
  const table = new WorkTable();
  const model: WorkRecord[] = [];
  for (let revision = 1; revision <= 2_000; revision += 1) {
    const inJob = random() < 0.3 ? 1 + Math.floor(random() * 3) : 0;
    for (let ordinal = inJob === 0 ? -1 : 0; ordinal < inJob; ordinal += 1) {
      const record = new WorkRecord(versionAt(revision, ordinal));
      table.insert(record);
      model.push(record);
    }
    while (random() < 0.49 && model.length > 0) table.remove(takeOne(model, random));
  }
  while (model.length > 10) {
    if (model.length % 100 === 0) check(table, model);
    table.remove(takeOne(model, random));
  }
  check(table, model);
  assert.equal(table.get(WorkId("w-999999")), undefined);
  assert.equal(table.get(WorkId(`w-0${model[0]!.version.createRevision}`)), undefined);
  assert.equal(table.get("nonsense" as never), undefined);
});

test("items may also come in no order, as no snapshot of ours holds them", () => {
  const table = new WorkTable();
  for (const revision of [5, 3, 9, 1, 7]) table.insert(new WorkRecord(versionAt(revision, -1)));
  assert.deepEqual(
    [...table.after(null)].map(({ workId }) => workId),
    ["w-1", "w-3", "w-5", "w-7", "w-9"],
  );
  assert.throws(() => table.insert(new WorkRecord(versionAt(7, -1))), /w-7 is not alone/);
});

test("what was frozen stays as it was, whatever happens to the table", () => {
  const random = seededRandom(6);
  const table = new WorkTable();
  const records: WorkRecord[] = [];
  for (let revision = 1; revision <= 1_000; revision += 1) {
    records.push(new WorkRecord(versionAt(revision, -1)));
    table.insert(records.at(-1)!);
  }
  const before = [...table].map(({ version }) => version);
  const frozen = table.freeze()[Symbol.iterator]();
  const seen: WorkVersion[] = [];
  for (let revision = 1_001; revision <= 1_900; revision += 1) {
    seen.push(frozen.next().value!);
    table.insert(new WorkRecord(versionAt(revision, -1)));
    table.remove(takeOne(records, random));
    const record = records[Math.floor(random() * records.length)]!;
    table.replace(record, versionAt(record.version.createRevision, -1, revision));
  }
  for (let next = frozen.next(); next.done !== true; next = frozen.next()) seen.push(next.value);
  assert.equal(seen.length, before.length);
  seen.forEach((version, at) => assert.equal(version, before[at]));
});

test("an item that was packed says the same as before, and stands on one line", () => {
  const world = new World();
  const client = world.open();
  client.decide({ kind: "enqueueWork", spec: { ...spec, uniqueKey: "once", deadlineMs: 60_000 } });
  client.claim(1, [spec.queue]);
  const [item] = world.machine.read().listWork({ limit: 1 });
  assert.deepEqual(unpackWork(packWork(item!)), item);
  assert.doesNotMatch(packWork(item!), /[\n\r\t]/);
  for (const document of world.machine.snapshot()) void document;
  assert.deepEqual(world.machine.read().listWork({ limit: 1 })[0], item);
});

test("a snapshot of format 1, with items as objects, is still read", () => {
  const world = new World();
  const client = world.open();
  client.decide({ kind: "submitJob", jobKind: "train", items: [spec, spec], labels: {}, createdBy: "me" });
  const old = [...world.machine.snapshot()].map((text) =>
    text.startsWith("[")
      ? JSON.stringify({ kind: "work", value: unpackWork(text) })
      : text.replace('"kind":"header","format":2', '"kind":"header","format":1'),
  );
  assert.match(old[0]!, /"format":1/);
  const restored = restoreStateMachine(old);
  assert.deepEqual([...restored.snapshot()], [...world.machine.snapshot()]);
});

function check(table: WorkTable, model: readonly WorkRecord[]): void {
  assert.deepEqual([...table], model);
  for (const record of model) assert.equal(table.get(record.workId), record);
  const middle = model[model.length >> 1]!;
  assert.deepEqual([...table.after(middle.version)], model.slice((model.length >> 1) + 1));
}

function takeOne(records: WorkRecord[], random: Random): WorkRecord {
  return records.splice(Math.floor(random() * records.length), 1)[0]!;
}
