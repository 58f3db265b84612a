import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterId, LogIndex, NodeId } from "#kernel";
import { type StorageError, checkHistoryIsWhole } from "#storage";
import { CLUSTER, NODE, SEGMENT_BYTES, entries, entry, open, snapshotAt, vote } from "./log-fixture.ts";
import { MemoryDisk } from "./memory-disk.ts";

const segments = (disk: MemoryDisk): readonly string[] => disk.files().filter((file) => file.endsWith(".wal"));
const code = (expected: string) => (error: StorageError) => error.name === "StorageError" && error.code === expected;

test("a fresh directory gives an empty log, and what is appended is there after a clean stop", async () => {
  const disk = new MemoryDisk();
  const { wal, recovered, created } = await open(disk);
  assert.deepEqual([recovered, created], [{ hardState: vote(0, null), entries: [] }, true]);
  await wal.append({ entries: entries(1, 3), hardState: vote(1) });
  await wal.append({ entries: [], hardState: vote(2, null) });
  await wal.close();
  const again = await open(disk);
  assert.deepEqual(again.recovered, { hardState: vote(2, null), entries: entries(1, 3) });
  assert.deepEqual([again.created, again.cutTail, again.snapshotMark], [false, null, null]);
});

test("an append that resolved survives the loss of everything that was not synced", async () => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  for (let i = 1; i <= 60; i++) await wal.append({ entries: [entry(i)], hardState: i % 7 === 0 ? vote(i) : null });
  disk.crash(() => 0.5, 0);
  const { recovered } = await open(disk);
  assert.deepEqual(recovered, { hardState: vote(56), entries: entries(1, 60) });
});

test("a full segment is followed by the next, which restates hard state and snapshot", async () => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  await wal.append({ entries: entries(1, 1), hardState: vote(4) });
  await wal.markSnapshot(snapshotAt(1), LogIndex(1));
  for (let i = 2; i <= 100; i++) await wal.append({ entries: [entry(i, 4)], hardState: null });
  assert.ok(segments(disk).length >= 4, `${segments(disk).length} segments`);
  await wal.markSnapshot(snapshotAt(90, 4), LogIndex(80));
  assert.ok(segments(disk).length <= 2, `old segments are dropped: ${segments(disk).join(" ")}`);
  await wal.close();
  const { recovered, snapshotMark } = await open(disk);
  assert.deepEqual(recovered.hardState, vote(4));
  assert.deepEqual(snapshotMark, snapshotAt(90, 4));
  assert.ok(recovered.entries[0]!.index <= 80);
  assert.deepEqual(recovered.entries, entries(recovered.entries[0]!.index, 100, 4));
});

test("an entry at or below the log's end forgets what follows it, also across segments and within one batch", async () => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  for (let i = 1; i <= 60; i += 3) await wal.append({ entries: entries(i, i + 2), hardState: null });
  await wal.append({ entries: entries(20, 25, 2), hardState: vote(2) });
  await wal.append({ entries: [...entries(26, 30, 2), ...entries(28, 29, 3)], hardState: null });
  const expected = [...entries(1, 19), ...entries(20, 27, 2), ...entries(28, 29, 3)];
  disk.crash(() => 0.5, 0);
  const second = await open(disk);
  assert.deepEqual(second.recovered.entries, expected);
  await second.wal.append({ entries: [entry(30, 4)], hardState: null });
  await second.wal.close();
  assert.deepEqual((await open(disk)).recovered.entries, [...expected, entry(30, 4)]);
});

test("a gap in what is appended is a broken invariant, and the log stays usable", async () => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  await assert.rejects(wal.append({ entries: [entry(2)], hardState: null }), /entry 2 would leave a gap/);
  await wal.append({ entries: [entry(1)], hardState: null });
});

