import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "#kernel";
import { type StorageError, type WalVerifyRow, dumpWal, verifyWal } from "#storage";
// The sweeps aim at single bytes, so they need to know where records and headers stand.
import { encodeSegmentHeader, decodeSegmentHeader } from "../../src/storage/wal/format.ts";
import { SEGMENT_BYTES, entries, entry, open, vote } from "./log-fixture.ts";
import { MemoryDisk } from "./memory-disk.ts";

interface Fixture {
  readonly disk: MemoryDisk;
  readonly file: string;
  /** Sound bytes of `file`. */
  readonly good: Uint8Array;
  /** Offsets at which the batches of the segment begin, and behind the last. */
  readonly batches: readonly number[];
}

const segmentsOf = (disk: MemoryDisk): readonly string[] => disk.files().filter((file) => file.endsWith(".wal"));

/** The batches of one append each: `sizes[i]` bytes of data in three entries, then a hard state. */
async function logOf(sizes: readonly number[], segmentBytes = SEGMENT_BYTES): Promise<Fixture> {
  const disk = new MemoryDisk();
  const { wal } = await open(disk, { segmentBytes });
  for (const [i, size] of sizes.entries()) {
    await wal.append({ entries: entries(3 * i + 1, 3 * i + 3, 1, size), hardState: vote(i + 1) });
  }
  const file = segmentsOf(disk).at(-1)!;
  const offsets = new Map<number, number>();
  let end = 0;
  for await (const row of dumpWal(disk)) if (row.file === file && !offsets.has(row.batch)) offsets.set(row.batch, row.offset);
  for await (const row of verifyWal(disk)) end = row.bytes;
  return { disk, file, good: disk.content(file).slice(), batches: [...offsets.values(), end] };
}

async function rowsOf(disk: MemoryDisk): Promise<WalVerifyRow[]> {
  const rows: WalVerifyRow[] = [];
  for await (const row of verifyWal(disk)) rows.push(row);
  return rows;
}

async function refusal(disk: MemoryDisk): Promise<StorageError> {
  const before = disk.operations;
  try {
    await open(disk);
  } catch (error) {
    assert.equal(disk.operations, before, "a refusal writes nothing");
    return error as StorageError;
  }
  throw new assert.AssertionError({ message: "the damaged log was opened" });
}

function flipped(bytes: Uint8Array, at: number, mask: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = copy[at]! ^ mask;
  return copy;
}

/** The third batch is gone, but not its vote: that has a second copy. */
const firstTwo = { hardState: vote(3), entries: [...entries(1, 3), ...entries(4, 6)] };

test("catalogue 20: the last batch cut at every byte, by a short file or a short write, is torn and nothing acknowledged is lost", async () => {
  const { disk, file, good, batches } = await logOf([40, 40, 40]);
  const [from, end] = batches.slice(-2) as [number, number];
  for (let cut = from; cut < end; cut++) {
    const zeroed = good.slice().fill(0, cut);
    for (const bytes of [good.slice(0, cut), zeroed]) {
      const copy = disk.clone();
      copy.put(file, bytes);
      const { recovered, suspect, cutTail, wal } = await open(copy);
      assert.equal(suspect, false, `cut at ${cut}`);
      assert.deepEqual(recovered, firstTwo, `cut at ${cut}`);
      if (cut > from) {
        assert.deepEqual([cutTail?.file, cutTail?.offset, cutTail?.lost], [file, from, false]);
        const saved = copy.content(cutTail!.savedAs);
        assert.deepEqual(saved, bytes.slice(from, from + saved.length), "the tail is kept for analysis");
      }
      await wal.append({ entries: [entry(7)], hardState: null });
      copy.crash(() => 0.5, 0);
      assert.deepEqual((await open(copy)).recovered.entries, entries(1, 7));
    }
  }
});

test("catalogue 21: one bit flipped at every byte of a sealed segment is corruption, with file and offset", async () => {
  const { disk } = await logOf(Array.from({ length: 24 }, () => 40));
  const file = segmentsOf(disk)[0]!;
  assert.ok(segmentsOf(disk).length > 2, "the first segment is sealed");
  const good = disk.content(file).slice();
  const random = seededRandom(21);
  for (let at = 0; at < good.length; at++) {
    disk.put(file, flipped(good, at, 1 << Math.floor(random() * 8)));
    const error = await refusal(disk);
    assert.deepEqual([error.code, error.file], ["CORRUPT", file], `byte ${at}: ${error.message}`);
    assert.ok(error.offset! <= at && error.hint.length > 20, `byte ${at} reported at ${error.offset}`);
  }
});

test("a bit flipped in a batch that another follows is corruption: it had been durable", async () => {
  const { disk, file, good, batches } = await logOf([40, 40, 40]);
  const [from, end] = batches.slice(-3) as [number, number];
  for (let at = from; at < end; at++) {
    disk.put(file, flipped(good, at, 1 << (at % 8)));
    const error = await refusal(disk);
    assert.equal(error.code, "CORRUPT", `byte ${at}`);
    assert.match(error.message, /a later batch follows at byte/);
  }
});

