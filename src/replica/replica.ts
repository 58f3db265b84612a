import {
  type LogIndex,
  NO_INDEX,
  NO_TERM,
  type NodeId,
  type Outcome,
  type Refusal,
  type Revision,
  type Sequence,
  type SessionId,
  type Term,
  accepted,
  assertNever,
  refusal,
  refused,
} from "#kernel";
import type { Clock, Log, Timer, Timers } from "#ports";
import type { Configuration, Entry, MembershipChange, SnapshotMeta } from "#raft";
import {
  type Command,
  type Decision,
  DIGEST_VERSION,
  type Event,
  type Operation,
  type Reader,
  type StateMachine,
} from "#statemachine";
import { decodeCommand, encodeCommand, isLeaderOnly } from "#codec";
import type { DigestReport, Engine, EngineSink, EngineStatus } from "#consensus";
import { applyEntry } from "./apply-entry.ts";
import { AppliedWaiters } from "./applied-waiters.ts";
import { ClaimWaiters, isSessionClaim } from "./claim-waiters.ts";
import { ClusterClock } from "./cluster-clock.ts";
import { DIGEST_EVERY, DigestWatch, type Divergence } from "./digest-watch.ts";
import { LockWaiters } from "./lock-waiters.ts";
import { PendingRing, type Slot } from "./pending.ts";
import { Renewals, type Renewed } from "./renewals.ts";
import { snapshotContent } from "./snapshot-content.ts";
import type { Administration, Answer, Freshness, Replica, ReplicaStatus, SubmitRequest, WatchSink, WatchSpec } from "./types.ts";
import { Watches } from "./watches.ts";

export interface ReplicaOptions {
  /** Applied entries between two snapshots. */
  readonly snapshotEveryEntries: number;
  /** Applied bytes between two snapshots, if they are reached first: entries may be large, and what is new takes most memory. */
  readonly snapshotEveryBytes: number;
  readonly renewIntervalMs: number;
  /** For requests that name no timeout of their own; and the longest wait for a read. */
  readonly timeoutMs: number;
  readonly history: { readonly maxEvents: number; readonly maxBytes: number };
  readonly bookmarkMs: number;
}

export const defaultReplicaOptions = {
  snapshotEveryEntries: 100_000,
  snapshotEveryBytes: 128 * 1024 * 1024,
  renewIntervalMs: 150,
  timeoutMs: 30_000,
  history: { maxEvents: 20_000, maxBytes: 16 * 1024 * 1024 },
  bookmarkMs: 5_000,
} as const satisfies ReplicaOptions;

export interface ReplicaPorts {
  readonly nodeId: NodeId;
  /** Opens the engine that delivers to this sink. Its first entry is the one after {@link ReplicaPorts.machine}'s revision. */
  readonly openEngine: (sink: EngineSink) => Engine;
  /** The state that recovery restored; empty on a fresh node. */
  readonly machine: StateMachine;
  /** A machine from a snapshot's content ({@link restoreFrom}). */
  readonly restore: (content: AsyncIterable<Uint8Array>) => Promise<StateMachine>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  /** Why no command is taken now, although this node may lead; null: it is. Reads and renewals go on. Absent: always taken. */
  readonly whyNoIntake?: () => Refusal | null;
  /** The node cannot go on: stop the process. Everything in flight has been answered "unknown". */
  readonly onFatal: (error: Error) => void;
  /** Leader, role, term or connected peers changed. */
  readonly onStatus?: (status: EngineStatus) => void;
}

export interface RunningReplica extends Replica, Administration {
  status(): ReplicaStatus;
  /** Answers everyone who waits. Does not close the engine. */
  close(): void;
}

export function createReplica(options: ReplicaOptions, ports: ReplicaPorts): RunningReplica {
  return new StateReplica(options, ports);
}

