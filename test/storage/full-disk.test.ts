import assert from "node:assert/strict";
import { test } from "node:test";
import { type StorageError, SpaceWatch } from "#storage";
import { SEGMENT_BYTES, entries, entry, open, snapshotAt, vote } from "./log-fixture.ts";
import { MemoryDisk } from "./memory-disk.ts";

/** No new file fits until the reserve is given up; files that are there are written in place. */
function full(disk: MemoryDisk): void {
  disk.inject((operation, path) => {
    const isNew = path === "wal/next-segment" || path === "wal/rewritten-segment" || path.endsWith(".tmp");
    return operation === "open" && isNew && disk.files().includes("reserve") ? "ENOSPC" : null;
  });
}

const background = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("two segments are put aside, and given up when the disk is full: the log goes on and marks its snapshot", async () => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  await background();
  assert.equal(disk.content("reserve").length, 2 * SEGMENT_BYTES);
  full(disk);
  // Far enough for one more segment than was prepared ahead.
  let i = 0;
  while (disk.files().includes("reserve")) {
    i++;
    await wal.append({ entries: [entry(i)], hardState: null });
    assert.ok(i < 300, "the reserve is never given up");
  }
  await wal.markSnapshot(snapshotAt(i), snapshotAt(i).index);
  await wal.close();
  disk.inject(null);
  const { snapshotMark, wal: again } = await open(disk);
  assert.equal(snapshotMark?.index, i);
  await again.close();
  await background();
  assert.ok(disk.files().includes("reserve"), "it is put aside again when there is room");
});

test("a voter that died on a full disk comes up again with the help of the reserve", async () => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  await wal.append({ entries: entries(1, 5), hardState: vote(3) });
  await background();
  disk.restart();
  full(disk);
  const { recovered } = await open(disk);
  assert.deepEqual(recovered, { hardState: vote(3), entries: entries(1, 5) });
});

test("a full disk without a reserve ends the log for good, with a hint that says what to do", async () => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  await background();
  disk.inject((operation, path) => (operation === "write" && /next-segment|reserve/.test(path) ? "ENOSPC" : null));
  await disk.remove("reserve");
  const failure = await (async () => {
    for (let i = 1; i < 300; i++) await wal.append({ entries: [entry(i)], hardState: null });
    return null;
  })().catch((error: unknown) => error);
  const { code, hint } = failure as StorageError;
  assert.equal(code, "IO_FAILED");
  assert.match(hint, /The disk is full.*free space \(never under wal\/ or snap\/\), then start the node again/);
});

test("on a full disk a vote is still remembered: it is written in place", async () => {
  const disk = new MemoryDisk();
  const { wal } = await open(disk);
  await background();
  disk.inject((operation, path) => (operation === "write" && !/\.wal$|^vote\.cell$/.test(path) ? "ENOSPC" : null));
  await wal.append({ entries: [], hardState: vote(9) });
  disk.inject(null);
  disk.crash(() => 0.5, 0);
  assert.deepEqual((await open(disk)).recovered.hardState, vote(9));
});

test("no reserve is put aside on a disk that has no room for it", async () => {
  const disk = new MemoryDisk();
  disk.freeBytes = () => Promise.resolve(3 * SEGMENT_BYTES);
  await open(disk);
  await background();
  assert.equal(disk.files().includes("reserve"), false);
});

test("low below the mark, well again only a quarter above it: the answer does not flutter", async () => {
  const disk = new MemoryDisk();
  const watch = new SpaceWatch(disk, 1_000);
  const seen: (readonly [number, boolean, boolean])[] = [];
  for (const free of [1_000, 999, 1_000, 1_249, 1_250, 1_000, 500]) {
    disk.freeBytes = () => Promise.resolve(free);
    const isNews = await watch.look();
    seen.push([free, watch.space.isLow, isNews]);
  }
  assert.deepEqual(seen, [
    [1_000, false, false],
    [999, true, true],
    [1_000, true, false],
    [1_249, true, false],
    [1_250, false, true],
    [1_000, false, false],
    [500, true, true],
  ]);
});

test("a disk that does not tell its free space, or fails to, is not called low", async () => {
  const disk = new MemoryDisk();
  const watch = new SpaceWatch(disk, 1_000);
  for (const answer of [() => Promise.resolve(null), () => Promise.reject(new Error("EIO"))]) {
    disk.freeBytes = answer;
    assert.equal(await watch.look(), false);
    assert.equal(watch.space.isLow, false);
  }
});
