import assert from "node:assert/strict";
import {
  ClusterId,
  MonotonicMs,
  NodeId,
  type Random,
  type Refusal,
  Sequence,
  type SessionId,
  WallTimeMs,
  seededRandom,
} from "#kernel";
import type { Clock, Log, PeerLinks, Timers } from "#ports";
import { encodeCommand } from "#codec";
import { type EngineSink, type EngineStatus, type RaftEngine, createRaftEngine, recoverRaft } from "#consensus";
import { type Entry, type Message, Raft, defaultRaftOptions, settledConfiguration } from "#raft";
import {
  type Answer,
  type ReplicaOptions,
  type RunningReplica,
  createReplica,
  defaultReplicaOptions,
  leaderEntryData,
  restoreFrom,
} from "#replica";
import { type Operation, type StateMachine, createStateMachine, restoringStateMachine } from "#statemachine";
import { openSnapshotStore, openWal } from "#storage";
import { MemoryDisk } from "../storage/memory-disk.ts";

export const TICK_MS = 10;
export const ELECTION_TICKS = 10;
const CLUSTER = ClusterId("test");
const WALL_OFFSET_MS = 1_750_000_000_000;

export interface ClusterOptions extends Partial<ReplicaOptions> {
  readonly keepEntries?: number;
  readonly snapshotChunkBytes?: number;
  readonly seed?: number;
  /** As each voter is configured. Default 2,000 ms. */
  readonly electionGraceMs?: (id: NodeId) => number;
  /** Why a leader takes no command now. */
  readonly whyNoIntake?: () => Refusal | null;
  /** Stands in for the state machine that a process starts with: one that makes mistakes. */
  readonly machine?: (id: NodeId, machine: StateMachine) => StateMachine;
}

/** One process: gone for ever when it is killed; its disk stays. */
export interface TestNode {
  readonly id: NodeId;
  readonly engine: RaftEngine;
  readonly replica: RunningReplica;
  /** Every entry that the engine handed to this process. */
  readonly committed: readonly Entry[];
  readonly statuses: EngineStatus[];
  readonly fatals: Error[];
  readonly peers: Set<NodeId>;
  /** Whom its engine wants links to. */
  readonly members: ReadonlySet<NodeId>;
  alive: boolean;
  /** Alive, but nothing of it runs: SIGSTOP. */
  paused: boolean;
}

/** Whole replicas on memory disks, in simulated time: nothing sleeps, and a run is a function of its seed. */
export class TestCluster {
  readonly ids: readonly NodeId[];
  readonly disks = new Map<NodeId, MemoryDisk>();
  readonly nodes = new Map<NodeId, TestNode>();
  readonly #options: ClusterOptions;
  readonly #random: Random;
  readonly #cut = new Set<NodeId>();
  #nowMs = 1_000;
  #soon: { readonly node: NodeId; readonly run: () => void }[] = [];
  /** What paused nodes would have done. */
  #stalled: { readonly node: NodeId; readonly run: () => void }[] = [];
  #timers: { readonly isAlive: () => boolean; atMs: number; readonly periodMs: number | null; readonly run: () => void }[] = [];
  #wire: Message[] = [];
  /** Sent messages by kind, for tests that count. */
  readonly sent = new Map<string, number>();
  /** And by sender, dead ones included. */
  readonly sentBy = new Map<NodeId, number>();

  static async start(options: ClusterOptions = {}, size = 3): Promise<TestCluster> {
    const cluster = new TestCluster(options, size);
    for (const id of cluster.ids) await cluster.boot(id);
    return cluster;
  }

