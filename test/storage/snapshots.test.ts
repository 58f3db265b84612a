import assert from "node:assert/strict";
import { test } from "node:test";
import { LogIndex, seededRandom } from "#kernel";
import { type SnapshotStore, type StorageError, openSnapshotStore } from "#storage";
import { snapshotAt } from "./log-fixture.ts";
import { MemoryDisk } from "./memory-disk.ts";

const CHUNK = 256 * 1024;

function content(size: number, seed = 1): Uint8Array {
  const random = seededRandom(seed);
  return Uint8Array.from({ length: size }, () => random() * 256);
}

async function readAll(store: SnapshotStore, index: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of store.read(LogIndex(index))) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

async function storeWith(disk: MemoryDisk, ...indexes: number[]): Promise<SnapshotStore> {
  const store = await openSnapshotStore(disk);
  for (const index of indexes) await store.save(snapshotAt(index), `digest-${index}`, [content(1000, index)]);
  return store;
}

const indexes = async (store: SnapshotStore): Promise<number[]> => (await store.list()).map((meta) => meta.index);
const snapshots = (disk: MemoryDisk): readonly string[] => disk.files().filter((file) => file.startsWith("snap/"));
const newest = (disk: MemoryDisk): string => snapshots(disk).at(-1)!;
const corrupt = (error: StorageError): boolean => error.code === "CORRUPT" && error.file!.startsWith("snap/");

test("a snapshot of any size, in pieces of any size, comes back as it was", async () => {
  for (const size of [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 5]) {
    const disk = new MemoryDisk();
    const store = await openSnapshotStore(disk);
    const whole = content(size);
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < size; at += 100_003) yield whole.subarray(at, at + 100_003);
    }
    await store.save(snapshotAt(7), "digest-7", pieces());
    disk.crash(() => 0.5, 0);
    const again = await openSnapshotStore(disk);
    assert.deepEqual(await again.list(), [snapshotAt(7)]);
    assert.deepEqual(await readAll(again, 7), whole, `${size} bytes`);
    assert.equal(await again.stateDigest(LogIndex(7)), "digest-7");
  }
});

test("the two newest are kept, and the log is needed from the older one on", async () => {
  const disk = new MemoryDisk();
  const store = await openSnapshotStore(disk);
  const keepWalFrom: number[] = [];
  for (const index of [10, 20, 30]) {
    keepWalFrom.push((await store.save(snapshotAt(index), "d", [content(10)])).keepWalFrom);
  }
  assert.deepEqual(keepWalFrom, [1, 11, 21]);
  assert.deepEqual(await indexes(store), [30, 20]);
  assert.equal(snapshots(disk).length, 2);
});

test("a snapshot that is being sent outlives two newer ones, and goes with the first pruning after", async () => {
  const disk = new MemoryDisk();
  const store = await openSnapshotStore(disk);
  const inUse = new Set<LogIndex>();
  store.keepWhile(() => inUse);
  const save = async (index: number) => (await store.save(snapshotAt(index), "d", [content(10)])).keepWalFrom;
  await save(10);
  inUse.add(LogIndex(10));
  assert.deepEqual([await save(20), await save(30), await save(40)], [11, 21, 31], "the log need not reach back to it");
  assert.deepEqual(await indexes(store), [40, 30, 10]);
  inUse.clear();
  await save(50);
  assert.deepEqual(await indexes(store), [50, 40]);
});

test("a power cut at any moment of a save leaves two whole snapshots, or as many as there were", async () => {
  const random = seededRandom(5);
  const before = new MemoryDisk();
  await storeWith(before, 10, 20);
  const whole = before.clone();
  const started = whole.operations;
  await storeWith(whole, 30);
  for (let at = 1; at <= whole.operations - started; at++) {
    for (let chance = 0; chance < 20; chance++) {
      const disk = before.clone();
      disk.stopAt = at;
      await assert.rejects(storeWith(disk, 30), `operation ${at}`);
      disk.crash(random, 0.5);
      const left = await indexes(await openSnapshotStore(disk));
      assert.ok(left.length >= 2, `only ${left.join()} is left after a cut at operation ${at}`);
    }
  }
});

test("a rotten newest snapshot is left out and named, at any byte, and the one before is used", async () => {
  const disk = new MemoryDisk();
  await storeWith(disk, 10, 20);
  const file = newest(disk);
  const good = disk.content(file).slice();
  const random = seededRandom(9);
  for (let at = 0; at < good.length; at++) {
    const bad = good.slice();
    bad[at] = bad[at]! ^ (1 << Math.floor(random() * 8));
    disk.put(file, bad);
    const store = await openSnapshotStore(disk);
    assert.deepEqual(await indexes(store), [10], `byte ${at}`);
    assert.equal((await store.damaged())[0]?.file, file);
    assert.deepEqual(await readAll(store, 10), content(1000, 10));
  }
});

