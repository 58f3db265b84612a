import assert from "node:assert/strict";
import { test } from "node:test";
import { LogIndex } from "#kernel";
import { recoverRaft } from "#consensus";
import type { Entry, SnapshotMeta } from "#raft";
import { openSnapshotStore, type SnapshotStore, type WriteAheadLog } from "#storage";
import { entries, entry, open, snapshotAt, vote } from "../storage/log-fixture.ts";
import { MemoryDisk } from "../storage/memory-disk.ts";

test("a log that holds the snapshot's last entry goes on behind it (paper §7)", async () => {
  const { recovered, resets } = await recover(entries(3, 9, 1), snapshotAt(5, 1));
  assert.deepEqual(indexes(recovered.entries), [6, 7, 8, 9]);
  assert.deepEqual(resets, []);
});

test("a crash between a received snapshot and the log's reset ends with the snapshot and no entry of the old history", async () => {
  const short = await recover(entries(1, 3, 1), snapshotAt(8, 2));
  assert.deepEqual([indexes(short.recovered.entries), short.resets], [[], [8]]);
  const conflicting = await recover(entries(1, 12, 1), snapshotAt(8, 2));
  assert.deepEqual([indexes(conflicting.recovered.entries), conflicting.resets], [[], [8]]);
});

test("the recovered term is never below the snapshot's: its leader had its majority", async () => {
  const { recovered } = await recover([], snapshotAt(8, 5));
  assert.deepEqual(recovered.hardState, { term: 5, votedFor: null });
});

test("entries that are missing between snapshot and log are damage, and nothing is thrown away over it", async () => {
  await assert.rejects(recover(entries(9, 12), snapshotAt(5)), /begins after index 8, but the newest usable snapshot ends at 5/);
  await assert.rejects(recover(entries(9, 12), null), /begins after index 8, but there is no usable snapshot/);
});

test("a log that was reset to a snapshot and a snapshot that rotted since are damage, though the log has no entry to miss", async () => {
  await assert.rejects(recover([], snapshotAt(5), 8), { code: "CORRUPT" });
  await assert.rejects(recover([], null, 8), { code: "CORRUPT" });
  const whole = await recover([], snapshotAt(8), 8);
  assert.deepEqual([indexes(whole.recovered.entries), whole.resets], [[], []]);
});

test("a voter that was new takes entries behind a received snapshot, though a crash came before its empty log was reset", async () => {
  const disk = new MemoryDisk();
  const first = await open(disk);
  const store = await openSnapshotStore(disk);
  await store.save(snapshotAt(8, 2), "digest", [Uint8Array.of(1)]);
  await first.wal.close();

  const opened = await open(disk);
  const recovered = await recoverRaft(opened, store);
  assert.deepEqual([recovered.snapshot?.index, recovered.entries], [8, []]);
  await opened.wal.append({ entries: [entry(9, 2)], hardState: null });
  await opened.wal.close();
  assert.deepEqual(indexes((await recoverRaft(await open(disk), store)).entries), [9]);
});

test("without a snapshot the log counts as it is", async () => {
  const { recovered } = await recover(entries(1, 4), null);
  assert.deepEqual(indexes(recovered.entries), [1, 2, 3, 4]);
  assert.equal(recovered.snapshot, null);
});

test("a suspect log makes a suspect voter, with a snapshot or without one", async () => {
  for (const snapshot of [null, snapshotAt(2, 1), snapshotAt(8, 2)]) {
    assert.equal((await recover(entries(1, 4), snapshot, 0, true)).recovered.suspect, true);
    assert.equal((await recover(entries(1, 4), snapshot)).recovered.suspect, false);
  }
});

async function recover(
  log: readonly Entry[],
  snapshot: SnapshotMeta | null,
  startsAfter = (log[0]?.index ?? 1) - 1,
  suspect = false,
) {
  const resets: number[] = [];
  const wal: Pick<WriteAheadLog, "resetTo"> = {
    resetTo: (meta) => {
      resets.push(meta.index);
      return Promise.resolve();
    },
  };
  const snapshots: Pick<SnapshotStore, "list"> = { list: () => Promise.resolve(snapshot === null ? [] : [snapshot]) };
  const opened = { wal, recovered: { hardState: vote(2), entries: log }, startsAfter: LogIndex(startsAfter), suspect };
  const recovered = await recoverRaft(opened, snapshots);
  return { recovered, resets };
}

const indexes = (log: readonly Entry[]): number[] => log.map(({ index }) => index);
