import assert from "node:assert/strict";
import { test } from "node:test";
import { liftSuspicion, type StorageError, verifyWal } from "#storage";
import { CLUSTER, NODE, SEGMENT_BYTES, entries, entry, open, snapshotAt, vote } from "./log-fixture.ts";
import { MemoryDisk } from "./memory-disk.ts";

const lastSegment = (disk: MemoryDisk): string =>
  disk
    .files()
    .filter((file) => file.endsWith(".wal"))
    .at(-1)!;

/** A log of three batches; the last one holds entries 7 to 9 and the vote of term 3. */
async function logWithVote(): Promise<{ disk: MemoryDisk; file: string; good: Uint8Array; from: number; end: number }> {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  await wal.append({ entries: entries(1, 3), hardState: vote(1) });
  await wal.append({ entries: entries(4, 6), hardState: vote(2) });
  const from = await endOf(disk);
  await wal.append({ entries: entries(7, 9), hardState: vote(3, "n3") });
  const file = lastSegment(disk);
  return { disk, file, good: disk.content(file).slice(), from, end: await endOf(disk) };
}

async function endOf(disk: MemoryDisk): Promise<number> {
  let end = 0;
  for await (const row of verifyWal(disk)) end = row.bytes;
  return end;
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = copy[at]! ^ (1 << (at % 8));
  return copy;
}

/** The process of before is gone, and with it what it still did in the background. */
const gone = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a bit flipped at any byte of the last batch makes the log suspect; the batch is kept aside, its vote remembered", async () => {
  const { disk, file, good, from, end } = await logWithVote();
  for (let at = from; at < end; at++) {
    const copy = disk.clone();
    copy.put(file, flipped(good, at));
    const { recovered, suspect, cutTail } = await open(copy);
    assert.deepEqual(recovered, { hardState: vote(3, "n3"), entries: entries(1, 6) }, `byte ${at}`);
    assert.deepEqual([suspect, cutTail?.lost, cutTail?.file, cutTail?.offset], [true, true, file, from], `byte ${at}`);
    assert.match(cutTail!.savedAs, /\.lost-1$/);
    assert.deepEqual(copy.content(cutTail!.savedAs), flipped(good, at).slice(from, end), "the batch is kept for analysis");
  }
});

test("suspicion survives every restart, every new segment and a reset, until it is lifted durably", async () => {
  const { disk, file, good, from } = await logWithVote();
  disk.put(file, flipped(good, from + 40));
  const first = await open(disk);
  assert.equal(first.suspect, true);
  for (let i = 7; i < 200; i++) await first.wal.append({ entries: [entry(i, 3)], hardState: null });
  await first.wal.markSnapshot(snapshotAt(190, 3), snapshotAt(190).index);
  assert.ok(!disk.files().includes(file), "the segment with the mark is dropped");
  await gone();
  disk.crash(() => 0.5, 0);
  const second = await open(disk);
  assert.deepEqual([second.suspect, second.cutTail], [true, null]);
  await second.wal.resetTo(snapshotAt(500, 4));
  await second.wal.close();
  const third = await open(disk);
  assert.equal(third.suspect, true);
  await third.wal.append({ entries: [], hardState: null, liftsSuspicion: true });
  await gone();
  disk.crash(() => 0.5, 0);
  assert.equal((await open(disk)).suspect, false);
});

test("a log that is made late is a suspect's, over restarts; one that is there stays what it is (docs/decisions/0015)", async () => {
  const late = new MemoryDisk();
  const made = await open(late, { startsSuspect: true });
  assert.deepEqual([made.suspect, made.created], [true, true]);
  await made.wal.append({ entries: entries(1, 3), hardState: vote(1) });
  late.crash(() => 0.5, 0);
  assert.equal((await open(late, { startsSuspect: true })).suspect, true);
  const there = new MemoryDisk();
  await (await open(there)).wal.append({ entries: entries(1, 3), hardState: vote(1) });
  assert.equal((await open(there, { startsSuspect: true })).suspect, false);
});

