import { type ClusterId, type LogIndex, type NodeId, type Random, type Refusal, type Sequence, refusal } from "#kernel";
import type { Clock, Disk, Log, PeerLinkEvents, PeerLinks, Timers } from "#ports";
import {
  defaultRaftOptions,
  type Message,
  type PlacedConfiguration,
  Raft,
  type RaftOptions,
  settledConfiguration,
  type SnapshotMeta,
} from "#raft";
import { createStateMachine, type Operation, restoringStateMachine, type StateMachine } from "#statemachine";
import { encodeCommand } from "#codec";
import { type DiskSpace, openSnapshotStore, openWal, type SnapshotStore, SpaceWatch } from "#storage";
import { createRaftEngine, type Engine, type Proposed, type RaftCore, type RaftEngine, recoverRaft } from "#consensus";
import { createReplica, defaultReplicaOptions, leaderEntryData, restoreFrom, type RunningReplica } from "#replica";
import { meteredEngine, meteredWal, type VoterMeter } from "./metered.ts";

export interface VoterOptions {
  readonly nodeId: NodeId;
  readonly clusterId: ClusterId;
  /** Of the data directory's identity. */
  readonly isLatecomer: boolean;
  readonly timing: { readonly tickMs: number; readonly heartbeatMs: number; readonly electionMs: number };
  readonly raft: {
    readonly maxMessageBytes: number;
    readonly maxInflightBytes: number;
    readonly maxUncommittedBytes: number;
    readonly snapshotEveryEntries: number;
    readonly keepEntries: number;
    readonly segmentBytes: number;
    /** With less of the disk free, no command is taken, before the log itself finds it full. Default 0: never. */
    readonly minFreeBytes?: number;
    readonly leaseReads: RaftOptions["leaseReads"];
  };
  /** Without `preVote` and `checkQuorum` both are on. */
  readonly election: Pick<RaftOptions, "priorities" | "preempt"> & Partial<Pick<RaftOptions, "preVote" | "checkQuorum">>;
  readonly sessions: { readonly electionGraceMs: number; readonly renewIntervalMs: number };
}

/** The world as a voter sees it. Real in `host`; a simulator fills the same. */
export interface VoterPorts {
  /** Rooted at the data directory, which is this voter's alone. */
  readonly disk: Disk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  readonly openPeers: (events: PeerLinkEvents<Message>, own: OwnLog) => Promise<PeerLinks<Message>>;
  /** The node cannot go on: end the process. Called at most once. */
  readonly onFatal: (error: Error) => void;
  readonly meter: VoterMeter;
  /** Null: nobody looks. */
  readonly probe: VoterProbe | null;
}

/** What a voter introduces itself and judges its peers by. All as of the moment of the call. */
export interface OwnLog {
  /** The configuration in force, committed or not. */
  readonly membership: () => PlacedConfiguration;
  /** How far the log goes. */
  readonly lastIndex: () => LogIndex;
}

/**
 * Stands before a part and looks at what goes in and out, for the checkers of a simulated world and for traces. It gives back
 * a part that behaves the same.
 */
export interface VoterProbe {
  core(core: RaftCore): RaftCore;
  /** Called with every state machine that this voter works on: the recovered one, then one for each restored snapshot. */
  machine(machine: StateMachine): StateMachine;
}

export type LeaderOperation = Extract<
  Operation,
  { readonly kind: "nodeDown" | "nodeUp" | "partitionSuspected" | "partitionHealed" }
>;