/** Joins one engine with one state machine: commands go in, committed entries come out and are applied, callers are answered. */
class StateReplica implements RunningReplica, EngineSink {
  readonly #options: ReplicaOptions;
  readonly #ports: ReplicaPorts;
  readonly #engine: Engine;
  readonly #watches: Watches;
  readonly #renewals: Renewals;
  readonly #clock: ClusterClock;
  readonly #pending = new PendingRing();
  readonly #claims = new ClaimWaiters((slot) => this.#enqueue(slot));
  readonly #locks = new LockWaiters();
  readonly #readers = new AppliedWaiters();
  #machine: StateMachine;
  #reader: Reader;
  #applied: LogIndex;
  /** The term in which this node leads; null while it does not. */
  #leadingTerm: Term | null = null;
  /** Whom this node hands the lead to; null once somebody leads. Named for a moment only: a removed node never hears who leads. */
  #successor: { readonly id: NodeId; readonly untilMs: number } | null = null;
  /** Commands of this loop turn: they are proposed as one batch. */
  #batch: Slot[] = [];
  #sweeper: Timer | null = null;
  #clockEntryInFlight = false;
  #snapshotIndex: LogIndex;
  #bytesSinceSnapshot = 0;
  #savingSnapshot = false;
  #snapshotFailures = 0;
  #clockEntries = 0;
  #digest: ReplicaStatus["digest"] = null;
  readonly #digests: DigestWatch;
  #connected: ReadonlySet<NodeId> = new Set();
  #divergence: Divergence | null = null;
  /** A majority agrees against this node's state: it keeps the log, but shows the state to nobody and passes it on to nobody. */
  #quarantined = false;
  /** Does any configuration that counts name this node? Who is removed hears of nothing any more. */
  #isMember: boolean;
  #stopped: Refusal | null = null;

