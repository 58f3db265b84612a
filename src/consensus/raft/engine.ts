import {
  type ClusterTimeMs,
  InvariantError,
  type LogIndex,
  type NodeId,
  type Outcome,
  type Term,
  type WallTimeMs,
  accepted,
  invariant,
  refusal,
  refused,
} from "#kernel";
import type { Clock, Log, PeerLinks, Timers } from "#ports";
import {
  type Configuration,
  type CoreStamp,
  type Entry,
  type Input,
  type Mark,
  type MembershipChange,
  type Message,
  type PlacedConfiguration,
  type ProposeOutcome,
  type RaftStatus,
  type ReadId,
  type Ready,
  type SnapshotMeta,
  membersOf,
} from "#raft";
import type { SnapshotStore, WriteAheadLog } from "#storage";
import type { DigestReport, Engine, EngineSink, EngineStatus, Proposed, StateSnapshot } from "../engine.ts";
import { DiskQueue } from "./disk-queue.ts";
import { PendingChanges } from "./pending-changes.ts";
import { PendingTransfers } from "./pending-transfers.ts";
import { ReadBarriers } from "./read-barriers.ts";
import { SnapshotTransfer } from "./snapshot-transfer.ts";
import { Ticker } from "./ticker.ts";

/** The Raft core as the engine drives it: synchronous, one mutator, no I/O. */
export interface RaftCore {
  step(input: Input): void;
  propose(commands: readonly Uint8Array[], stamp: CoreStamp): ProposeOutcome;
  changeMembership(change: MembershipChange, stamp: CoreStamp): ProposeOutcome;
  /** What is in force, committed or not. */
  membership(): PlacedConfiguration;
  /** What is in force after an index at or behind the newest snapshot. */
  configurationAt(index: LogIndex): Configuration;
  hasReady(): boolean;
  transferLeadership(to: NodeId | null): Outcome<NodeId>;
  drain(): Ready;
  status(): RaftStatus;
  /** Null when the index is compacted away or beyond the end. */
  termAt(index: LogIndex): Term | null;
  /** What a leader would stamp on an entry now; on others, the time of the last entry in the log. */
  clusterTime(stamp: CoreStamp): ClusterTimeMs;
  wallTime(stamp: CoreStamp): WallTimeMs;
}

export interface RaftEngineOptions {
  readonly self: NodeId;
  readonly tickMs: number;
  /** Bytes of one snapshot message; also what is read from the store at once. */
  readonly snapshotChunkBytes: number;
  /** Entries kept in front of a snapshot, for followers that are only a little behind. */
  readonly keepEntries: number;
  /** The core may answer reads by lease. */
  readonly leaseReads: boolean;
}

export interface RaftEnginePorts {
  readonly raft: RaftCore;
  readonly wal: WriteAheadLog;
  readonly snapshots: SnapshotStore;
  readonly peers: PeerLinks<Message>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  readonly marked: (mark: Mark) => void;
}

export interface RaftEngine extends Engine {
  /** Starts the ticks. Messages may arrive before. */
  start(): void;
  onMessage(from: NodeId, message: Message): void;
  onPeerConnected(peer: NodeId): void;
  onPeerDisconnected(peer: NodeId): void;
}

/**
 * Drives one Raft core. `sink` must stand at the state that the core was recovered with: entries after it are handed over
 * in order from there.
 */
export function createRaftEngine(options: RaftEngineOptions, ports: RaftEnginePorts, sink: EngineSink): RaftEngine {
  return new RaftLoop(options, ports, sink);
}

/**
 * The loop: inputs step the core at once, and one turn of the event loop later everything they produced leaves together. So
 * all that the sockets had to say in one turn becomes one batch for the disk and one frame for each peer.
 */
