import type { Clock } from "#ports";
import type { Engine, EngineSink } from "#consensus";
import type { Mark } from "#raft";
import type { WriteAheadLog } from "#storage";

/** What a voter tells about its log while it works. Durations are in milliseconds. */
export interface VoterMeter {
  synced(durationMs: number, entries: number): void;
  proposed(commands: number): void;
  proposalsRefused(commands: number): void;
  /** From a turn's proposal to the commitment of its last command, on the leader. */
  committed(durationMs: number): void;
  /** The core went through an event worth counting. */
  marked(mark: Mark): void;
}

/** The same log; every group commit is told to the meter. */
export function meteredWal(wal: WriteAheadLog, clock: Clock, meter: VoterMeter): WriteAheadLog {
  return {
    append: async (batch) => {
      const startedMs = clock.now().monotonicMs;
      await wal.append(batch);
      meter.synced(clock.now().monotonicMs - startedMs, batch.entries.length);
    },
    markSnapshot: (meta, keepFrom) => wal.markSnapshot(meta, keepFrom),
    resetTo: (meta) => wal.resetTo(meta),
    stats: wal.stats,
    close: () => wal.close(),
  };
}

/** The same engine, opened on a sink that watches commitments go by. Costs a clock reading per turn, not per command. */
export function meteredEngine(open: (sink: EngineSink) => Engine, clock: Clock, meter: VoterMeter): (sink: EngineSink) => Engine {
  return (sink) => {
    let waiting: { readonly lastIndex: number; readonly proposedAtMs: number }[] = [];
    const engine = open({
      onCommitted: (entries) => {
        const committed = entries.at(-1)?.index ?? 0;
        const nowMs = clock.now().monotonicMs;
        while (waiting.length > 0 && waiting[0]!.lastIndex <= committed) meter.committed(nowMs - waiting.shift()!.proposedAtMs);
        sink.onCommitted(entries);
      },
      onRestore: (meta, content) => sink.onRestore(meta, content),
      onStatus: (status) => {
        // What an ex-leader proposed may be committed by another at the same index: that is not its duration.
        if (status.raft.role !== "leader") waiting = [];
        sink.onStatus(status);
      },
      onDigest: (from, report) => sink.onDigest(from, report),
      onFatal: (error) => sink.onFatal(error),
    });
    const metered: Engine = {
      propose: (commands) => {
        const outcome = engine.propose(commands);
        meter.proposed(commands.length);
        if (outcome.ok) {
          waiting.push({ lastIndex: outcome.firstIndex + commands.length - 1, proposedAtMs: clock.now().monotonicMs });
        } else {
          meter.proposalsRefused(commands.length);
        }
        return outcome;
      },
      readBarrier: () => engine.readBarrier(),
      applied: (index) => engine.applied(index),
      saveSnapshot: (snapshot) => engine.saveSnapshot(snapshot),
      reconfigure: (change) => engine.reconfigure(change),
      transferLeadership: (to) => engine.transferLeadership(to),
      campaign: () => engine.campaign(),
      allowLeading: (allowed) => engine.allowLeading(allowed),
      reportDigest: (report, to) => engine.reportDigest(report, to),
      leader: () => engine.leader(),
      clusterNow: () => engine.clusterNow(),
      status: () => engine.status(),
      guarantees: engine.guarantees,
      close: () => engine.close(),
    };
    return metered;
  };
}