test("a power cut at any moment of the start that cuts the batch off ends suspect, with the vote and all that stood before", async () => {
  const { disk, file, good, from } = await logWithVote();
  disk.put(file, flipped(good, from + 3));
  await gone();
  for (let at = 1; ; at++) {
    for (const survival of [0, 0.5, 1]) {
      let dice = at;
      const random = (): number => (dice = (dice * 16_807) % 2_147_483_647) / 2_147_483_647;
      const copy = disk.clone();
      copy.stopAt = at;
      const isDone = await open(copy).then(
        () => true,
        () => false,
      );
      await gone();
      if (isDone) return;
      copy.crash(random, survival);
      const { recovered, suspect } = await open(copy);
      assert.deepEqual([suspect, recovered.hardState], [true, vote(3, "n3")], `stopped at operation ${at}`);
      assert.deepEqual(recovered.entries, entries(1, 6));
    }
  }
});

test("a doubtful batch beside a missing or damaged second copy of the vote is refused, and nothing is written", async () => {
  const { disk, file, good, from } = await logWithVote();
  const cell = disk.content("vote.cell").slice();
  disk.put(file, flipped(good, from + 40));
  for (let at = 0; at < cell.length; at++) {
    const copy = disk.clone();
    copy.put("vote.cell", flipped(cell, at));
    await assert.rejects(open(copy), (error: StorageError) => error.code === "AMBIGUOUS" && error.offset === from, `byte ${at}`);
    assert.equal(copy.operations, 0);
  }
  const without = disk.clone();
  await without.remove("vote.cell");
  await assert.rejects(open(without), /there is no second copy of the vote/);
});

test("a damaged or missing second copy beside a whole log is written anew: one damage forgets nothing", async () => {
  const { disk } = await logWithVote();
  const cell = disk.content("vote.cell").slice();
  await gone();
  for (const damage of [flipped(cell, 9), cell.slice(0, 100), null]) {
    const copy = disk.clone();
    if (damage === null) await copy.remove("vote.cell");
    else copy.put("vote.cell", damage);
    const { recovered, suspect } = await open(copy);
    assert.deepEqual([recovered.hardState, suspect], [vote(3, "n3"), false]);
    assert.deepEqual(copy.content("vote.cell"), cell);
  }
});

test("a vote is on disk twice before it is acknowledged: with either copy lost, the other still has it", async () => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  for (const [term, votedFor] of [
    [4, null],
    [4, "n2"],
    [7, "n3"],
  ] as const) {
    await wal.append({ entries: [], hardState: vote(term, votedFor) });
    await gone();
    const copy = disk.clone();
    copy.crash(() => 0.5, 0);
    const cutOff = disk.clone();
    const file = lastSegment(cutOff);
    cutOff.put(file, flipped(cutOff.content(file), (await endOf(cutOff)) - 1));
    assert.deepEqual((await open(copy)).recovered.hardState, vote(term, votedFor));
    assert.deepEqual((await open(cutOff)).recovered.hardState, vote(term, votedFor));
  }
});

test("a log that was deleted beside a vote that stayed is damage, not a new voter", async () => {
  const { disk, file } = await logWithVote();
  await disk.remove(file);
  await assert.rejects(open(disk), {
    code: "CORRUPT",
    file: "vote.cell",
    message: /it remembers term 3, but wal\/ holds no log/,
  });
});

test("stray bytes behind a segment that has no room for another batch held nothing: no suspicion", async () => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  // Fill the segment to the last 32 bytes: less than the smallest batch.
  const rest = SEGMENT_BYTES - (await endOf(disk)) - 32;
  await wal.append({ entries: [entry(1, 1, rest - 32 - 40 - 8)], hardState: null });
  assert.equal(SEGMENT_BYTES - (await endOf(disk)), 32);
  const file = lastSegment(disk);
  const bytes = disk.content(file).slice();
  bytes.fill(0xff, SEGMENT_BYTES - 32);
  disk.put(file, bytes);
  const { suspect, recovered } = await open(disk);
  assert.deepEqual([suspect, recovered.entries.length], [false, 1]);
});

test("an operator lifts the suspicion of a stopped voter; of a log that is not suspect nothing is lifted", async () => {
  const { disk, file, good, from } = await logWithVote();
  disk.put(file, flipped(good, from + 40));
  const owner = { clusterId: CLUSTER, nodeId: NODE, segmentBytes: SEGMENT_BYTES };
  assert.equal(await liftSuspicion(disk, owner), true);
  const { suspect, recovered, wal } = await open(disk);
  assert.deepEqual([suspect, recovered.entries.length], [false, 6]);
  await wal.close();
  assert.equal(await liftSuspicion(disk, owner), false);
});
