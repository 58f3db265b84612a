import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterId, ClusterTimeMs, LogIndex, NodeId, Term, WallTimeMs } from "#kernel";
import type { Entry } from "#raft";
import { openWal } from "#storage";
import { PagedFile } from "../../src/sim/disk/paged-file.ts";
import { type DiskUser, SimDisk } from "../../src/sim/disk/disk.ts";
import { durableLogs } from "../../src/sim/disk/durable-log.ts";
import { asMacrotask, drainMicrotasks } from "../../src/sim/time/microtasks.ts";
import { Dice } from "../../src/sim/time/random.ts";
import { Scheduler } from "../../src/sim/time/scheduler.ts";

/** These are the parts of the simulated disk, tested by path: the room's door shows whole runs only. */
const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);
const all = () => true;
const none = () => false;

test("what was synced survives a loss of power; what was only written does not", () => {
  const file = new PagedFile();
  file.write(0, bytes(1, 2), 1);
  file.endSync(file.beginSync());
  file.write(0, bytes(9), 2);
  file.losePower(none);
  assert.deepEqual(file.read(0, 2), bytes(1, 2));
});

test("a write survives unit by unit: a torn one leaves zeros in its middle", () => {
  const file = new PagedFile();
  file.write(0, new Uint8Array(2_048), 1);
  file.endSync(file.beginSync());
  file.write(0, new Uint8Array(2_048).fill(7), 2);
  let unit = 0;
  file.losePower(() => unit++ !== 1);
  assert.deepEqual(
    [0, 512, 1_024, 1_536].map((at) => file.read(at, 1)[0]),
    [7, 0, 7, 7],
  );
});

test("what is written while a sync is under way waits for the next one", () => {
  const file = new PagedFile();
  file.write(0, bytes(1), 1);
  const sync = file.beginSync();
  file.write(8_192, bytes(2), 2);
  file.endSync(sync);
  file.losePower(none);
  assert.equal(file.sizeBytes, 1);
});

test("a process that dies in a sync leaves its pages dirty: the next sync takes them along", () => {
  const file = new PagedFile();
  file.write(0, bytes(1), 1);
  file.beginSync();
  file.abandonSyncs();
  file.endSync(file.beginSync());
  file.losePower(none);
  assert.deepEqual(file.read(0, 1), bytes(1));
});

for (const reverts of [true, false]) {
  test(`a failed sync marks its pages clean and the cache ${reverts ? "goes back" : "keeps what is nowhere"} (ATC '20)`, () => {
    const file = new PagedFile();
    file.write(0, bytes(1), 1);
    file.endSync(file.beginSync());
    file.write(0, bytes(2), 2);
    file.failSync(file.beginSync(), reverts);
    assert.deepEqual(file.read(0, 1), bytes(reverts ? 1 : 2));
    file.endSync(file.beginSync());
    file.losePower(all);
    assert.deepEqual(file.read(0, 1), bytes(1), "a second sync has nothing left to write");
  });
}

test("damage is below the cache, and the intended content stays known", () => {
  const file = new PagedFile();
  file.write(0, bytes(1, 2, 3), 1);
  file.endSync(file.beginSync());
  file.damage(1, bytes(99));
  assert.deepEqual(file.read(0, 3), bytes(1, 2, 3));
  file.evict();
  assert.deepEqual(file.read(0, 3), bytes(1, 99, 3));
  assert.deepEqual(file.readPlatter(0, 3), bytes(1, 2, 3));
});

test("a file that was created and synced is gone with the power unless its directory was synced", async () => {
  const names = await onDisk(async (disk, lose) => {
    for (const directory of ["kept", "lost"]) {
      await disk.makeDirectory(directory);
      const file = await disk.open(`${directory}/file`, { create: true });
      await file.writeSynced(0, bytes(1));
      if (directory === "kept") await disk.syncDirectory("kept");
    }
    lose();
    return [...(await disk.list("kept")), ...(await disk.list("lost"))];
  });
  assert.deepEqual(names, ["file"]);
});