test("a snapshot cut short at any byte is left out", async () => {
  const disk = new MemoryDisk();
  await storeWith(disk, 10, 20);
  const file = newest(disk);
  const good = disk.content(file).slice();
  for (let size = 0; size < good.length; size++) {
    disk.put(file, good.slice(0, size));
    assert.deepEqual(await indexes(await openSnapshotStore(disk)), [10], `${size} bytes`);
  }
});

test("reading a damaged snapshot fails on the bad chunk, with file and offset, after the sound ones", async () => {
  const disk = new MemoryDisk();
  const store = await openSnapshotStore(disk);
  await store.save(snapshotAt(5), "d", [content(3 * CHUNK)]);
  disk.content(newest(disk))[16 + 8 + CHUNK + 8 + 100]! ^= 1;
  let sound = 0;
  await assert.rejects(
    async () => {
      for await (const chunk of store.read(LogIndex(5))) sound += chunk.length;
    },
    (error: StorageError) => corrupt(error) && error.offset === 16 + 8 + CHUNK,
  );
  assert.equal(sound, CHUNK);
});

test("only a draft on disk counts as no snapshot, and is cleared away", async () => {
  const disk = new MemoryDisk();
  await storeWith(disk, 10);
  disk.put("snap/0000000000000014-0000000000000001.tmp", content(50));
  const store = await openSnapshotStore(disk);
  assert.deepEqual(await indexes(store), [10]);
  assert.equal(snapshots(disk).length, 1);
});

for (const [operation, code] of [
  ["write", "ENOSPC"],
  ["sync", "EIO"],
  ["rename", "EIO"],
] as const) {
  test(`${code} in a ${operation} while saving leaves the older snapshots as they were`, async () => {
    const disk = new MemoryDisk();
    const store = await storeWith(disk, 10, 20);
    disk.inject((asked) => (asked === operation ? code : null));
    await assert.rejects(store.save(snapshotAt(30), "d", [content(100)]), (error: StorageError) => error.code === "IO_FAILED");
    disk.inject(null);
    assert.deepEqual(await indexes(store), [20, 10]);
    assert.equal(snapshots(disk).length, 2, "no draft is left to fill the disk");
    await store.save(snapshotAt(30), "d", [content(100)]);
    assert.deepEqual(await indexes(store), [30, 20]);
  });
}

async function transfer(from: SnapshotStore, to: SnapshotStore, index: number): Promise<void> {
  for (let offset = 0; ;) {
    const { bytes, totalBytes } = await from.readRaw(LogIndex(index), offset, 333);
    offset = await to.receiveRaw(snapshotAt(index), offset, bytes, 0);
    if (offset === totalBytes) return;
  }
}

test("a snapshot travels raw from one store to another and is whole there, also after a crash", async () => {
  const leader = await storeWith(new MemoryDisk(), 20);
  const disk = new MemoryDisk();
  const follower = await storeWith(disk, 10);
  await transfer(leader, follower, 20);
  assert.deepEqual(await indexes(follower), [10], "not before it is finished");
  await follower.finishReceive(snapshotAt(20));
  disk.crash(() => 0.5, 0);
  const again = await openSnapshotStore(disk);
  assert.deepEqual(await indexes(again), [20, 10]);
  assert.deepEqual(await readAll(again, 20), content(1000, 20));
});

test("a chunk out of order is not stored, and the answer says which offset is wanted", async () => {
  const store = await openSnapshotStore(new MemoryDisk());
  const meta = snapshotAt(20);
  assert.equal(await store.receiveRaw(meta, 500, content(10), 0), 0, "no transfer has begun");
  assert.equal(await store.receiveRaw(meta, 0, content(100), 0), 100);
  assert.equal(await store.receiveRaw(meta, 200, content(100), 0), 100, "a gap");
  assert.equal(await store.receiveRaw(meta, 50, content(100), 0), 100, "a repetition");
  assert.equal(await store.receiveRaw(meta, 100, content(100), 0), 200);
  assert.equal(await store.receiveRaw(meta, 0, content(60), 0), 60, "the leader begins anew");
});

test("a received snapshot that does not hold, or is of another index, is refused and nothing is deleted", async () => {
  const leader = await storeWith(new MemoryDisk(), 20);
  const disk = new MemoryDisk();
  const follower = await storeWith(disk, 10);
  const { bytes } = await leader.readRaw(LogIndex(20), 0, 1e6);
  const damaged = bytes.slice();
  damaged[600]! ^= 4;
  await follower.receiveRaw(snapshotAt(20), 0, damaged, 0);
  await assert.rejects(follower.finishReceive(snapshotAt(20)), corrupt);
  await follower.receiveRaw(snapshotAt(20), 0, bytes.subarray(0, 700), 0);
  await assert.rejects(follower.finishReceive(snapshotAt(20)), corrupt);
  await follower.receiveRaw(snapshotAt(21), 0, bytes, 0);
  await assert.rejects(follower.finishReceive(snapshotAt(21)), /of index 20 in term 1, not of 21/);
  assert.deepEqual(await indexes(follower), [10]);
  await follower.receiveRaw(snapshotAt(20), 0, bytes, 0);
  await follower.finishReceive(snapshotAt(20));
  assert.deepEqual(await indexes(follower), [20, 10]);
});

