import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterId, LogIndex, MonotonicMs, NodeId, seededRandom, Term, WallTimeMs } from "#kernel";
import type { Log, Timers } from "#ports";
import { startVoter } from "#node";
import { settledConfiguration } from "#raft";
import { snapshotContent } from "#replica";
import { createStateMachine } from "#statemachine";
import { openSnapshotStore } from "#storage";
import { MemoryDisk } from "../storage/memory-disk.ts";

const n1 = NodeId("n1");
const clusterId = ClusterId("blue");

test("a restarted voter opens its links with the membership of its snapshot: whoever introduces itself is judged by that at once", async () => {
  const disk = new MemoryDisk();
  const machine = createStateMachine();
  const times = { clusterTimeMs: machine.clusterTimeMs, wallTimeMs: WallTimeMs(0) };
  const meta = { index: LogIndex(7), term: Term(1), ...times, configuration: settledConfiguration([n1]) };
  machine.skip(meta);
  await (await openSnapshotStore(disk)).save(meta, machine.digest(), snapshotContent(machine.snapshot()));
  const told: string[] = [];
  const voter = await startVoter(
    {
      nodeId: n1,
      clusterId,
      isLatecomer: false,
      timing: { tickMs: 100, heartbeatMs: 100, electionMs: 1_000 },
      raft: {
        maxMessageBytes: 1_000,
        maxInflightBytes: 1_000,
        maxUncommittedBytes: 1_000,
        snapshotEveryEntries: 1_000,
        keepEntries: 10,
        segmentBytes: 4096,
        leaseReads: null,
      },
      election: { priorities: new Map(), preempt: false },
      sessions: { electionGraceMs: 1_000, renewIntervalMs: 1_000 },
    },
    {
      disk,
      clock: { now: () => ({ monotonicMs: MonotonicMs(0), wallMs: WallTimeMs(0) }) },
      timers: standing,
      random: seededRandom(1),
      log: silent,
      openPeers: (_events, { membership }) => {
        const { index, configuration } = membership();
        told.push(`${index}: ${configuration.voters.join()}`);
        return Promise.resolve({
          send: () => {},
          members: () => {},
          connected: () => new Set<NodeId>(),
          close: () => Promise.resolve(),
        });
      },
      onFatal: (error) => assert.fail(error),
      meter: { synced: () => {}, proposed: () => {}, proposalsRefused: () => {}, committed: () => {}, marked: () => {} },
      probe: null,
    },
  );
  await voter.close();
  assert.deepEqual(told, ["7: n1"]);
});

/** No time passes. */
const standing: Timers = {
  after: () => ({ cancel: () => {} }),
  every: () => ({ cancel: () => {} }),
  soon: (run) => void setImmediate(run),
};

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent };
