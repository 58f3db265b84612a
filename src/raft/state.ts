import {
  invariant,
  type LogIndex,
  type MonotonicMs,
  type NodeId,
  NO_INDEX,
  type Random,
  refusal,
  type Term,
  type WallTimeMs,
} from "#kernel";
import { Configurations, isVoter } from "./configuration.ts";
import type { LeaderClock } from "./clock.ts";
import { RaftLog } from "./log.ts";
import { Outbox } from "./outbox.ts";
import type { Progress } from "./progress/index.ts";
import { ForwardedReads, type ReadRounds } from "./reads.ts";
import { Suspicion } from "./suspicion.ts";
import type {
  Configuration,
  CoreStamp,
  Entry,
  Message,
  RaftOptions,
  ReadId,
  Ready,
  Recovered,
  SnapshotMeta,
  SnapshotSend,
  Trace,
} from "./types.ts";

/** What exists only while this node leads; a fresh one for every leadership, so that nothing of an old one lingers. */
export interface Leading {
  readonly kind: "leader";
  /** Every member of the configuration but this node. */
  readonly progress: Map<NodeId, Progress>;
  readonly reads: ReadRounds;
  readonly clock: LeaderClock;
  /** The entry that opened this leadership: once it is committed, so is everything before it. */
  readonly firstOwnIndex: LogIndex;
  /** Payload of the entries above the commit index. */
  uncommittedBytes: number;
  heartbeatElapsed: number;
  /** Something may be sent that has not been looked for yet; the next drain does, once for all. */
  flushNeeded: boolean;
  /** Null unless the lead is being handed over (hashicorp/raft#696: it must not outlive the leadership, so it lives here). */
  transfer: Transfer | null;
  /** Since when nothing speaks against moving the lead to a preferred voter: the election, or the last failed attempt. */
  steadySinceTick: number;
  readonly lease: Lease;
  /** The one attempt to hand over because of a stalled disk was made; the next answer is to step down. */
  handedOverForDisk: boolean;
}

export interface Transfer {
  readonly to: NodeId;
  readonly cause: "asked" | "priority" | "disk stalled" | "removed";
  readonly startedTick: number;
  /** The target was told to campaign. */
  sent: boolean;
}

/** Until when this leader may answer reads alone (dissertation 6.4.1). */
export interface Lease {
  /** Monotonic; null = none held. */
  untilMs: number | null;
  /** False for good once a successor was told to campaign: that message may arrive at any time, and it breaks every promise. */
  allowed: boolean;
}

/** `votes` hold one answer per voter of this one election; a new election starts with a new map. */
export interface Campaigning {
  readonly kind: "preCandidate" | "candidate";
  readonly votes: Map<NodeId, boolean>;
}

export type RoleState = { readonly kind: "follower" } | Campaigning | Leading;

/** The state that all roles share, with the few transitions that keep it whole. */
export class RaftState {
  readonly options: RaftOptions;
  readonly id: NodeId;
  readonly log: RaftLog;
  readonly outbox: Outbox;
  readonly configurations: Configurations;
  readonly forwarded: ForwardedReads;
  readonly #random: Random;

  role: RoleState = { kind: "follower" };
  leader: NodeId | null = null;
  /** The newest durable snapshot of this node: what a follower gets when its entries are compacted. */
  snapshot: SnapshotMeta | null;
  /** A snapshot whose last chunk is with the shell: until it answers, this log stands still. */
  installing: { readonly meta: SnapshotMeta; readonly endOffset: number } | null = null;
  /** Null = the log is whole. */
  suspicion: Suspicion | null;
  /** The newest reading of the clocks. */
  stamp: CoreStamp;

  ticks = 0;
  /** Ticks since valid word of a leader, a granted vote or an own campaign. On a leader: since its last quorum check. */
  electionElapsed = 0;
  electionTimeout = 0;
  electionCount = 0;
  /** The tick to stand at, after the link to the leader broke; null while nothing is known against it. */
  standAtTick: number | null = null;
  /** Lease reads: until this tick nobody else is elected with this node's help, whatever it forgets meanwhile. */
  boundUntilTick = 0;
  /** False while the shell knows a reason why this node must not lead. */
  mayLead = true;
  /** Ticks since the disk last finished a batch, while it has one. */
  diskWaitTicks = 0;

  readable: Ready["readable"][number][] = [];
  readsRejected: Ready["readsRejected"][number][] = [];
  snapshotSends: SnapshotSend[] = [];
  snapshotChunks: Ready["snapshotChunks"][number][] = [];
  marks: Trace[] = [];

  constructor(options: RaftOptions, recovered: Recovered, random: Random) {
    this.options = options;
    this.id = options.id;
    this.#random = random;
    const { hardState, snapshot, entries } = recovered;
    this.log = new RaftLog(snapshot, entries);
    invariant(
      this.log.lastTerm <= hardState.term,
      `the recovered log ends in term ${this.log.lastTerm}, but the recovered term is ${hardState.term}`,
    );
    this.outbox = new Outbox(this.log, hardState);
    this.snapshot = snapshot;
    this.suspicion = recovered.suspect === true ? new Suspicion() : null;
    this.configurations = new Configurations(
      snapshot?.configuration ?? options.initialConfiguration,
      snapshot?.index ?? NO_INDEX,
    );
    for (const entry of entries) if (entry.kind === "configuration") this.configurations.append(entry);
    this.forwarded = new ForwardedReads(Math.floor(random() * FORWARD_NUMBER_SPACE));
    this.stamp = { monotonicMs: 0 as MonotonicMs, wallMs: 0 as WallTimeMs };
    this.drawElectionTimeout();
    // Before a restart this node may have acknowledged a leader, and must keep the promise that it no longer remembers.
    this.bindToLeader();
  }