test("damage in the first batch of a segment is corruption even when nothing follows: it carries the vote", async () => {
  const { disk, file, good, batches } = await logOf([]);
  disk.put(file, good.slice().fill(0, batches[0]!));
  assert.equal((await refusal(disk)).code, "CORRUPT");
});

test("catalogue 22: a sector of zeros is torn in the last batch and corruption before it", async () => {
  const { disk, file, good, batches } = await logOf([500, 500, 500], 16_384);
  const [middle, last, end] = batches.slice(-3) as [number, number, number];
  for (let sector = 512; sector < end; sector += 512) {
    const copy = disk.clone();
    const from = Math.max(sector, sector + 512 > last && sector < last ? last : sector);
    copy.put(file, good.slice().fill(0, from, sector + 512));
    if (from >= last) {
      const { recovered, cutTail } = await open(copy);
      assert.deepEqual(recovered.entries, entries(1, 6, 1, 500), `sector at ${sector}`);
      assert.equal(cutTail?.offset, last);
    } else {
      assert.ok(from < middle || from < last);
      assert.equal((await refusal(copy)).code, "CORRUPT", `sector at ${sector}`);
    }
  }
});

test("catalogue 23: a length of 0xFFFFFFFF or 0 is never believed, and allocates nothing", async () => {
  const { disk, file, good, batches } = await logOf([40, 40, 40]);
  for (const length of [0xffff_ffff, 0]) {
    for (const at of batches.slice(-3, -1)) {
      const bytes = good.slice();
      new DataView(bytes.buffer).setUint32(at, length, true);
      disk.put(file, bytes);
      const row = (await rowsOf(disk)).at(-1)!;
      assert.deepEqual([row.verdict, row.offset], [at === batches.at(-2) ? "ambiguous" : "corrupt", at]);
    }
  }
});

test("a segment that is missing, renamed or cut in the middle of the log is corruption", async () => {
  const { disk } = await logOf(Array.from({ length: 30 }, () => 40));
  const [first, second, third] = segmentsOf(disk) as [string, string, string];
  const without = disk.clone();
  await without.remove(second);
  assert.match((await refusal(without)).message, /segment 2 is missing before it/);
  const beheaded = disk.clone();
  await beheaded.remove(first);
  assert.match((await refusal(beheaded)).message, /older segments are missing/);
  const renamed = disk.clone();
  await renamed.rename(third, third.replace(/-[0-9a-f]+/, "-00000000000000ff"));
  assert.match((await refusal(renamed)).message, /the file was renamed/);
  const cut = disk.clone();
  cut.put(second, disk.content(second).slice(0, SEGMENT_BYTES - 1));
  assert.deepEqual([(await refusal(cut)).code, (await refusal(cut)).file], ["CORRUPT", second]);
});

test("catalogue 18: a log of a newer format is refused and not touched", async () => {
  const { disk, file, good } = await logOf([40]);
  const header = decodeSegmentHeader(good)!;
  const newer = good.slice();
  newer.set(encodeSegmentHeader({ ...header, formatVersion: 3, minReaderVersion: 2 }));
  disk.put(file, newer);
  const error = await refusal(disk);
  assert.equal(error.code, "FORMAT_TOO_NEW");
  assert.match(error.message, /format 3, which needs a reader of format 2; this one reads 1/);
});

test("verify shows one row for each segment, the verdict where it stops, and never writes", async () => {
  const { disk, file, good, batches } = await logOf(Array.from({ length: 14 }, () => 40));
  const before = disk.operations;
  assert.deepEqual([...new Set((await rowsOf(disk)).map((row) => row.verdict))], ["ok"]);
  disk.put(file, good.slice().fill(0, batches.at(-1)! - 20));
  const torn = (await rowsOf(disk)).at(-1)!;
  assert.deepEqual([torn.file, torn.verdict, torn.bytes], [file, "torn", batches.at(-2)!]);
  disk.put(file, flipped(good, batches[0]! + 40, 1));
  const corrupt = (await rowsOf(disk)).at(-1)!;
  assert.deepEqual([corrupt.file, corrupt.verdict, corrupt.offset], [file, "corrupt", batches[0]!]);
  disk.put(file, flipped(good, 0, 1));
  assert.equal((await rowsOf(disk)).at(-1)!.verdict, "corrupt");
  assert.equal(disk.operations, before);
});

test("dump shows every record in words, and no content of an entry", async () => {
  const { disk } = await logOf([40]);
  const rows = [];
  for await (const row of dumpWal(disk)) rows.push(row);
  assert.deepEqual(
    rows.map((row) => [row.record, row.batch, row.type]),
    [
      [1, 1, "clusterMeta"],
      [2, 1, "hardState"],
      [3, 2, "entry"],
      [4, 2, "entry"],
      [5, 2, "entry"],
      [6, 2, "hardState"],
    ],
  );
  assert.deepEqual(rows[0]!.fields, { cluster_id: "cluster-a", node_id: "n1" });
  assert.deepEqual(rows[2]!.fields, {
    index: 1,
    term: 1,
    kind: "command",
    cluster_time_ms: 10,
    wall_time_ms: 1_700_000_000_001,
    data_bytes: 40,
  });
  assert.deepEqual(rows[5]!.fields, { term: 1, voted_for: "n2" });
});