  private constructor(options: ClusterOptions, size: number) {
    this.#options = options;
    this.#random = seededRandom(options.seed ?? 7);
    this.ids = Array.from({ length: size }, (_, at) => NodeId(`n${at + 1}`));
    for (const id of this.ids) this.disks.set(id, new MemoryDisk());
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  node(id: NodeId): TestNode {
    return this.nodes.get(id)!;
  }

  /** A process with an empty disk that belongs to nothing yet: it waits to be added. */
  join(id: NodeId): Promise<TestNode> {
    this.disks.set(id, new MemoryDisk());
    return this.boot(id);
  }

  async boot(id: NodeId): Promise<TestNode> {
    const disk = this.disks.get(id)!;
    const state = { alive: true };
    const { clock, timers, log } = this.#world(id, () => state.alive);
    const snapshots = await openSnapshotStore(disk);
    const opened = await openWal(disk, { clusterId: CLUSTER, nodeId: id, segmentBytes: 64 * 1024 });
    const recovered = await recoverRaft(opened, snapshots);
    const initialConfiguration = settledConfiguration(this.ids.includes(id) ? this.ids : []);
    const chunkBytes = this.#options.snapshotChunkBytes ?? 4_096;
    const leaderData = leaderEntryData(this.#options.electionGraceMs?.(id) ?? 2_000);
    const raftOptions = { ...defaultRaftOptions, electionTicks: ELECTION_TICKS, heartbeatTicks: 2 };
    const raft = new Raft(
      { ...raftOptions, id, initialConfiguration, snapshotChunkBytes: chunkBytes, leaderData },
      recovered,
      seededRandom(Math.floor(this.#random() * 2 ** 31)),
    );
    const own = this.#options.machine ?? ((_id, machine) => machine);
    const machine = own(
      id,
      recovered.snapshot === null
        ? createStateMachine()
        : await restoreFrom(snapshots.read(recovered.snapshot.index), restoringStateMachine()),
    );
    const peers: PeerLinks<Message> & { readonly up: Set<NodeId>; wanted: ReadonlySet<NodeId> } = {
      up: new Set(),
      wanted: new Set(this.ids),
      send: (_to, message) => {
        this.sent.set(message.kind, (this.sent.get(message.kind) ?? 0) + 1);
        this.sentBy.set(id, (this.sentBy.get(id) ?? 0) + 1);
        const isLinked = peers.wanted.has(message.to) || this.nodes.get(message.to)?.members.has(id) === true;
        if (state.alive && isLinked) this.#wire.push(message);
      },
      members: (ids) => void (peers.wanted = ids),
      connected: () => peers.up,
      close: () => Promise.resolve(),
    };
    let engine: RaftEngine | null = null;
    const statuses: EngineStatus[] = [];
    const fatals: Error[] = [];
    const committed: Entry[] = [];
    const replica = createReplica(
      { ...defaultReplicaOptions, timeoutMs: 5_000, ...this.#options },
      {
        openEngine: (sink) => {
          const engineOptions = { self: id, tickMs: TICK_MS, snapshotChunkBytes: chunkBytes, leaseReads: false };
          engine = createRaftEngine(
            { ...engineOptions, keepEntries: this.#options.keepEntries ?? 10 },
            { raft, wal: opened.wal, snapshots, peers, clock, timers, log, marked: () => {} },
            recording(sink, committed),
          );
          return engine;
        },
        nodeId: id,
        machine,
        restore: (content) => restoreFrom(content, restoringStateMachine()),
        whyNoIntake: this.#options.whyNoIntake ?? (() => null),
        clock,
        timers,
        log,
        onFatal: (error) => {
          fatals.push(error);
          state.alive = false;
        },
        onStatus: (status) => statuses.push(status),
      },
    );
    const started: TestNode = {
      id,
      engine: engine!,
      replica,
      committed,
      statuses,
      fatals,
      peers: peers.up,
      get members() {
        return peers.wanted;
      },
      paused: false,
      get alive() {
        return state.alive;
      },
      set alive(alive) {
        state.alive = alive;
      },
    };
    this.nodes.set(id, started);
    this.#connect(started);
    started.engine.start();
    return started;
  }

  /** `kill -9`, and with `survival` below 1 a power cut: what was not synced is lost by chance. */
  async kill(id: NodeId, survival = 1): Promise<void> {
    const disk = this.disks.get(id)!;
    disk.stopAt = disk.operations;
    this.node(id).alive = false;
    await this.settle();
    this.#disconnect(id);
    if (survival < 1) disk.crash(this.#random, survival);
    else disk.restart();
  }

  /** Cuts `id` off from everybody; the links notice. */
  isolate(id: NodeId): void {
    this.#cut.add(id);
    this.#disconnect(id);
  }

  heal(id: NodeId): void {
    this.#cut.delete(id);
    this.#connect(this.node(id));
  }

  /** The leader that a majority follows, after letting time pass until there is one. */
  async leader(withinMs = 5_000): Promise<TestNode> {
    const deadlineMs = this.#nowMs + withinMs;
    for (;;) {
      const leaders = [...this.nodes.values()].filter(
        ({ id, alive, paused, engine }) => alive && !paused && !this.#cut.has(id) && engine.status().raft.ownTermCommitted,
      );
      if (leaders.length === 1) return leaders[0]!;
      assert.ok(this.#nowMs < deadlineMs, `no single leader within ${withinMs} ms: ${leaders.map(({ id }) => id).join()}`);
      await this.run(TICK_MS);
    }
  }

  followers(leader: TestNode): readonly TestNode[] {
    return [...this.nodes.values()].filter((node) => node !== leader && node.alive);
  }

  /** SIGCONT: what was due meanwhile runs now. */
  resume(id: NodeId): void {
    this.node(id).paused = false;
    this.#soon.push(...this.#stalled.filter(({ node }) => node === id));
    this.#stalled = this.#stalled.filter(({ node }) => node !== id);
  }

  /** Lets simulated time pass. */
  async run(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await this.settle();
    for (;;) {
      const due = this.#timers.filter((timer) => timer.atMs <= untilMs).toSorted((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      if (due.periodMs === null) this.#timers.splice(this.#timers.indexOf(due), 1);
      else due.atMs += due.periodMs;
      if (due.isAlive()) due.run();
      else if (due.periodMs !== null) this.#timers.splice(this.#timers.indexOf(due), 1);
      await this.settle();
    }
    this.#nowMs = untilMs;
  }

  async until(holds: () => boolean, withinMs = 5_000): Promise<void> {
    const deadlineMs = this.#nowMs + withinMs;
    await this.settle();
    while (!holds()) {
      assert.ok(this.#nowMs < deadlineMs, `it did not happen within ${withinMs} simulated ms`);
      await this.run(TICK_MS);
    }
  }

  /** Runs everything that needs no time: turns of the loop, deliveries, the disks' promises. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 3; idle += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#soon.length === 0 && this.#wire.length === 0) continue;
      idle = -1;
      const soon = this.#soon;
      this.#soon = [];
      for (const task of soon) {
        if (this.nodes.get(task.node)?.paused === true) this.#stalled.push(task);
        else task.run();
      }
      const wire = this.#wire;
      this.#wire = [];
      for (const message of wire) this.#deliver(message);
    }
  }

  #deliver(message: Message): void {
    const { from, to } = message;
    if (this.#cut.has(from) || this.#cut.has(to)) return;
    const target = this.nodes.get(to);
    if (target !== undefined && target.alive && !target.paused) target.engine.onMessage(from, message);
  }

  #connect(node: TestNode): void {
    for (const other of this.nodes.values()) {
      if (other === node || !other.alive || this.#cut.has(other.id)) continue;
      other.peers.add(node.id);
      node.peers.add(other.id);
      other.engine.onPeerConnected(node.id);
      node.engine.onPeerConnected(other.id);
    }
  }

  #disconnect(id: NodeId): void {
    const lost = this.node(id);
    for (const other of this.nodes.values()) {
      if (other.id === id) continue;
      other.peers.delete(id);
      lost.peers.delete(other.id);
      other.engine.onPeerDisconnected(id);
      if (lost.alive) lost.engine.onPeerDisconnected(other.id);
    }
  }

  #world(id: NodeId, isAlive: () => boolean): { readonly clock: Clock; readonly timers: Timers; readonly log: Log } {
    const now = () => ({ monotonicMs: MonotonicMs(this.#nowMs), wallMs: WallTimeMs(WALL_OFFSET_MS + this.#nowMs) });
    const add = (delayMs: number, periodMs: number | null, run: () => void) => {
      const onTime = () => {
        if (this.nodes.get(id)?.paused !== true) run();
        else if (periodMs === null) this.#stalled.push({ node: id, run });
      };
      const timer = { isAlive, atMs: this.#nowMs + delayMs, periodMs, run: onTime };
      this.#timers.push(timer);
      return { cancel: () => void (this.#timers = this.#timers.filter((known) => known !== timer)) };
    };
    const timers: Timers = {
      after: (delayMs, run) => add(delayMs, null, run),
      every: (periodMs, run) => add(periodMs, periodMs, run),
      soon: (run) => void this.#soon.push({ node: id, run: () => (isAlive() ? run() : undefined) }),
    };
    return { clock: { now }, timers, log: silent };
  }
}

function recording(sink: EngineSink, committed: Entry[]): EngineSink {
  return {
    onCommitted: (entries) => {
      committed.push(...entries);
      sink.onCommitted(entries);
    },
    onRestore: (meta, content) => sink.onRestore(meta, content),
    onStatus: (status) => sink.onStatus(status),
    onDigest: (from, report) => sink.onDigest(from, report),
    onFatal: (error) => sink.onFatal(error),
  };
}

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent };

export interface Asked {
  readonly answers: Answer[];
}

/** Submits one operation and gathers its answers: there must be exactly one in the end. */
export function ask(
  node: TestNode,
  operation: Operation,
  more: { readonly session?: SessionId; readonly sequence?: number; readonly waitMs?: number; readonly timeoutMs?: number } = {},
): Asked {
  const { session = null, sequence = 0, waitMs = 0, timeoutMs = null } = more;
  const command = encodeCommand(
    {
      sessionId: session,
      sequence: session === null ? null : Sequence(sequence),
      firstUnackedSequence: Sequence(0),
      operation,
    },
    waitMs,
  );
  const answers: Answer[] = [];
  node.replica.submit({ command, principal: "tester", timeoutMs }, (answer) => answers.push(answer));
  return { answers };
}

/** The one accepted reply; fails on anything else. */
export function replyOf({ answers }: Asked) {
  assert.equal(answers.length, 1, "exactly one answer");
  const answer = answers[0]!;
  assert.ok(answer.kind === "decided", `refused: ${JSON.stringify(answer)}`);
  assert.ok(answer.decision.outcome.ok, `refused: ${JSON.stringify(answer.decision.outcome)}`);
  return answer.decision.outcome.value;
}

/** The one refusal's reason, from the door or from the log. */
export function reasonOf({ answers }: Asked): string {
  assert.equal(answers.length, 1, "exactly one answer");
  const answer = answers[0]!;
  if (answer.kind === "refused") return answer.refusal.reason;
  return answer.decision.outcome.ok ? "accepted" : answer.decision.outcome.refusal.reason;
}