  get term(): Term {
    return this.outbox.hardState.term;
  }

  get votedFor(): NodeId | null {
    return this.outbox.hardState.votedFor;
  }

  get configuration(): Configuration {
    return this.configurations.current;
  }

  /** Learners vote when asked but never ask; a log that is about to be replaced elects nobody, and a stalled disk cannot lead. */
  get isPromotable(): boolean {
    return this.isVoterUntilCommitted && this.installing === null && !this.isDiskStalled && this.mayLead && !this.isSuspect;
  }

  /**
   * A voter that is removed or demoted by the end of its log stands until it knows that entry to be committed: perhaps its log
   * alone is long enough to be elected, and no other could commit it (dissertation §4.2.2, figure 4.6). It does not count its
   * own vote.
   */
  get isVoterUntilCommitted(): boolean {
    return isVoter(this.configuration, this.id) || isVoter(this.configurations.at(this.log.commitIndex), this.id);
  }

  get isSuspect(): boolean {
    return this.suspicion !== null;
  }

  /** A leader was heard from so recently that nobody else may be elected (§6, "leader stickiness"). */
  get hasLiveLeader(): boolean {
    if (this.isBound) return true;
    const { checkQuorum, electionTicks } = this.options;
    return checkQuorum && this.leader !== null && this.standAtTick === null && this.electionElapsed < electionTicks;
  }

  /** Some leader may be answering reads alone, in the trust that this node elects no other. */
  get isBound(): boolean {
    return this.ticks < this.boundUntilTick;
  }

  get isDiskStalled(): boolean {
    return this.diskWaitTicks >= this.options.diskStallTimeouts * this.options.electionTicks;
  }

  /** Every acknowledgement of a leader is a promise for an election timeout, when leaders hold leases. */
  bindToLeader(): void {
    if (this.options.leaseReads !== null) this.boundUntilTick = this.ticks + this.options.electionTicks;
  }

  /** Enters `term` if it is later; the vote of a term is forgotten only together with the term. */
  becomeFollower(term: Term, leader: NodeId | null): void {
    invariant(term >= this.term, `term would fall from ${this.term} to ${term}`);
    if (term > this.term) this.outbox.hardState = { term, votedFor: null };
    const was = this.role;
    // A timer is reset by valid word of a leader or by leaving another role, not by a higher term alone: else a node that
    // cannot win could keep those that can from trying.
    if (leader !== null || was.kind !== "follower") {
      this.electionElapsed = 0;
      this.drawElectionTimeout();
    }
    this.role = { kind: "follower" };
    this.setLeader(leader);
    if (was.kind === "leader") this.#rejectReadsOf(was);
  }

  setLeader(leader: NodeId | null): void {
    if (leader === this.leader) return;
    this.leader = leader;
    this.standAtTick = null;
    if (this.forwarded.size > 0) this.rejectForwarded(this.ticks);
  }

  /** §5.2: every draw is new, so that two nodes that timed out together do not do so again. */
  drawElectionTimeout(): void {
    const { electionTicks } = this.options;
    this.electionTimeout = electionTicks + this.drawTicks(electionTicks);
  }

  /** 0 to `below` - 1. */
  drawTicks(below: number): number {
    return Math.floor(this.#random() * below);
  }

  appendEntry(entry: Entry): void {
    this.log.append(entry);
    if (entry.kind === "configuration") this.configurations.append(entry);
  }

  truncate(lastKept: LogIndex): void {
    this.log.truncate(lastKept);
    this.configurations.truncate(lastKept);
  }

  send(message: Message): void {
    this.outbox.emit(message);
  }

  rejectRead(readId: ReadId): void {
    const { leader } = this;
    const why =
      leader === null
        ? refusal("NO_LEADER", `no leader is known in term ${this.term}`)
        : refusal("NOT_LEADER", `leadership changed: ${leader} leads term ${this.term}`, { leader });
    this.readsRejected.push({ readId, refusal: why });
  }

  /** Gives up the reads that went to the leader at or before `tick` and were not answered. */
  rejectForwarded(tick: number): void {
    for (const readId of this.forwarded.takeSentBy(tick)) this.rejectRead(readId);
  }

  mark(mark: Trace["mark"], fields: Trace["fields"]): void {
    this.marks.push({ mark, fields });
  }

  #rejectReadsOf(leading: Leading): void {
    for (const { from, readId } of leading.reads.abandon()) {
      if (from === this.id) this.rejectRead(readId);
      else this.send({ kind: "readIndexReply", from: this.id, to: from, term: this.term, readId, index: null });
    }
  }
}

/** Room for 2^44 forwarded reads in one life before numbers could leave the safe integers. */
const FORWARD_NUMBER_SPACE = 2 ** 44;
