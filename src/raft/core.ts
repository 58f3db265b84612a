import {
  assertNever,
  type ClusterTimeMs,
  invariant,
  type LogIndex,
  type NodeId,
  type Outcome,
  type Random,
  refusal,
  refused,
  type Term,
  type WallTimeMs,
} from "#kernel";
import { laterWallTime } from "./clock.ts";
import type { PlacedConfiguration } from "./configuration.ts";
import { validateRaftOptions } from "./options.ts";
import { campaign, countOwnVote, handleVoteReply, handleVoteRequest } from "./roles/candidate.ts";
import {
  acknowledgeLeader,
  handleAppend,
  handleHeartbeat,
  handleInstalled,
  handleSnapshotChunk,
  handleSnapshotReceived,
  tickWithoutLead,
} from "./roles/follower.ts";
import {
  addRead,
  flush,
  handleAppendRejected,
  handleAppendReply,
  handleHeartbeatReply,
  handlePeerDisconnected,
  handleSnapshotReply,
  isOwnTermCommitted,
  isRecentlyActive,
  learnSuspicion,
  oldestRestore,
  maybeCommit,
  proposeCommands,
  tickLeader,
} from "./roles/leader.ts";
import { suspectLeader } from "./roles/failover.ts";
import { holdsLease } from "./roles/lease.ts";
import { tickStewardship } from "./roles/stewardship.ts";
import { handleTimeoutNow, transferLeadership } from "./roles/transfer.ts";
import { advanceMembership, changeMembership } from "./roles/membership.ts";
import { type Leading, RaftState } from "./state.ts";
import type {
  BatchId,
  Configuration,
  CoreStamp,
  Input,
  MembershipChange,
  Message,
  PeerProgress,
  ProposeOutcome,
  RaftOptions,
  RaftStatus,
  ReadId,
  Ready,
  Recovered,
  SnapshotMeta,
} from "./types.ts";

/**
 * The Raft algorithm as one synchronous state machine: `step` and `propose` take what happened, `drain` yields all that
 * follows from it. It has no clock, no disk, no network and no chance of its own, so the same inputs give the same outputs.
 *
 * One mutator: every input, heartbeats included, must come through here in one order (hashicorp/raft#695).
 * An {@link InvariantError} out of any method means that this core must not be used again.
 */
export class Raft {
  readonly #state: RaftState;
  /** Several ticks without a drain between them are one late tick: a pause must not fire an election per missed tick. */
  #tickedSinceDrain = false;
  #reported: Pick<RaftStatus, "term" | "role" | "leader" | "transferee" | "configuration">;

  constructor(options: RaftOptions, recovered: Recovered, random: Random) {
    validateRaftOptions(options);
    this.#state = new RaftState(options, recovered, random);
    const { term, configuration } = this.#state;
    this.#reported = { term, role: "follower", leader: null, transferee: null, configuration };
  }