export interface Voter {
  readonly replica: RunningReplica;
  readonly snapshots: Pick<SnapshotStore, "readRaw">;
  /** Puts operations that only a leader writes into the log; refused where this voter does not lead. What became of them shows in the state. */
  propose(operations: readonly LeaderOperation[]): Proposed;
  /** As of the last look, about a second ago at most. */
  space(): DiskSpace;
  /** Before a planned stop: if this voter leads, another one shall. Resolves within an election timeout, moved or not. */
  handOver(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Everything of a voter below its doors, wired once. Read downwards it is the start, read upwards the stop: disk, recovery,
 * peers, engine, replica.
 */
export async function startVoter(options: VoterOptions, ports: VoterPorts): Promise<Voter> {
  const { clusterId, nodeId } = options;
  const { disk, clock, timers, random, log } = ports;

  // The log first: it refuses a foreign or damaged directory before anything in it is touched.
  const startsSuspect = options.isLatecomer;
  const opened = await openWal(disk, { clusterId, nodeId, segmentBytes: options.raft.segmentBytes, clock, startsSuspect });
  const minFreeBytes = options.raft.minFreeBytes ?? 0;
  const snapshots = await openSnapshotStore(disk, { keepFreeBytes: minFreeBytes });
  const watch = new SpaceWatch(disk, minFreeBytes);
  await watch.look();
  if (opened.cutTail?.lost === false) log.warn("torn tail of the log cut off: it was never acknowledged", { ...opened.cutTail });
  if (opened.cutTail?.lost === true)
    log.error("damaged end of the log cut off: it may have been acknowledged", { ...opened.cutTail });
  if (opened.suspect && opened.created) log.info("a voter without a log: it counts for nothing until a leader has caught it up");
  else if (opened.suspect)
    log.error("this voter is suspect: it gives no vote and counts for nothing until a leader has caught it up");
  for (const { message: why, hint } of await snapshots.damaged()) log.warn("a snapshot is damaged", { why, hint });
  const recovered = await recoverRaft(opened, snapshots);
  const { probe } = ports;
  const watched = (machine: StateMachine): StateMachine => probe?.machine(machine) ?? machine;
  const machine = watched(await restore(snapshots, recovered.snapshot));
  const core = new Raft(raftOptions(options), recovered, random);
  const raft = probe?.core(core) ?? core;

  let engine: RaftEngine | null = null;
  let proposer: Pick<Engine, "propose"> | null = null;
  const peers = await ports.openPeers(
    {
      onMessage: (from, message) => engine?.onMessage(from, message),
      onConnected: (peer) => engine?.onPeerConnected(peer),
      onDisconnected: (peer) => engine?.onPeerDisconnected(peer),
    },
    { membership: () => raft.membership(), lastIndex: () => raft.status().lastIndex },
  );
  const openEngine = meteredEngine(
    (sink) => {
      engine = createRaftEngine(
        {
          self: nodeId,
          tickMs: options.timing.tickMs,
          snapshotChunkBytes: defaultRaftOptions.snapshotChunkBytes,
          keepEntries: options.raft.keepEntries,
          leaseReads: options.raft.leaseReads !== null,
        },
        {
          raft,
          wal: meteredWal(opened.wal, clock, ports.meter),
          snapshots,
          peers,
          clock,
          timers,
          log,
          marked: (mark) => ports.meter.marked(mark),
        },
        sink,
      );
      return engine;
    },
    clock,
    ports.meter,
  );
  const replica = createReplica(
    {
      ...defaultReplicaOptions,
      renewIntervalMs: options.sessions.renewIntervalMs,
      snapshotEveryEntries: options.raft.snapshotEveryEntries,
    },
    {
      openEngine: (sink) => (proposer = openEngine(sink)),
      nodeId,
      machine,
      restore: async (content) => watched(await restoreFrom(content, restoringStateMachine())),
      clock,
      timers,
      log,
      whyNoIntake: () => whyNoIntake(watch.space),
      onFatal: ports.onFatal,
    },
  );
  const started: RaftEngine = engine!;
  const metered: Pick<Engine, "propose"> = proposer!;
  started.start();
  const looking = timers.every(LOOK_AT_DISK_MS, () => {
    void watch.look().then((isNews) => (isNews ? tellSpace(watch.space, started, log) : undefined));
  });

  return {
    replica,
    snapshots,
    propose: (operations) => {
      const full = whyNoIntake(watch.space);
      return full === null ? metered.propose(operations.map(leaderCommand)) : { ok: false, refusal: full };
    },
    space: () => watch.space,
    handOver: () => handOver(started, options, ports),
    close: async () => {
      looking.cancel();
      replica.close();
      await started.close();
      await peers.close();
      await opened.wal.close();
    },
  };
}

function leaderCommand(operation: LeaderOperation): Uint8Array {
  return encodeCommand({ sessionId: null, sequence: null, firstUnackedSequence: 0 as Sequence, operation });
}

const LOOK_AT_DISK_MS = 1_000;
const DISK_LOW_RETRY_MS = 5_000;

function whyNoIntake({ freeBytes, isLow, lowBytes }: DiskSpace): Refusal | null {
  if (!isLow) return null;
  const message = `the leader's disk has ${freeBytes} bytes free, and takes no command below raft.min_free of ${lowBytes}`;
  return refusal("OVERLOADED", message, { retryAfterMs: DISK_LOW_RETRY_MS });
}

/** Another voter may have room: one try for each time that the disk gets low, so that full disks do not pass the lead around. */
function tellSpace({ freeBytes, isLow, lowBytes }: DiskSpace, engine: RaftEngine, log: Log): void {
  if (!isLow) return log.info("the disk has room again", { free_bytes: freeBytes });
  log.error("the disk is nearly full: no command is taken until there is room", {
    free_bytes: freeBytes,
    min_free_bytes: lowBytes,
  });
  if (engine.leader().isSelf) void engine.transferLeadership(null);
}

async function handOver(engine: RaftEngine, { timing }: VoterOptions, { timers, log }: VoterPorts): Promise<void> {
  if (!engine.leader().isSelf) return;
  const linger = (): Promise<void> => new Promise((done) => void timers.after(LINGER_MS, done));
  const { promise, resolve } = Promise.withResolvers<null>();
  const limit = timers.after(timing.electionMs, () => resolve(null));
  const outcome = await Promise.race([engine.transferLeadership(null), promise]);
  limit.cancel();
  if (outcome?.ok === true) {
    log.info("leadership handed over", { to: outcome.value });
    await linger();
  } else log.warn("leadership could not be handed over", { why: outcome?.refusal.message ?? "it took too long" });
}

/**
 * Every caller is told where the lead went while this node still answers; and the end of a process, with all that its peers do
 * about it, does not fall into the very moment in which the successor takes over.
 */
const LINGER_MS = 250;

async function restore(snapshots: SnapshotStore, newest: SnapshotMeta | null): Promise<StateMachine> {
  if (newest === null) return createStateMachine();
  return await restoreFrom(snapshots.read(newest.index), restoringStateMachine());
}

function raftOptions(options: VoterOptions): ConstructorParameters<typeof Raft>[0] {
  const { maxMessageBytes, maxInflightBytes, maxUncommittedBytes } = options.raft;
  return {
    ...defaultRaftOptions,
    id: options.nodeId,
    initialConfiguration: nobody,
    electionTicks: electionTicks(options),
    heartbeatTicks: Math.max(1, Math.round(options.timing.heartbeatMs / options.timing.tickMs)),
    maxMessageBytes,
    maxInflightBytes,
    maxUncommittedBytes,
    leaseReads: options.raft.leaseReads,
    ...options.election,
    leaderData: leaderEntryData(options.sessions.electionGraceMs),
  };
}

function electionTicks({ timing }: VoterOptions): number {
  return Math.round(timing.electionMs / timing.tickMs);
}

/**
 * A node without a log belongs to no configuration: it answers and takes entries, and stands for election only once the log
 * has told it that it votes. So an empty disk can never form a second cluster.
 */
const nobody = settledConfiguration([]);
