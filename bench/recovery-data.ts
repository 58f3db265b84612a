import { setImmediate as turn } from "node:timers/promises";
import { ClusterTimeMs, LogIndex, type NodeId, NodeId as nodeId, Sequence, Term, WallTimeMs } from "#kernel";
import { completeWorkSpec, encodeCommand } from "#codec";
import { type Entry, type SnapshotMeta, settledConfiguration } from "#raft";
import { snapshotContent } from "#replica";
import { type Command, createStateMachine } from "#statemachine";
import { openSnapshotStore, openWal, readIdentity } from "#storage";
import { nodeDisk } from "#host";

const BATCH = 1_000;
const TERM = Term(1);
/** What a queue of self-play games looks like, 256 bytes. */
const payloadOf = (seed: number): string =>
  JSON.stringify({ config: "hex8_2p", model: "canonical", seed, openings: "x".repeat(190) }).slice(0, 256);

/** Fills the data directory of an initialised cluster's only voter: a snapshot of `items` queued items, and a log behind it. */
export async function fillDataDirectory(directory: string, voter: string, items: number, logEntries: number): Promise<void> {
  const disk = nodeDisk(directory);
  const identity = await readIdentity(disk);
  if (identity === null) throw new Error(`${directory} belongs to no cluster`);
  const self: NodeId = nodeId(voter);
  const { wal } = await openWal(disk, { clusterId: identity.clusterId, nodeId: self });
  const machine = createStateMachine({ maxQueuedItems: 2 * items });
  for (let index = 2; index <= items + 1; index += 1) {
    machine.apply(enqueue(index), context(index));
    if (index % BATCH === 0) await turn();
  }
  const configuration = settledConfiguration([self]);
  const meta: SnapshotMeta = { ...context(items + 1), term: TERM, configuration };
  await (await openSnapshotStore(disk)).save(meta, machine.digest(), snapshotContent(machine.snapshot()));
  await wal.resetTo(meta);
  for (let from = items + 2; from < items + 2 + logEntries; from += BATCH) {
    const count = Math.min(BATCH, items + 2 + logEntries - from);
    const entries = Array.from({ length: count }, (_, at): Entry => {
      // Most of the log ends older items, so that there is room in the queue for more.
      const command = at % 3 === 0 ? enqueue(from + at) : cancel(from + at - items);
      return { ...context(from + at), term: TERM, kind: "command", data: encodeCommand(command) };
    });
    await wal.append({ entries, hardState: null });
  }
  await wal.close();
}

const context = (index: number) => ({
  index: LogIndex(index),
  clusterTimeMs: ClusterTimeMs(index),
  wallTimeMs: WallTimeMs(1_750_000_000_000 + index),
});

const enqueue = (seed: number): Command =>
  own({ kind: "enqueueWork", spec: completeWorkSpec({ kind: "selfplay", queue: "selfplay", payload: payloadOf(seed) }) });

const cancel = (revision: number): Command =>
  own({ kind: "cancelWork", workId: `w-${revision}` as never, by: "bench", reason: "benchmark" });

const own = (operation: Command["operation"]): Command => ({
  sessionId: null,
  sequence: null,
  firstUnackedSequence: Sequence(0),
  operation,
});