  step(input: Input): void {
    switch (input.kind) {
      case "tick":
        return this.#tick(input.stamp);
      case "message":
        return this.#receive(input.message);
      case "read":
        return this.#read(input.readId, input.stamp);
      case "persisted":
        return this.#persisted(input.batch);
      case "applied":
        return this.#state.log.applied(input.index);
      case "compacted":
        return this.#compacted(input.meta, input.keepEntries);
      case "installed":
        return handleInstalled(this.#state, input.meta);
      case "snapshotReceived":
        return handleSnapshotReceived(this.#state, input.index, input.nextOffset);
      case "peerDisconnected":
        return this.#peerDisconnected(input.peer);
      case "campaign":
        return campaign(this.#state);
      case "mayLead":
        return this.#mayLead(input.allowed);
      default:
        assertNever(input, "input");
    }
  }

  /**
   * Appends all commands, in order and without gaps, or none. Refuses with NOT_LEADER (naming the leader when it is known)
   * or OVERLOADED when the uncommitted tail would pass `maxUncommittedBytes`; the caller may retry either.
   */
  propose(commands: readonly Uint8Array[], stamp: CoreStamp): ProposeOutcome {
    const state = this.#state;
    const { role } = state;
    if (role.kind === "leader") {
      state.stamp = stamp;
      return proposeCommands(state, role, commands, stamp);
    }
    return this.#notLeader();
  }

  /**
   * Starts a change of the membership; `firstIndex` is that of its first configuration, which is in force at once. It is done
   * when a configuration at or after that index is committed and not joint: leaving a joint one and promoting learners that
   * have caught up is the business of whoever leads. Refuses with NOT_LEADER, BAD_STATE (a change is under way, no entry of
   * this term is committed yet, or the last voter would go), NOT_FOUND, ALREADY_EXISTS or INVALID_ARGUMENT.
   */
  changeMembership(change: MembershipChange, stamp: CoreStamp): ProposeOutcome {
    const state = this.#state;
    const { role } = state;
    if (role.kind !== "leader") return this.#notLeader();
    state.stamp = stamp;
    return changeMembership(state, role, change, stamp);
  }

  /**
   * Hands the lead to `to`, or to the voter best fit for it. Accepted with the chosen one: it is on its way, until the status
   * names another leader or no `transferee` any more.
   */
  transferLeadership(to: NodeId | null): Outcome<NodeId> {
    const { role } = this.#state;
    return role.kind === "leader" ? transferLeadership(this.#state, role, to) : this.#notLeader();
  }

  /** Cheap; false means that {@link drain} would yield nothing. True after every tick, so that the next one counts. */
  hasReady(): boolean {
    const state = this.#state;
    return (
      this.#tickedSinceDrain ||
      state.outbox.hasOutput ||
      (state.role.kind === "leader" && state.role.flushNeeded) ||
      this.#canDeliver ||
      state.readable.length > 0 ||
      state.readsRejected.length > 0 ||
      state.snapshotSends.length > 0 ||
      state.snapshotChunks.length > 0 ||
      state.marks.length > 0 ||
      this.#hasNewStatus
    );
  }

  /** Everything that became due since the last drain, with at most one batch for the disk. */
  drain(): Ready {
    const state = this.#state;
    this.#tickedSinceDrain = false;
    this.#flush();
    const ready: Ready = {
      send: state.outbox.takeSendable(),
      persist: state.outbox.takePersist(),
      committed: this.#canDeliver ? state.log.takeDeliverable(state.options.maxCommittedBytes) : NOTHING,
      readable: state.readable,
      readsRejected: state.readsRejected,
      snapshotSends: state.snapshotSends,
      snapshotChunks: state.snapshotChunks,
      status: this.#hasNewStatus ? this.status() : null,
      trace: state.marks,
    };
    if (ready.readable.length > 0) state.readable = [];
    if (ready.readsRejected.length > 0) state.readsRejected = [];
    if (ready.snapshotSends.length > 0) state.snapshotSends = [];
    if (ready.snapshotChunks.length > 0) state.snapshotChunks = [];
    if (ready.trace.length > 0) state.marks = [];
    if (ready.status !== null) this.#reported = ready.status;
    return ready;
  }

  status(): RaftStatus {
    const { term, votedFor, role, leader, log, configuration, configurations, electionCount } = this.#state;
    return {
      term,
      votedFor,
      role: role.kind,
      leader,
      baseIndex: log.baseIndex,
      lastIndex: log.lastIndex,
      lastTerm: log.lastTerm,
      commitIndex: log.commitIndex,
      appliedIndex: log.appliedIndex,
      configuration,
      configurationIndex: configurations.currentIndex,
      progress: role.kind === "leader" ? this.#describeProgress(role) : null,
      electionCount,
      ownTermCommitted: role.kind === "leader" && isOwnTermCommitted(this.#state, role),
      suspect: this.#state.isSuspect,
      transferee: this.#transferee,
    };
  }

  /** The term of the entry at `index`; null when it is compacted away or not there yet. */
  termAt(index: LogIndex): Term | null {
    return this.#state.log.termAt(index);
  }

  /** The configuration in force (§6), committed or not. */
  membership(): PlacedConfiguration {
    return this.#state.configurations.inForce;
  }

  /** What a snapshot at `index` must carry. `index` must not lie before the newest snapshot. */
  configurationAt(index: LogIndex): Configuration {
    return this.#state.configurations.at(index);
  }

  /** The last index that is compacted away; the log in memory begins right after it. */
  get baseIndex(): LogIndex {
    return this.#state.log.baseIndex;
  }

  /** What the leader would stamp on an entry now; on others, the time of the last entry in the log. */
  clusterTime(stamp: CoreStamp): ClusterTimeMs {
    const { role, log } = this.#state;
    return role.kind === "leader" ? role.clock.clusterTimeAt(stamp) : log.lastTimes.clusterTimeMs;
  }

  /** The wall time that goes with {@link clusterTime}. */
  wallTime(stamp: CoreStamp): WallTimeMs {
    const { role, log } = this.#state;
    return role.kind === "leader" ? laterWallTime(role.clock.wallTimeMs, stamp.wallMs) : log.lastTimes.wallTimeMs;
  }

  /** The configuration first: it decides who is sent anything, and whether this node leads on. */
  #flush(): void {
    const state = this.#state;
    const { role } = state;
    if (role.kind !== "leader" || !role.flushNeeded) return;
    advanceMembership(state, role);
    if (state.role === role) flush(state, role);
  }

  #notLeader(): ReturnType<typeof refused> {
    const { leader, term } = this.#state;
    const message = leader === null ? `no leader is known in term ${term}` : `${leader} leads term ${term}`;
    return refused(refusal("NOT_LEADER", message, { leader }));
  }

  #mayLead(allowed: boolean): void {
    const state = this.#state;
    state.mayLead = allowed;
    if (allowed || state.role.kind === "follower") return;
    state.mark("stepped down: must not lead", { term: state.term, was: state.role.kind });
    state.becomeFollower(state.term, null);
  }

  #tick(stamp: CoreStamp): void {
    const state = this.#state;
    state.stamp = stamp;
    if (this.#tickedSinceDrain) {
      state.mark("late tick skipped", { ticks: state.ticks });
      return;
    }
    this.#tickedSinceDrain = true;
    state.ticks++;
    state.diskWaitTicks = state.outbox.isWaiting ? state.diskWaitTicks + 1 : 0;
    const { role } = state;
    if (role.kind !== "leader") return tickWithoutLead(state);
    tickLeader(state, role);
    if (state.role === role) tickStewardship(state, role);
  }

  #receive(message: Message): void {
    const state = this.#state;
    if (message.to !== state.id) {
      state.mark("misdirected message ignored", { from: message.from, to: message.to, kind: message.kind });
      return;
    }
    if (message.term > state.term && !this.#enterTermOf(message)) return;
    if (message.term < state.term && !isWelcomeWhenOld(message)) return this.#answerOld(message);
    this.#dispatch(message);
  }

  /** A later term. False when the message is to be ignored. */
  #enterTermOf(message: Message): boolean {
    const state = this.#state;
    switch (message.kind) {
      case "preVote":
      case "requestVote":
        if (state.hasLiveLeader && !message.transfer) {
          state.mark("vote refused: live leader", {
            kind: message.kind,
            from: message.from,
            term: message.term,
            leader: state.leader,
          });
          return false;
        }
        if (message.kind === "preVote") return true;
        this.#markStepDown(message);
        state.becomeFollower(message.term, null);
        return true;
      case "preVoteReply":
        // Granted, it carries the term that was asked for; refused, the later term of the refuser.
        if (message.granted) return true;
        this.#markStepDown(message);
        state.becomeFollower(message.term, null);
        return true;
      case "append":
      case "heartbeat":
      case "snapshotChunk":
        this.#markStepDown(message);
        state.becomeFollower(message.term, message.from);
        return true;
      case "voteReply":
      case "appendReply":
      case "appendRejected":
      case "heartbeatReply":
      case "snapshotReply":
      case "readIndex":
      case "readIndexReply":
      case "timeoutNow":
      case "stateDigest":
        this.#markStepDown(message);
        state.becomeFollower(message.term, null);
        return true;
      default:
        return assertNever(message, "message");
    }
  }