test("a full disk takes the front of a write, then refuses", async () => {
  const [code, size] = await onDisk(async (disk, _lose, sim) => {
    const file = await disk.open("file", { create: true });
    sim.trouble.isFull = true;
    const refusal = await file.write(0, new Uint8Array(10_000)).catch((error: unknown) => (error as { code: string }).code);
    return [refusal, await file.size()] as const;
  });
  assert.equal(code, "ENOSPC");
  assert.ok(size > 0 && size < 10_000, `${size} bytes were taken`);
});

test("a log whose last batch is damaged after a power cut leaves its voter suspect", async () => {
  const options = { clusterId: ClusterId("c"), nodeId: NodeId("n1"), segmentBytes: 4096 };
  const [first, second] = await onDisk(async (disk, losePower, sim) => {
    const { wal } = await openWal(disk, options);
    await wal.append({ entries: [], hardState: { term: Term(1), votedFor: null } });
    await wal.append({ entries: [], hardState: { term: Term(2), votedFor: null } });
    losePower();
    assert.notEqual(sim.damageEnd(new Dice(1)), null);
    const opened = await openWal(disk, options);
    losePower();
    return [opened, await openWal(disk, options)];
  });
  assert.equal(first!.suspect, true);
  assert.equal(second!.suspect, true, "the mark is durable");
  assert.equal(first!.recovered.hardState.term, 2, "the second copy of the vote stands beside the log");
});

test("a batch whose header reached the platter and whose payload did not is no durable entry", async () => {
  const [whole, torn] = await onDisk(async (disk, _losePower, sim) => {
    const { wal } = await openWal(disk, { clusterId: ClusterId("c"), nodeId: n1, segmentBytes: 16 * 1024 });
    for (const index of [1, 2]) await wal.append({ entries: [entry(index)], hardState: null });
    const durable = (): readonly unknown[] => {
      const logs = durableLogs(new Map([[n1, sim]]));
      return [logs.termAt(n1, LogIndex(1)), logs.termAt(n1, LogIndex(2))];
    };
    const before = durable();
    const segment = await disk.open(`wal/${(await disk.list("wal"))[0]}`, { create: false });
    const content = await segment.read(0, 16 * 1024);
    const end = content.findLastIndex((byte) => byte !== 0);
    // The unit before the last: it holds nothing but payload.
    await segment.writeSynced(end - (end % 512) - 512, new Uint8Array(512));
    return [before, durable()] as const;
  });
  assert.deepEqual(whole, [1, 1]);
  assert.deepEqual(torn, [1, null]);
});

const n1 = NodeId("n1");
const entry = (index: number): Entry => ({
  term: Term(1),
  index: LogIndex(index),
  kind: "command",
  clusterTimeMs: ClusterTimeMs(0),
  wallTimeMs: WallTimeMs(0),
  data: new Uint8Array(2_000),
});

/** Runs `use` on a fresh disk that loses all it may, in simulated time. */
function onDisk<T>(use: (disk: ReturnType<SimDisk["open"]>, losePower: () => void, sim: SimDisk) => Promise<T>): Promise<T> {
  return asMacrotask(() => {
    const scheduler = new Scheduler();
    const settings = { personality: "worst-case", syncMeanMs: 1, revertsOnFailedSync: false } as const;
    const sim = new SimDisk(settings, { scheduler, dice: new Dice(1), count: () => {} });
    const user: DiskUser = { effect: () => true, enter: (resume) => resume(), slowness: 1 };
    let result: { readonly value: T } | null = null;
    void use(sim.open(user), () => sim.losePower(), sim).then((value) => {
      result = { value };
    });
    do drainMicrotasks();
    while (scheduler.step(60_000));
    assert.ok(result !== null, "the operations have ended");
    return (result as { readonly value: T }).value;
  });
}