class RaftLoop implements RaftEngine {
  readonly guarantees = { quorum: true, linearizableReads: true, fencing: true } as const;
  readonly #options: RaftEngineOptions;
  readonly #ports: RaftEnginePorts;
  readonly #sink: EngineSink;
  readonly #raft: RaftCore;
  readonly #disk: DiskQueue;
  readonly #ticker: Ticker;
  readonly #reads: ReadBarriers;
  readonly #changes: PendingChanges;
  readonly #transfers: PendingTransfers;
  readonly #snapshots: SnapshotTransfer;
  #status: RaftStatus;
  #stepping = false;
  #turnScheduled = false;
  #stopped = false;
  /** The last entry (or snapshot) that the sink has: what a snapshot of its state would be called. Null until the first. */
  #delivered: Omit<Entry, "kind" | "data"> | null = null;

  constructor(options: RaftEngineOptions, ports: RaftEnginePorts, sink: EngineSink) {
    this.#options = options;
    this.#ports = ports;
    this.#sink = sink;
    this.#raft = ports.raft;
    this.#status = this.#raft.status();
    this.#disk = new DiskQueue(ports.wal, {
      send: (messages) => this.#send(messages),
      persisted: (batch) => this.#step({ kind: "persisted", batch }),
      fatal: (error) => this.#fatal(error),
    });
    this.#ticker = new Ticker(options.tickMs, ports, (stamp) => this.#step({ kind: "tick", stamp }));
    const ask = (readId: ReadId): void => this.#step({ kind: "read", readId, stamp: ports.clock.now() });
    this.#reads = new ReadBarriers(ask, !options.leaseReads);
    this.#changes = new PendingChanges((at) => this.#raft.configurationAt(at));
    this.#transfers = new PendingTransfers(options.tickMs * TRANSFER_LIMIT_TICKS, ports.timers);
    this.#snapshots = new SnapshotTransfer(options, ports, {
      step: (input) => this.#step(input),
      install: (meta) => this.#install(meta),
      fatal: (error) => this.#fatal(error),
      isReceiving: (peer) => this.#raft.status().progress?.get(peer)?.state === "snapshot",
    });
  }

  start(): void {
    this.#ticker.start();
    this.#followMembers();
    this.#schedule();
  }

  propose(commands: readonly Uint8Array[]): Proposed {
    if (this.#stopped) return stoppedProposal;
    this.#turnAtOnce();
    const outcome = this.#guarded(() => this.#raft.propose(commands, this.#ports.clock.now()));
    return outcome ?? stoppedProposal;
  }

  readBarrier(): Promise<Outcome<LogIndex>> {
    return this.#reads.join();
  }

  applied(index: LogIndex): void {
    this.#step({ kind: "applied", index });
  }

  async saveSnapshot(snapshot: StateSnapshot): Promise<Outcome<SnapshotMeta>> {
    const last = this.#delivered;
    invariant(snapshot.index === last?.index, `snapshot at ${snapshot.index}, but ${last?.index ?? "nothing"} is applied`);
    const { index, term, clusterTimeMs, wallTimeMs } = last;
    // Of that index, not of the log's end: a snapshot may only name what cannot be rolled back.
    const meta = { index, term, clusterTimeMs, wallTimeMs, configuration: this.#raft.configurationAt(index) };
    const saved = await this.#snapshots.save(meta, snapshot);
    if (!saved.ok) return saved;
    const { keepEntries } = this.#options;
    // On disk more is kept than in memory: with less, the older of the two snapshots would be no way back.
    const keepFrom = Math.max(1, Math.min(index + 1 - keepEntries, saved.value.keepWalFrom)) as LogIndex;
    await this.#disk.run((wal) => wal.markSnapshot(meta, keepFrom));
    this.#step({ kind: "compacted", meta, keepEntries });
    return accepted(meta);
  }

  reconfigure(change: MembershipChange): Promise<Outcome<Configuration>> {
    if (this.#stopped) return Promise.resolve(stoppedProposal);
    const outcome = this.#guarded(() => this.#raft.changeMembership(change, this.#ports.clock.now())) ?? stoppedProposal;
    return outcome.ok ? this.#changes.wait(outcome.term, outcome.firstIndex) : Promise.resolve(outcome);
  }

  transferLeadership(to: NodeId | null): Promise<Outcome<NodeId>> {
    if (this.#stopped) return Promise.resolve(stoppedProposal);
    const { term } = this.#raft.status();
    const outcome = this.#guarded(() => this.#raft.transferLeadership(to)) ?? stoppedProposal;
    return outcome.ok ? this.#transfers.wait(outcome.value, term) : Promise.resolve(outcome);
  }

  campaign(): void {
    this.#step({ kind: "campaign" });
  }

  allowLeading(allowed: boolean): void {
    this.#step({ kind: "mayLead", allowed });
  }

  /** Past the core, whose business it is not: it promises nothing, and nothing waits for it. */
  reportDigest(report: DigestReport, to: NodeId | null): void {
    const { self } = this.#options;
    for (const voter of to === null ? this.#raft.status().configuration.voters : [to]) {
      if (voter !== self) this.#send([{ kind: "stateDigest", from: self, to: voter, term: this.#status.term, ...report }]);
    }
  }

  leader(): { readonly id: NodeId | null; readonly term: Term; readonly isSelf: boolean } {
    const { leader, term, role } = this.#status;
    return { id: leader, term, isSelf: role === "leader" };
  }

  clusterNow(): { readonly clusterTimeMs: ClusterTimeMs; readonly wallTimeMs: WallTimeMs } {
    const stamp = this.#ports.clock.now();
    return { clusterTimeMs: this.#raft.clusterTime(stamp), wallTimeMs: this.#raft.wallTime(stamp) };
  }

  status(): EngineStatus {
    return { raft: this.#raft.status(), connectedPeers: this.#ports.peers.connected(), isMember: this.#isMember() };
  }

  onMessage(from: NodeId, message: Message): void {
    invariant(message.from === from && message.to === this.#options.self, `message of ${message.from} on the link of ${from}`);
    if (message.kind !== "stateDigest") this.#step({ kind: "message", message });
    else if (!this.#stopped) {
      const { index, digest, digestVersion } = message;
      this.#sink.onDigest(from, { index, digest, digestVersion });
    }
  }

  onPeerConnected(peer: NodeId): void {
    this.#ports.log.info("peer connected", { peer });
    this.#publishStatus();
  }

  onPeerDisconnected(peer: NodeId): void {
    this.#ports.log.info("peer disconnected", { peer });
    this.#step({ kind: "peerDisconnected", peer });
    this.#publishStatus();
  }

  async close(): Promise<void> {
    this.#stop();
    await this.#disk.stop();
  }

  /** The only place where the core changes. A step inside a step would be a second mutator: refuse it loudly. */
  #step(input: Input): void {
    if (!this.#stopped) this.#guarded(() => this.#raft.step(input));
  }

  #guarded<T>(change: () => T): T | null {
    if (this.#stepping) throw new InvariantError("the Raft core was stepped inside a step");
    this.#stepping = true;
    try {
      return change();
    } catch (error) {
      this.#fatal(error);
      return null;
    } finally {
      this.#stepping = false;
      if (!this.#stopped && (this.#reads.isOpen || this.#raft.hasReady())) this.#schedule();
    }
  }

  #schedule(): void {
    if (this.#turnScheduled || this.#stopped) return;
    this.#turnScheduled = true;
    this.#ports.timers.soon(() => this.#turn());
  }

  /** Who proposes has gathered a turn's commands already: waiting for another turn would only cost them time. */
  #turnAtOnce(): void {
    if (this.#turnScheduled) return;
    this.#turnScheduled = true;
    queueMicrotask(() => this.#turn());
  }

  #turn(): void {
    this.#turnScheduled = false;
    if (this.#stopped) return;
    this.#reads.seal();
    try {
      if (this.#raft.hasReady()) this.#execute(this.#raft.drain());
      if (this.#raft.hasReady()) this.#schedule();
    } catch (error) {
      this.#fatal(error);
    }
  }

  /**
   * Peers and disk start together, before the state machine works: the network and the disk are what takes time. What is
   * committed comes before the new status, so that a leader that steps down still answers what it knows to be done.
   */
  #execute(ready: Ready): void {
    if (ready.send.length > 0) this.#send(ready.send);
    if (ready.persist !== null) this.#disk.persist(ready.persist);
    if (ready.committed.length > 0) this.#deliver(ready.committed);
    if (ready.status !== null) {
      this.#status = ready.status;
      this.#transfers.observe(ready.status);
      this.#followMembers();
      this.#publishStatus();
    }
    if (!this.#changes.isEmpty) this.#changes.observe(this.#raft.status());
    for (const { readId, index } of ready.readable) this.#reads.grant(readId, index);
    for (const { readId, refusal } of ready.readsRejected) this.#reads.reject(readId, refusal);
    for (const send of ready.snapshotSends) this.#snapshots.send(send);
    for (const chunk of ready.snapshotChunks) this.#snapshots.receive(chunk);
    for (const { mark, fields } of ready.trace) {
      this.#ports.log.debug(mark, fields);
      this.#ports.marked(mark);
    }
  }

  #send(messages: readonly Message[]): void {
    if (this.#stopped) return;
    for (const message of messages) this.#ports.peers.send(message.to, message);
  }

  #deliver(entries: readonly Entry[]): void {
    this.#delivered = entries.at(-1)!;
    this.#sink.onCommitted(entries);
    if (entries.some(({ kind }) => kind === "configuration")) this.#followMembers();
  }

  /**
   * A received snapshot is durable in the store: put the state machine, the log and the core on it, in this order. The core
   * hands out no entries meanwhile, so nothing is applied beside the restore; a crash anywhere in between finds either the
   * old history or the new one ({@link recoverRaft}).
   */
  async #install(meta: SnapshotMeta): Promise<void> {
    if (this.#stopped) return;
    await this.#sink.onRestore(meta, this.#ports.snapshots.read(meta.index));
    await this.#disk.run((wal) => wal.resetTo(meta));
    this.#delivered = meta;
    this.#step({ kind: "installed", meta });
  }

  /**
   * Links to the members as appended and as committed: a node that is removed is spoken to until that is final. A node that
   * is in neither speaks when it is spoken to; one without any configuration asks those it was configured with.
   */
  #followMembers(): void {
    const members = this.#members();
    if (members.size > 0) this.#ports.peers.members(this.#isMember() ? members : new Set());
  }

  #isMember(): boolean {
    const members = this.#members();
    return members.size === 0 || members.has(this.#options.self);
  }

  #members(): ReadonlySet<NodeId> {
    const { configuration, commitIndex } = this.#raft.status();
    return new Set([...membersOf(configuration), ...membersOf(this.#raft.configurationAt(commitIndex))]);
  }

  #publishStatus(): void {
    if (this.#stopped) return;
    this.#sink.onStatus({ raft: this.#status, connectedPeers: this.#ports.peers.connected(), isMember: this.#isMember() });
  }

  /** Nothing more leaves this node: not a message, not a write, not an answer. */
  #fatal(cause: unknown): void {
    if (this.#stopped) return;
    this.#stop();
    void this.#disk.stop();
    this.#sink.onFatal(cause instanceof Error ? cause : new Error(String(cause)));
  }

  #stop(): void {
    this.#stopped = true;
    this.#ticker.stop();
    this.#reads.stop();
    this.#transfers.stop();
    this.#changes.stop();
    this.#snapshots.stop();
  }
}

const stoppedProposal = refused(refusal("UNAVAILABLE", "this node is stopping"));
/** Three elections in every timing profile. */
const TRANSFER_LIMIT_TICKS = 200;