  /**
   * An earlier term. A leader that was superseded, and a node that waits for pre-votes under an old term, must learn of the
   * new one or they never come back; all else is too late to matter.
   */
  #answerOld(message: Message): void {
    const state = this.#state;
    state.mark("stale message ignored", { kind: message.kind, from: message.from, term: message.term, now: state.term });
    if (message.kind === "append" || message.kind === "heartbeat" || message.kind === "snapshotChunk") {
      state.send({
        kind: "heartbeatReply",
        from: state.id,
        to: message.from,
        term: state.term,
        readRound: 0,
        suspect: state.isSuspect,
        leaseMs: 0,
      });
    }
  }

  #dispatch(message: Message): void {
    const state = this.#state;
    const { role } = state;
    switch (message.kind) {
      case "preVote":
      case "requestVote":
        return handleVoteRequest(state, message);
      case "preVoteReply":
      case "voteReply":
        return handleVoteReply(state, message);
      case "append":
        acknowledgeLeader(state, message.from);
        return handleAppend(state, message);
      case "heartbeat":
        acknowledgeLeader(state, message.from);
        return handleHeartbeat(state, message);
      case "snapshotChunk":
        acknowledgeLeader(state, message.from);
        return handleSnapshotChunk(state, message);
      case "readIndex":
        return this.#readFor(message);
      case "readIndexReply":
        return this.#readAnswered(message);
      case "timeoutNow":
        return handleTimeoutNow(state, message);
      case "stateDigest":
        // For the state machine; the engine takes it out before it comes here.
        return state.mark("state digest ignored", { from: message.from, index: message.index });
      case "appendReply":
        return role.kind === "leader" ? handleAppendReply(state, role, message) : this.#ignoreUnled(message);
      case "appendRejected":
        return role.kind === "leader" ? handleAppendRejected(state, role, message) : this.#ignoreUnled(message);
      case "heartbeatReply":
        return role.kind === "leader" ? handleHeartbeatReply(state, role, message) : this.#ignoreUnled(message);
      case "snapshotReply":
        return role.kind === "leader" ? handleSnapshotReply(state, role, message) : this.#ignoreUnled(message);
      default:
        assertNever(message, "message");
    }
  }

  #markStepDown({ from, term, kind }: Message): void {
    const state = this.#state;
    if (state.role.kind !== "leader") return;
    const isHandedOver = kind === "requestVote" && state.role.transfer?.to === from;
    state.mark(isHandedOver ? "stepped down: handed over" : "stepped down: later term", { from, term, was: state.term });
  }

  #ignoreUnled(message: Message): void {
    this.#state.mark("reply ignored: not leading", { kind: message.kind, from: message.from, term: message.term });
  }

  #read(readId: ReadId, stamp: CoreStamp): void {
    const state = this.#state;
    const { role, leader } = state;
    state.stamp = stamp;
    if (role.kind === "leader") {
      if (holdsLease(state, role)) this.#answerByLease(readId);
      else if (role.reads.size < MAX_PENDING_READS) addRead(role, state.id, readId);
      else this.#refuseRead(readId);
    } else if (leader === null) {
      state.rejectRead(readId);
    } else if (state.forwarded.size < MAX_PENDING_READS) {
      const number = state.forwarded.add(readId, state.ticks);
      state.send({ kind: "readIndex", from: state.id, to: leader, term: state.term, readId: number, suspect: false });
    } else {
      this.#refuseRead(readId);
    }
  }

  #refuseRead(readId: ReadId): void {
    this.#state.readsRejected.push({ readId, refusal: refusal("OVERLOADED", `${MAX_PENDING_READS} reads are waiting already`) });
  }

  #answerByLease(readId: ReadId): void {
    this.#state.readable.push({ readId, index: this.#state.log.commitIndex });
    this.#state.mark("read by lease", { index: this.#state.log.commitIndex });
  }

  /** Never by lease: a message brings no clock reading, and the last one may be from before the lease ended. */
  #readFor(message: Extract<Message, { kind: "readIndex" }>): void {
    const state = this.#state;
    const { role } = state;
    if (role.kind === "leader" && message.suspect) learnSuspicion(state, role, message.from, true);
    if (role.kind === "leader" && role.reads.size < MAX_PENDING_READS) {
      addRead(role, message.from, message.readId);
      return;
    }
    const { readId, from } = message;
    state.send({ kind: "readIndexReply", from: state.id, to: from, term: state.term, readId, index: null });
  }

  #readAnswered(message: Extract<Message, { kind: "readIndexReply" }>): void {
    const state = this.#state;
    if (state.suspicion?.answered(message.readId, message.index) === true) return;
    const readId = state.forwarded.take(message.readId);
    if (readId === null) state.mark("read answer ignored: nobody waits", { from: message.from, index: message.index });
    else if (message.index === null) state.rejectRead(readId);
    else state.readable.push({ readId, index: message.index });
  }

  #persisted(batch: BatchId): void {
    const state = this.#state;
    const { outbox } = state;
    invariant(batch <= outbox.lastBatch, `batch ${batch} is reported durable, but the last one given out is ${outbox.lastBatch}`);
    outbox.persisted(batch);
    state.diskWaitTicks = 0;
    countOwnVote(state);
    if (state.role.kind === "leader") maybeCommit(state, state.role);
  }

  #compacted(meta: SnapshotMeta, keepEntries: number): void {
    const state = this.#state;
    const previous = state.snapshot?.index ?? meta.index;
    if (state.snapshot === null || meta.index > state.snapshot.index) state.snapshot = meta;
    const restoring = state.role.kind === "leader" ? oldestRestore(state, state.role, previous) : meta.index;
    const upTo = Math.max(Math.min(meta.index - keepEntries, restoring), state.log.baseIndex) as LogIndex;
    state.log.compact(upTo);
    state.configurations.compact(upTo);
  }

  #peerDisconnected(peer: NodeId): void {
    const state = this.#state;
    if (state.role.kind === "leader") handlePeerDisconnected(state.role, peer);
    else if (peer === state.leader) {
      state.rejectForwarded(state.ticks);
      suspectLeader(state);
    }
  }

  #describeProgress(leading: Leading): ReadonlyMap<NodeId, PeerProgress> {
    const described = new Map<NodeId, PeerProgress>();
    for (const [peer, progress] of leading.progress) {
      described.set(peer, progress.describe(isRecentlyActive(this.#state, progress)));
    }
    return described;
  }

  /** While a snapshot is being installed, the state machine is not to be touched. */
  get #canDeliver(): boolean {
    const { log, installing, options } = this.#state;
    return installing === null && log.hasDeliverable(options.maxCommittedBytes);
  }

  get #transferee(): NodeId | null {
    const { role } = this.#state;
    return role.kind === "leader" ? (role.transfer?.to ?? null) : null;
  }

  get #hasNewStatus(): boolean {
    const { term, role, leader, configuration } = this.#state;
    const reported = this.#reported;
    return (
      reported.term !== term ||
      reported.role !== role.kind ||
      reported.leader !== leader ||
      reported.transferee !== this.#transferee ||
      reported.configuration !== configuration
    );
  }
}

const NOTHING: readonly never[] = [];
/** Reads are cheap to wait, but not for free: a leader that cannot confirm must not gather them without end. */
const MAX_PENDING_READS = 65_536;

/** Requests for votes are answered under any term: a refusal carries ours, from which the sender learns. */
function isWelcomeWhenOld(message: Message): boolean {
  return message.kind === "preVote" || message.kind === "requestVote" || message.kind === "readIndex";
}
