import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeId, Term } from "#kernel";
import type { BatchId, Entry, Message, Persist } from "#raft";
import type { WalBatch, WriteAheadLog } from "#storage";
// The inside of the room: what one batch looks like is not visible through its door.
import { DiskQueue, mergePersists } from "../../src/consensus/raft/disk-queue.ts";
import { entries, snapshotAt, vote } from "../storage/log-fixture.ts";

test("while one batch syncs the next gathers, and nothing is sent before its batch is durable", async () => {
  const { queue, wal, trace } = fixture();
  queue.persist(persist(1, { entries: entries(1, 2), says: "a" }));
  queue.persist(persist(2, { entries: entries(3, 3), says: "b" }));
  queue.persist(persist(3, { hardState: vote(2), says: "c" }));
  await turn();
  assert.deepEqual(trace, ["append 1-2"]);
  wal.finish();
  await turn();
  assert.deepEqual(trace, ["append 1-2", "send a", "persisted 1", "append 3-3 term 2"]);
  wal.finish();
  await turn();
  assert.deepEqual(trace.slice(4), ["send b", "send c", "persisted 3"]);
});

test("a mark of the log waits in line behind the appends before it", async () => {
  const { queue, wal, trace } = fixture();
  queue.persist(persist(1, { entries: entries(1, 2) }));
  const marked = queue.run((log) => log.resetTo(snapshotAt(9)));
  queue.persist(persist(2, { entries: entries(10, 10) }));
  await turn();
  wal.finish();
  await marked;
  await turn();
  assert.deepEqual(trace, ["append 1-2", "persisted 1", "reset 9", "append 10-10"]);
});

test("a failed write is the end: nothing is sent, nothing is written, fatal once", async () => {
  const { queue, wal, trace } = fixture();
  queue.persist(persist(1, { entries: entries(1, 1), says: "a" }));
  queue.persist(persist(2, { entries: entries(2, 2), says: "b" }));
  await turn();
  wal.fail(new Error("EIO"));
  await turn();
  queue.persist(persist(3, { entries: entries(3, 3) }));
  await turn();
  assert.deepEqual(trace, ["append 1-1", "fatal EIO"]);
});

test("merging keeps what a later batch does not overwrite, and the newest term and vote", () => {
  const merged = mergePersists([
    persist(1, { entries: entries(5, 9, 1), hardState: vote(1) }),
    persist(2, { entries: entries(7, 8, 2), hardState: vote(2) }),
    persist(3, {}),
    persist(4, { entries: entries(4, 4, 3) }),
  ]);
  assert.deepEqual(
    merged.entries.map(({ index, term }) => [index, term]),
    [[4, 3]],
  );
  assert.deepEqual(merged.hardState, vote(2));
  const kept = mergePersists([persist(1, { entries: entries(5, 9, 1) }), persist(2, { entries: entries(7, 8, 2) })]);
  assert.deepEqual(
    kept.entries.map(({ index, term }) => [index, term]),
    [
      [5, 1],
      [6, 1],
      [7, 2],
      [8, 2],
    ],
  );
});

test("a suspicion that one of several batches lifts is lifted by all of them together", () => {
  const lifting: Persist = { ...persist(2, {}), liftsSuspicion: true };
  const together = mergePersists([persist(1, { entries: entries(5, 5) }), lifting, persist(3, { hardState: vote(2) })]);
  assert.deepEqual([together.liftsSuspicion, together.entries.length, together.hardState], [true, 1, vote(2)]);
  assert.equal(mergePersists([persist(1, {}), persist(3, {})]).liftsSuspicion, undefined);
});

test("batches that leave a gap are a broken promise of the core", () => {
  assert.throws(
    () => mergePersists([persist(1, { entries: entries(1, 2) }), persist(2, { entries: entries(4, 4) })]),
    /starts at 4, but the merged ones end at 2/,
  );
});

interface Contents {
  readonly entries?: readonly Entry[];
  readonly hardState?: Persist["hardState"];
  readonly says?: string;
}

function persist(batch: number, { entries: written = [], hardState = null, says }: Contents): Persist {
  const message: Message = {
    kind: "heartbeatReply",
    from: (says ?? "") as NodeId,
    to: "leader" as NodeId,
    term: 1 as Term,
    readRound: 0,
    suspect: false,
    leaseMs: 0,
  };
  return { batch: batch as BatchId, hardState, entries: written, thenSend: says === undefined ? [] : [message] };
}

function fixture() {
  const trace: string[] = [];
  let settle: PromiseWithResolvers<void> | null = null;
  const wal: WriteAheadLog = {
    append: ({ entries: written, hardState }: WalBatch) => {
      const range = written.length === 0 ? "nothing" : `${written[0]!.index}-${written.at(-1)!.index}`;
      trace.push(`append ${range}${hardState === null ? "" : ` term ${hardState.term}`}`);
      settle = Promise.withResolvers();
      return settle.promise;
    },
    markSnapshot: () => Promise.resolve(),
    resetTo: (meta) => {
      trace.push(`reset ${meta.index}`);
      return Promise.resolve();
    },
    stats: { batches: 0, entries: 0, bytes: 0, lastSyncMs: 0 },
    close: () => Promise.resolve(),
  };
  const queue = new DiskQueue(wal, {
    send: (messages) => trace.push(...messages.map(({ from }) => `send ${from}`)),
    persisted: (batch) => trace.push(`persisted ${batch}`),
    fatal: (error) => trace.push(`fatal ${error.message}`),
  });
  return { queue, trace, wal: { finish: () => settle?.resolve(), fail: (error: Error) => settle?.reject(error) } };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