  constructor(options: ReplicaOptions, ports: ReplicaPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#machine = ports.machine;
    this.#reader = ports.machine.read();
    this.#applied = ports.machine.revision;
    this.#snapshotIndex = ports.machine.revision;
    this.#digests = new DigestWatch(ports.nodeId);
    const { history, bookmarkMs, renewIntervalMs } = options;
    this.#watches = new Watches({ ...history, bookmarkMs, snapshotBatch: 500 }, ports.timers, this.#applied);
    this.#renewals = new Renewals(renewIntervalMs, {
      timers: ports.timers,
      propose: (operation, respond) => this.#proposeOwn(operation, respond),
      reader: () => this.#reader,
    });
    this.#engine = ports.openEngine(this);
    this.#isMember = this.#engine.status().isMember;
    this.#clock = new ClusterClock({
      engine: this.#engine,
      clock: ports.clock,
      timers: ports.timers,
      advance: () => this.#advanceClock(),
    });
  }

  get appliedIndex(): LogIndex {
    return this.#applied;
  }

  leader(): ReturnType<Engine["leader"]> {
    return this.#engine.leader();
  }

  status(): ReplicaStatus {
    return {
      appliedIndex: this.#applied,
      clusterTimeMs: this.#machine.clusterTimeMs,
      snapshotIndex: this.#snapshotIndex,
      digest: this.#digest,
      divergence: this.#divergence,
      quarantined: this.#quarantined,
      inFlight: this.#pending.size + this.#batch.length,
      parkedClaims: this.#claims.size,
      parkedLocks: this.#locks.size,
      watches: this.#watches.count,
      snapshotFailures: this.#snapshotFailures,
      clockEntries: this.#clockEntries,
      counts: this.#reader.counts(),
      engine: this.#engine.status(),
    };
  }

  // ── from the doors ────────────────────────────────────────────────────────────────────────────────────────────────

  submit(request: SubmitRequest, respond: (answer: Answer) => void): void {
    const decoded = decodeCommand(request.command);
    if (!decoded.ok) return respond({ kind: "refused", refusal: decoded.refusal });
    const { command, waitMs } = decoded.value;
    if (isLeaderOnly(command.operation.kind)) return respond({ kind: "refused", refusal: leaderOnly });
    const unable = this.#whyNotLeading();
    if (unable !== null) return respond({ kind: "refused", refusal: unable });
    const slot = this.#slotFor(request, command, respond);
    const known = this.#decidedBefore(command);
    if (known !== null) return this.#locks.answerOrPark(slot, known, this.#reader);
    const full = this.#ports.whyNoIntake?.() ?? null;
    if (full !== null) return respond({ kind: "refused", refusal: full });
    if (waitMs > 0 && isSessionClaim(slot)) {
      this.#claims.admit(slot, this.#nowMs() + waitMs, this.#reader, this.#engine.clusterNow().wallTimeMs);
      this.#sweep();
    } else {
      this.#enqueue(slot);
    }
  }

  abandon(request: SubmitRequest): void {
    if (this.#claims.abandon(request) || this.#locks.abandon(request)) return;
    const forget = (slot: Slot) => {
      if (slot.request === request) slot.respond = nobody;
    };
    this.#batch.forEach(forget);
    this.#pending.forEach(forget);
  }

  renewSession(session: SessionId, respond: (answer: Renewed) => void): void {
    const unable = this.#whyNotLeading();
    if (unable === null) this.#renewals.add(session, respond);
    else respond(refused(unable));
  }

  async read<T>(
    freshness: Freshness,
    query: (reader: Reader) => T,
  ): Promise<Outcome<{ readonly value: T; readonly revision: Revision }>> {
    const index = await this.#freshEnough(freshness);
    if (!index.ok) return index;
    if (index.value > this.#applied && !(await this.#untilApplied(index.value))) {
      const message = `revision ${index.value} is not applied here yet, ${this.#applied} is`;
      return refused(this.#stopped ?? refusal("TIMEOUT", message));
    }
    const unable = this.#whyNotReading();
    return unable === null ? accepted({ value: query(this.#reader), revision: this.#applied }) : refused(unable);
  }

  watch(request: WatchSpec, sink: WatchSink): () => void {
    const unable = this.#whyNotReading() ?? this.#whyNotFollowing();
    if (unable === null) return this.#watches.start(request, sink, this.#reader);
    sink.end(unable);
    return () => {};
  }

  async reconfigure(change: MembershipChange): Promise<Outcome<Configuration>> {
    const unable = this.#whyNotLeading();
    return unable === null ? await this.#engine.reconfigure(change) : refused(unable);
  }

  async transferLeadership(to: NodeId | null): Promise<Outcome<NodeId>> {
    const unable = this.#whyNotLeading();
    return unable === null ? await this.#engine.transferLeadership(to) : refused(unable);
  }

  campaign(): Outcome<null> {
    if (this.#stopped !== null) return refused(this.#stopped);
    const { id } = this.#engine.leader();
    if (id !== null) return refused(refusal("BAD_STATE", `${id} leads: transfer the leadership instead`, { leader: id }));
    this.#engine.campaign();
    return accepted(null);
  }

  async saveSnapshot(): Promise<Outcome<LogIndex>> {
    if (this.#stopped !== null) return refused(this.#stopped);
    if (this.#savingSnapshot) return refused(refusal("BAD_STATE", "a snapshot is being saved: ask again when it is done"));
    if (this.#quarantined) return refused(refusal("BAD_STATE", "this node's state differs from the other voters'"));
    if (this.#snapshotIndex < this.#applied) return await this.#saveSnapshot();
    return this.#applied > 0 ? accepted(this.#applied) : refused(refusal("NOT_FOUND", "nothing has been applied here yet"));
  }

  close(): void {
    this.#stop(refusal("UNAVAILABLE", "this node is stopping"));
  }

  // ── from the engine ───────────────────────────────────────────────────────────────────────────────────────────────

  onCommitted(entries: readonly Entry[]): void {
    for (const entry of entries) this.#apply(entry);
    this.#engine.applied(this.#applied);
    this.#watches.publish(this.#applied);
    this.#readers.applied(this.#applied);
    if (this.#leadingTerm !== null) {
      this.#claims.wake(this.#reader, this.#engine.clusterNow().wallTimeMs);
      this.#clock.watch(this.#machine);
    }
    if (entries.some(({ kind }) => kind === "configuration")) this.#belongs(this.#engine.status().isMember);
    if (this.#isSnapshotDue()) void this.saveSnapshot();
  }

  async onRestore(meta: SnapshotMeta, content: AsyncIterable<Uint8Array>): Promise<void> {
    const machine = await this.#ports.restore(content);
    this.#machine = machine;
    this.#reader = machine.read();
    this.#applied = meta.index;
    this.#snapshotIndex = meta.index;
    this.#bytesSinceSnapshot = 0;
    this.#watches.restored(meta.index);
    this.#readers.applied(meta.index);
    this.#digests.restored();
    this.#judged();
  }

  onDigest(from: NodeId, report: DigestReport): void {
    if (this.#stopped !== null) return;
    const answer = this.#digests.other(from, report, this.#voters());
    if (answer !== null) this.#engine.reportDigest(answer, from);
    this.#judged();
  }

  onStatus(status: EngineStatus): void {
    for (const peer of status.connectedPeers) if (!this.#connected.has(peer)) this.#digests.reconnected(peer);
    this.#connected = new Set(status.connectedPeers);
    const { role, term, leader, transferee } = status.raft;
    if (transferee !== null) this.#successor = { id: transferee, untilMs: this.#nowMs() + SUCCESSOR_MS };
    else if (leader !== null) this.#successor = null;
    const leadingTerm = role === "leader" ? term : null;
    if (leadingTerm !== this.#leadingTerm) {
      if (this.#leadingTerm !== null) this.#leadershipEnded();
      this.#leadingTerm = leadingTerm;
      if (leadingTerm !== null) this.#clock.watch(this.#machine);
    }
    this.#belongs(status.isMember);
    this.#ports.onStatus?.(status);
  }

  onFatal(error: Error): void {
    this.#stop(refusal("UNAVAILABLE", "this node has failed and stops"));
    this.#ports.onFatal(error);
  }

  // ── on the way in ─────────────────────────────────────────────────────────────────────────────────────────────────

  #whyNotLeading(): Refusal | null {
    const unable = this.#whyNotReading();
    if (unable !== null) return unable;
    if (this.#leadingTerm !== null) return null;
    const { id } = this.#engine.leader();
    if (id === null) return this.#noLeader();
    return refusal("NOT_LEADER", `${id} leads`, { leader: id });
  }

  /** In the moment between two leaders of a hand-over, callers can go ahead to the one that is about to lead. */
  #noLeader(): Refusal {
    const successor = this.#successor;
    if (successor === null || successor.untilMs <= this.#nowMs()) return this.#whyNotFollowing() ?? noLeader;
    return refusal("NOT_LEADER", `${successor.id} is about to lead`, { leader: successor.id });
  }

  #whyNotReading(): Refusal | null {
    return this.#stopped ?? (this.#quarantined ? quarantined : null);
  }

  #whyNotFollowing(): Refusal | null {
    return this.#isMember ? null : notAMember;
  }

  #slotFor(request: SubmitRequest, asked: Command, respond: (answer: Answer) => void): Slot {
    const command = identified(asked, request.principal);
    const bytes = command === asked ? request.command : encodeCommand(command);
    const deadlineMs = this.#nowMs() + (request.timeoutMs ?? this.#options.timeoutMs);
    return { request, command, bytes, deadlineMs, respond, index: NO_INDEX, term: NO_TERM };
  }

  #decidedBefore({ sessionId, sequence }: Command): Decision | null {
    return sessionId === null || sequence === null ? null : this.#reader.decided(sessionId, sequence);
  }

  #proposeOwn(operation: Operation, respond: (answer: Answer) => void): void {
    const command: Command = { sessionId: null, sequence: null, firstUnackedSequence: 0 as Sequence, operation };
    const deadlineMs = this.#nowMs() + this.#options.timeoutMs;
    const bytes = encodeCommand(command);
    this.#enqueue({ request: null, command, bytes, deadlineMs, respond, index: NO_INDEX, term: NO_TERM });
  }

  #advanceClock(): void {
    if (this.#clockEntryInFlight) return;
    this.#clockEntryInFlight = true;
    this.#clockEntries += 1;
    this.#proposeOwn({ kind: "advanceClock" }, () => {
      this.#clockEntryInFlight = false;
    });
  }

  #enqueue(slot: Slot): void {
    this.#batch.push(slot);
    if (this.#batch.length === 1) this.#ports.timers.soon(() => this.#proposeBatch());
  }

  #proposeBatch(): void {
    const slots = this.#batch;
    if (slots.length === 0) return;
    this.#batch = [];
    const proposed = this.#engine.propose(slots.map((slot) => slot.bytes));
    if (!proposed.ok) {
      for (const slot of slots) this.#refuse(slot, proposed.refusal);
      return;
    }
    const { term, firstIndex } = proposed;
    for (const [offset, slot] of slots.entries()) {
      slot.index = (firstIndex + offset) as LogIndex;
      slot.term = term;
      this.#pending.add(slot);
    }
    this.#sweep();
  }

  #refuse(slot: Slot, why: Refusal): void {
    this.#claims.settled(slot);
    slot.respond({ kind: "refused", refusal: why });
  }

  // ── on the way out ────────────────────────────────────────────────────────────────────────────────────────────────

  #apply(entry: Entry): void {
    this.#record(this.#eventsOf(entry));
    this.#applied = entry.index;
    this.#bytesSinceSnapshot += entry.data.length;
    if (entry.index % DIGEST_EVERY === 0) this.#compareState(entry.index);
  }

  // ── the same state everywhere ─────────────────────────────────────────────────────────────────────────────────────

  #compareState(index: LogIndex): void {
    const digest = this.#machine.digest();
    this.#digest = { index, value: digest };
    const voters = this.#voters();
    if (!voters.includes(this.#ports.nodeId)) return;
    const report: DigestReport = { index, digest, digestVersion: DIGEST_VERSION };
    this.#digests.own(report, voters);
    this.#engine.reportDigest(report, null);
    this.#judged();
  }

  #voters(): readonly NodeId[] {
    return this.#engine.status().raft.configuration.voters;
  }

  #judged(): void {
    const found = this.#digests.divergence;
    if (found === this.#divergence) return;
    this.#divergence = found;
    const { nodeId, log } = this.#ports;
    if (found === null) log.warn("the states of all voters agree again", { index: this.#applied });
    else {
      const reports = Object.fromEntries(found.reports);
      log.error("the states of voters differ", {
        index: found.index,
        odd: found.odd.join(" "),
        reports: JSON.stringify(reports),
      });
    }
    this.#quarantine(found?.odd.includes(nodeId) ?? false);
  }

  #quarantine(on: boolean): void {
    if (on === this.#quarantined) return;
    this.#quarantined = on;
    this.#engine.allowLeading(!on);
    if (on) {
      this.#ports.log.error("quarantined: a majority of voters agrees against this node's state", { index: this.#applied });
      this.#watches.endAll(quarantined);
    } else this.#ports.log.warn("quarantine lifted", { index: this.#applied });
  }

  /** A watch on a removed node would wait for ever: no entry comes here any more. */
  #belongs(isMember: boolean): void {
    if (isMember === this.#isMember) return;
    this.#isMember = isMember;
    if (isMember) this.#ports.log.info("this node is a member of the cluster");
    else this.#ports.log.warn("no configuration names this node: it was removed, or is not added yet");
    if (!isMember) this.#watches.endAll(notAMember);
  }

  /** What this node proposed is not decoded again; what another leader put at the index proves that ours was dropped. */
  #eventsOf(entry: Entry): readonly Event[] {
    const slot = this.#pending.take(entry.index);
    if (slot !== null && slot.term === entry.term) return this.#answer(slot, entry);
    if (slot !== null) this.#refuse(slot, dropped);
    return applyEntry(this.#machine, entry, this.#ports.log);
  }

  #answer(slot: Slot, entry: Entry): readonly Event[] {
    const { decision, events } = this.#machine.apply(slot.command, entry);
    this.#claims.settled(slot);
    this.#locks.answerOrPark(slot, decision, this.#reader);
    return events;
  }

  #record(events: readonly Event[]): void {
    if (events.length === 0) return;
    this.#watches.record(events);
    this.#locks.onEvents(events, this.#reader);
  }

  #leadershipEnded(): void {
    const leader = this.#engine.leader().id ?? this.#successor?.id ?? null;
    const why = refusal("UNKNOWN_OUTCOME", "this node lost the lead while the command was on its way", { leader });
    this.#clock.stop();
    this.#pending.refuseAll(why);
    this.#locks.refuseAll(why);
    const notProposed = this.#whyNotProposed();
    this.#claims.refuseAll(notProposed);
    this.#renewals.refuseAll(notProposed);
  }

  #whyNotProposed(): Refusal {
    const { id } = this.#engine.leader();
    return this.#stopped ?? (id === null ? this.#noLeader() : refusal("NOT_LEADER", `${id} leads now`, { leader: id }));
  }

  /** Deadlines are looked at together, ten times a second, and only while somebody waits. */
  #sweep(): void {
    this.#sweeper ??= this.#ports.timers.every(SWEEP_MS, () => {
      const nowMs = this.#nowMs();
      this.#pending.forEach((slot) => {
        if (slot.deadlineMs > nowMs) return;
        slot.respond({ kind: "refused", refusal: stillInTheLog });
        slot.respond = nobody;
      });
      this.#claims.expire(nowMs);
      this.#locks.expire(nowMs, stillInTheLog);
      this.#readers.expire(nowMs);
      if (this.#pending.size + this.#claims.size + this.#locks.size + this.#readers.size === 0) this.#stopSweep();
    });
  }

  #stopSweep(): void {
    this.#sweeper?.cancel();
    this.#sweeper = null;
  }

  async #freshEnough(freshness: Freshness): Promise<Outcome<LogIndex>> {
    const unable = this.#whyNotReading();
    if (unable !== null) return refused(unable);
    switch (freshness.mode) {
      case "linearizable":
        return this.#engine.leader().id === null && !this.#isMember ? refused(notAMember) : await this.#engine.readBarrier();
      case "min_revision":
        return freshness.revision > this.#applied && !this.#isMember ? refused(notAMember) : accepted(freshness.revision);
      case "stale":
        return accepted(this.#applied);
      default:
        return assertNever(freshness, "freshness");
    }
  }

  #untilApplied(index: LogIndex): Promise<boolean> {
    if (this.#stopped !== null) return Promise.resolve(false);
    this.#sweep();
    return this.#readers.wait(index, this.#nowMs() + this.#options.timeoutMs);
  }

  #isSnapshotDue(): boolean {
    const { snapshotEveryEntries, snapshotEveryBytes } = this.#options;
    return this.#applied - this.#snapshotIndex >= snapshotEveryEntries || this.#bytesSinceSnapshot >= snapshotEveryBytes;
  }

  /** The state is frozen now, at one index; it is written out piece by piece while entries go on. */
  async #saveSnapshot(): Promise<Outcome<LogIndex>> {
    this.#savingSnapshot = true;
    this.#snapshotIndex = this.#applied;
    this.#bytesSinceSnapshot = 0;
    const content = snapshotContent(this.#machine.snapshot());
    const saved = await this.#engine.saveSnapshot({ index: this.#applied, digest: this.#machine.digest(), content });
    this.#savingSnapshot = false;
    if (saved.ok) this.#ports.log.info("snapshot saved", { index: saved.value.index });
    else {
      this.#snapshotFailures += 1;
      this.#ports.log.warn("snapshot not saved", { why: saved.refusal.message });
    }
    return saved.ok ? accepted(saved.value.index) : saved;
  }

  #stop(why: Refusal): void {
    if (this.#stopped !== null) return;
    this.#stopped = why;
    this.#stopSweep();
    const slots = this.#batch;
    this.#batch = [];
    for (const slot of slots) this.#refuse(slot, why);
    this.#leadershipEnded();
    this.#leadingTerm = null;
    this.#readers.stop();
    this.#watches.endAll(why);
  }

  #nowMs(): number {
    return this.#ports.clock.now().monotonicMs;
  }
}

/** The name a caller has proven stands in the log, not the one that it claims. */
function identified(command: Command, principal: string): Command {
  const { operation } = command;
  if (operation.kind !== "openSession" || operation.principal === principal) return command;
  return { ...command, operation: { ...operation, principal } };
}

const SWEEP_MS = 100;
/** A hand-over takes a round trip and an election; callers that are sent ahead too early only ask again. */
const SUCCESSOR_MS = 3_000;
const nobody = (): void => {};
const quarantined = refusal("UNAVAILABLE", "this node's state differs from the other voters', so it shows none: ask another");
const notAMember = refusal("UNAVAILABLE", "this node is not a member of the cluster any more, or not yet: ask another");
const noLeader = refusal("NO_LEADER", "no leader is known");
const leaderOnly = refusal("PERMISSION_DENIED", "only the leader itself writes this command", { field: "operation" });
const dropped = refusal("UNAVAILABLE", "another leader took the command's place in the log: it was not done");
const stillInTheLog = refusal("UNKNOWN_OUTCOME", "the time given is over, and the command may still be carried out");