test("a snapshot that does not exist is NOT_FOUND", async () => {
  const store = await openSnapshotStore(new MemoryDisk());
  const notFound = (error: StorageError): boolean => error.code === "NOT_FOUND";
  await assert.rejects(store.readRaw(LogIndex(3), 0, 10), notFound);
  await assert.rejects(readAll(store, 3), notFound);
  await assert.rejects(store.finishReceive(snapshotAt(3)), notFound);
});

/** A disk that tells how much room it has. */
function diskWith(freeBytes: number): MemoryDisk {
  const disk = new MemoryDisk();
  disk.freeBytes = () => Promise.resolve(freeBytes);
  return disk;
}

test("catalogue 29: a snapshot for which there is no room is refused before its first byte, and one that fits is not", async () => {
  const disk = diskWith(5_000);
  const store = await openSnapshotStore(disk, { keepFreeBytes: 1_000 });
  await assert.rejects(store.receiveRaw(snapshotAt(20), 0, content(10), 4_001), (error: StorageError) => {
    return error.code === "IO_FAILED" && /5000 bytes are free, 5001 needed/.test(error.message);
  });
  assert.deepEqual(snapshots(disk), []);
  assert.equal(await store.receiveRaw(snapshotAt(20), 0, content(10), 4_000), 10);
});

test("a snapshot over the limit, or one that goes on beyond its own length, is refused and leaves nothing behind", async () => {
  const disk = new MemoryDisk();
  const store = await openSnapshotStore(disk, { maxReceivedBytes: 1_000 });
  const tooLarge = (error: StorageError): boolean => error.code === "TOO_LARGE";
  await assert.rejects(store.receiveRaw(snapshotAt(20), 0, content(10), 1_001), tooLarge);
  assert.equal(await store.receiveRaw(snapshotAt(20), 0, content(90), 100), 90);
  await assert.rejects(store.receiveRaw(snapshotAt(20), 90, content(11), 100), tooLarge);
  assert.deepEqual(snapshots(disk), []);
  assert.equal(await store.receiveRaw(snapshotAt(20), 0, content(900), 0), 900, "a sender that tells no length");
  await assert.rejects(store.receiveRaw(snapshotAt(20), 900, content(101), 0), tooLarge);
});

test("a disk that gets full in the middle of a transfer ends it, keeps what was there, and lets it begin anew", async () => {
  const leader = await storeWith(new MemoryDisk(), 20);
  const disk = new MemoryDisk();
  const follower = await storeWith(disk, 10);
  const { bytes, totalBytes } = await leader.readRaw(LogIndex(20), 0, 1e6);
  assert.equal(await follower.receiveRaw(snapshotAt(20), 0, bytes.subarray(0, 300), totalBytes), 300);
  disk.inject((operation) => (operation === "write" ? "ENOSPC" : null));
  await assert.rejects(follower.receiveRaw(snapshotAt(20), 300, bytes.subarray(300), totalBytes), { code: "IO_FAILED" });
  disk.inject(null);
  assert.deepEqual([await indexes(follower), snapshots(disk).length], [[10], 1], "no half of it is left to fill the disk");
  assert.equal(await follower.receiveRaw(snapshotAt(20), 300, bytes.subarray(300), totalBytes), 0, "from the beginning");
  await follower.receiveRaw(snapshotAt(20), 0, bytes, totalBytes);
  await follower.finishReceive(snapshotAt(20));
  assert.deepEqual(await indexes(follower), [20, 10]);
});

test("what a start finds after its process was killed at any moment of a save is there after a power cut, too", async () => {
  let foundNewest = 0;
  for (let at = 1; at < 40; at++) {
    const disk = new MemoryDisk();
    const store = await storeWith(disk, 10);
    disk.stopAt = disk.operations + at;
    void store.save(snapshotAt(20), "digest-20", [content(1000, 20)]);
    await new Promise((resolve) => setImmediate(resolve));
    disk.restart();
    const found = await indexes(await openSnapshotStore(disk));
    disk.crash(() => 0.5, 0);
    assert.deepEqual(await indexes(await openSnapshotStore(disk)), found, `killed at operation ${at}`);
    if (found.includes(20)) foundNewest++;
  }
  assert.ok(foundNewest > 0);
});