test("a reset forgets every entry, and the log goes on behind the snapshot", async () => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  for (let i = 1; i <= 60; i++) await wal.append({ entries: [entry(i)], hardState: vote(3) });
  await wal.resetTo(snapshotAt(500, 7));
  assert.equal(segments(disk).length, 1);
  await wal.append({ entries: entries(501, 503, 7), hardState: null });
  disk.crash(() => 0.5, 0);
  const { recovered, snapshotMark } = await open(disk);
  assert.deepEqual(recovered, { hardState: vote(3), entries: entries(501, 503, 7) });
  assert.deepEqual(snapshotMark, snapshotAt(500, 7));
});

test("the mark of an older snapshot that was being written meanwhile does not undo a reset", async () => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  for (let i = 1; i <= 60; i++) await wal.append({ entries: [entry(i)], hardState: vote(3) });
  await wal.resetTo(snapshotAt(500, 7));
  await wal.markSnapshot(snapshotAt(60), LogIndex(1));
  await wal.append({ entries: entries(501, 503, 7), hardState: null });
  await wal.close();
  const { recovered, snapshotMark } = await open(disk);
  assert.deepEqual(recovered.entries, entries(501, 503, 7));
  assert.deepEqual(snapshotMark, snapshotAt(500, 7));
});

test("catalogue 27: a snapshot may be ahead of the log, but the log may not begin behind every usable snapshot", async () => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  for (let i = 1; i <= 100; i++) await wal.append({ entries: [entry(i)], hardState: null });
  await wal.markSnapshot(snapshotAt(90), LogIndex(80));
  await wal.close();
  const opened = await open(disk);
  assert.ok(opened.startsAfter > 0 && opened.startsAfter < 80, `begins after ${opened.startsAfter}`);
  checkHistoryIsWhole(opened, snapshotAt(90));
  checkHistoryIsWhole(opened, snapshotAt(500));
  checkHistoryIsWhole(opened, snapshotAt(opened.startsAfter));
  assert.throws(() => checkHistoryIsWhole(opened, snapshotAt(opened.startsAfter - 1)), code("CORRUPT"));
  assert.throws(() => checkHistoryIsWhole(opened, null), /there is no usable snapshot: what lies between is lost/);
  await opened.wal.resetTo(snapshotAt(500));
  await opened.wal.close();
  assert.throws(() => checkHistoryIsWhole({ startsAfter: LogIndex(500) }, snapshotAt(90)), code("CORRUPT"));
  assert.equal((await open(disk)).startsAfter, 500);
});

test("appends that overlap are written one after the other", async () => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  await Promise.all(entries(1, 50).map((one) => wal.append({ entries: [one], hardState: null })));
  await wal.close();
  assert.deepEqual((await open(disk)).recovered.entries, entries(1, 50));
  await assert.rejects(wal.append({ entries: [entry(51)], hardState: null }), code("CLOSED"));
});

test("a batch larger than a segment gets a segment of its own size", async () => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  await wal.append({ entries: [entry(1), entry(2, 1, 3 * SEGMENT_BYTES)], hardState: vote(1) });
  await wal.append({ entries: [entry(3)], hardState: null });
  disk.crash(() => 0.5, 0);
  const { recovered } = await open(disk);
  assert.deepEqual(recovered.entries, [entry(1), entry(2, 1, 3 * SEGMENT_BYTES), entry(3)]);
});

test("a stop without close rewrites the last segment; a clean stop does not", async () => {
  const disk = new MemoryDisk();
  const first = await open(disk);
  await first.wal.append({ entries: entries(1, 3), hardState: null });
  const rewritten: string[] = [];
  const watch = (): void =>
    disk.inject((operation, path) => {
      if (operation === "rename" && path.startsWith("wal/")) rewritten.push(path);
      return null;
    });
  disk.restart();
  watch();
  const second = await open(disk);
  assert.deepEqual(rewritten, ["wal/rewritten-segment"]);
  await second.wal.close();
  rewritten.length = 0;
  await open(disk);
  assert.deepEqual(rewritten, []);
});

