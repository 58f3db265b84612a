import assert from "node:assert/strict";
import { test } from "node:test";
import { recoverRaft } from "#consensus";
import type { Entry, SnapshotMeta } from "#raft";
import type { SnapshotStore, WriteAheadLog } from "#storage";
import { entries, snapshotAt, vote } from "../storage/log-fixture.ts";

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
  await assert.rejects(recover(entries(9, 12), snapshotAt(5)), /begins at 9, but the newest readable snapshot is at 5/);
  await assert.rejects(recover(entries(9, 12), null), /begins at 9, but the newest readable snapshot is at 0/);
});

test("without a snapshot the log counts as it is", async () => {
  const { recovered } = await recover(entries(1, 4), null);
  assert.deepEqual(indexes(recovered.entries), [1, 2, 3, 4]);
  assert.equal(recovered.snapshot, null);
});

async function recover(log: readonly Entry[], snapshot: SnapshotMeta | null) {
  const resets: number[] = [];
  const wal: Pick<WriteAheadLog, "resetTo"> = {
    resetTo: (meta) => {
      resets.push(meta.index);
      return Promise.resolve();
    },
  };
  const snapshots: Pick<SnapshotStore, "list"> = { list: () => Promise.resolve(snapshot === null ? [] : [snapshot]) };
  const recovered = await recoverRaft({ wal, recovered: { hardState: vote(2), entries: log } }, snapshots);
  return { recovered, resets };
}

const indexes = (log: readonly Entry[]): number[] => log.map(({ index }) => index);