test("fsyncgate (ATC '20): what a failed sync left in the page cache is made durable before it is used again", async () => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  await wal.append({ entries: entries(1, 3), hardState: null });
  disk.inject((operation) => (operation === "sync" ? "EIO" : null));
  await assert.rejects(wal.append({ entries: [entry(4)], hardState: null }), code("IO_FAILED"));
  disk.restart();
  const second = await open(disk);
  assert.deepEqual(second.recovered.entries, entries(1, 4), "readable, but so far only in the cache");
  disk.crash(() => 0.5, 0);
  assert.deepEqual((await open(disk)).recovered.entries, entries(1, 4));
});

test("fsyncgate: the mark of a clean stop whose own sync failed is made durable before anything follows it", async () => {
  for (let size = 0; size <= 512; size += 8) {
    const disk = new MemoryDisk();
    const { wal } = await open(disk);
    await wal.append({ entries: [entry(1, 1, size)], hardState: null });
    disk.inject((operation, path) => (operation === "sync" && path.endsWith(".wal") ? "EIO" : null));
    await assert.rejects(wal.close(), code("IO_FAILED"));
    disk.restart();
    const second = await open(disk);
    await second.wal.append({ entries: [entry(2)], hardState: null });
    disk.crash(() => 0.5, 0);
    assert.deepEqual((await open(disk)).recovered.entries, [entry(1, 1, size), entry(2)], `${size} bytes before the mark`);
  }
});

for (const [operation, failure] of [
  ["write", "ENOSPC"],
  ["write", "EIO"],
  ["sync", "EIO"],
] as const) {
  test(`${failure} in a ${operation} fails the log for good, and nothing acknowledged is lost`, async () => {
    const disk = new MemoryDisk();
    const { wal } = await open(disk);
    await wal.append({ entries: entries(1, 5), hardState: vote(1) });
    disk.inject((asked, path) => (asked === operation && path.endsWith(".wal") ? failure : null));
    const failed = wal.append({ entries: entries(6, 8), hardState: vote(2) });
    await assert.rejects(failed, (error: StorageError) => {
      return code("IO_FAILED")(error) && (error.cause as { code: string }).code === failure && error.file!.endsWith(".wal");
    });
    disk.inject(null);
    await assert.rejects(wal.append({ entries: [entry(6)], hardState: null }), /has failed before/);
    await assert.rejects(wal.markSnapshot(snapshotAt(2), LogIndex(1)), /has failed before/);
    await wal.close();
    disk.crash(() => 0.5, 0);
    const { recovered } = await open(disk);
    // The second copy of the vote had been written first: a vote too many is remembered, never one too few.
    assert.deepEqual(recovered, { hardState: vote(2), entries: entries(1, 5) });
  });
}

test("ENOSPC while the next segment is prepared harms nobody until that segment is needed", async () => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  disk.inject((operation, path) => (operation === "write" && path === "wal/next-segment" ? "ENOSPC" : null));
  let acknowledged = 0;
  await assert.rejects(async () => {
    for (let i = 1; i <= 200; i++) {
      await wal.append({ entries: [entry(i)], hardState: null });
      acknowledged = i;
    }
  }, code("IO_FAILED"));
  assert.ok(acknowledged > 20, `${acknowledged} acknowledged`);
  disk.crash(() => 0.5, 0);
  assert.deepEqual((await open(disk)).recovered.entries, entries(1, acknowledged));
});

test("a log of another cluster or node is refused with both names, and nothing is written", async () => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  await wal.append({ entries: entries(1, 3), hardState: null });
  await wal.close();
  const before = disk.operations;
  await assert.rejects(open(disk, { clusterId: ClusterId("cluster-b") }), (error: StorageError) => {
    return code("WRONG_CLUSTER")(error) && error.message.includes(`"${CLUSTER}"`) && error.message.includes('"cluster-b"');
  });
  await assert.rejects(open(disk, { nodeId: NodeId("n9") }), (error: StorageError) => {
    return code("WRONG_NODE")(error) && error.message.includes(`"${NODE}"`) && error.message.includes('"n9"');
  });
  assert.equal(disk.operations, before);
});
