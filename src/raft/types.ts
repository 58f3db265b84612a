import type { ClusterTimeMs, LogIndex, MonotonicMs, NodeId, Refusal, Term, WallTimeMs } from "#kernel";
import type { Brand } from "#kernel";
import type { Mark } from "./marks.ts";

/** Names one `Persist`; strictly rising in one life of a core, so that a late answer of the disk names an old batch. */
export type BatchId = Brand<number, "BatchId">;
/** Names one read request of this node's own callers. Minted by the shell, strictly rising (etcd#20418: never the caller's id). */
export type ReadId = Brand<number, "ReadId">;

/**
 * - `command`: opaque bytes for the state machine
 * - `leader`: the first entry of a new leader's own term (§8), with its {@link RaftOptions.leaderData}; the state machine
 *   uses it as "a leader changed"
 * - `configuration`: a {@link Configuration} as value, in force from the moment it is appended
 */
export type EntryKind = "command" | "leader" | "configuration";

export interface Entry {
  readonly term: Term;
  readonly index: LogIndex;
  readonly kind: EntryKind;
  /** The replicated clock, stamped by the leader that created the entry. Never falls along the log. */
  readonly clusterTimeMs: ClusterTimeMs;
  readonly wallTimeMs: WallTimeMs;
  readonly data: Uint8Array;
}

/** Who votes. Joint (§6) when `votersOutgoing` is not null: then both halves must agree, each by its own majority. */
export interface Configuration {
  readonly voters: readonly NodeId[];
  readonly votersOutgoing: readonly NodeId[] | null;
  /** Receive the log, count for nothing. */
  readonly learners: readonly NodeId[];
  /** Joint only: voters of the outgoing half that become learners when the joint configuration is left. */
  readonly learnersNext: readonly NodeId[];
  /** Learners that the leader makes voters as soon as they have caught up. In the log, so that it survives the leader. */
  readonly promoting: readonly NodeId[];
  /** When each member was added; one without was there from the first configuration on. */
  readonly admissions: readonly Admission[];
}

/**
 * A membership: a node that is removed and added again has another one. It lasts as long as the node is a member, whatever its
 * role, in a joint configuration too.
 */
export interface Admission {
  readonly node: NodeId;
  /** Of the entry that made it a member. */
  readonly index: LogIndex;
}

/** What an operator asks for. The leader turns it into one or two configurations; see `config-change/`. */
export type MembershipChange =
  /** A new learner; with `promote` it becomes a voter once it has caught up. */
  | { readonly kind: "add"; readonly node: NodeId; readonly promote: boolean }
  /** A learner is to be a voter: as soon as it has caught up. */
  | { readonly kind: "promote"; readonly node: NodeId }
  /** A voter goes on as a learner. */
  | { readonly kind: "demote"; readonly node: NodeId }
  | { readonly kind: "remove"; readonly node: NodeId }
  /** `add` (caught-up learners or new nodes) and `remove` in one joint step. */
  | { readonly kind: "replace"; readonly remove: NodeId; readonly add: NodeId };

export interface HardState {
  readonly term: Term;
  readonly votedFor: NodeId | null;
}

/** What a snapshot says about the log it replaces. */
export interface SnapshotMeta {
  readonly index: LogIndex;
  readonly term: Term;
  readonly clusterTimeMs: ClusterTimeMs;
  readonly wallTimeMs: WallTimeMs;
  readonly configuration: Configuration;
}

/** What recovery found on disk; a fresh node has nulls and an empty list. */
export interface Recovered {
  readonly hardState: HardState;
  /** The newest snapshot that the state machine was restored from. */
  readonly snapshot: SnapshotMeta | null;
  /** Contiguous; starts right after the snapshot (or at 1). */
  readonly entries: readonly Entry[];
  /** The log may have lost a batch that had been acknowledged. Absent = no. */
  readonly suspect?: boolean;
}

interface Envelope {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly term: Term;
}

/** What voters say to each other. One message is one value; `term` is the sender's (for pre-votes: the asked-for term). */
export type Message =
  | (Envelope & {
      readonly kind: "preVote" | "requestVote";
      readonly lastIndex: LogIndex;
      readonly lastTerm: Term;
      /** The leader itself asked for this election: word of a live leader is no reason to refuse (§3.10). */
      readonly transfer: boolean;
    })
  | (Envelope & { readonly kind: "preVoteReply" | "voteReply"; readonly granted: boolean })
  | (Envelope & {
      readonly kind: "append";
      readonly prevIndex: LogIndex;
      readonly prevTerm: Term;
      readonly entries: readonly Entry[];
      readonly commitIndex: LogIndex;
    })
  | (Envelope & {
      readonly kind: "appendReply";
      /** Accepted: the last index known to match and to be durable here. */
      readonly matchIndex: LogIndex;
      /** The sender's log may have lost an acknowledged tail: it counts for no quorum until it has caught up. */
      readonly suspect: boolean;
    })
  | (Envelope & {
      readonly kind: "appendRejected";
      readonly rejectedIndex: LogIndex;
      /** The follower's best guess of a match, and the term of its entry there (two-sided term hints). */
      readonly hintIndex: LogIndex;
      readonly hintTerm: Term;
    })
  | (Envelope & {
      readonly kind: "heartbeat";
      readonly commitIndex: LogIndex;
      /** 0 = not for reads */ readonly readRound: number;
    })
  | (Envelope & {
      readonly kind: "heartbeatReply";
      readonly readRound: number;
      readonly suspect: boolean;
      /** The longest lease that the sender's promise covers, counted from the sending of the heartbeat; 0 = no promise. */
      readonly leaseMs: number;
    })
  | (Envelope & {
      /** One chunk of a snapshot. The shell fills `data` from the snapshot store when it sends (the core names only the range). */
      readonly kind: "snapshotChunk";
      readonly meta: SnapshotMeta;
      readonly offset: number;
      readonly data: Uint8Array;
      readonly done: boolean;
      /** Of the whole snapshot; 0 = the sender does not tell. */
      readonly totalBytes: number;
    })
  | (Envelope & {
      readonly kind: "snapshotReply";
      readonly index: LogIndex;
      /** The offset that the follower wants next; the snapshot's length when it has all. */
      readonly nextOffset: number;
      readonly installed: boolean;
      readonly suspect: boolean;
    })
  /** The leader hands over: campaign now, without waiting and without a pre-vote (§3.10). */
  | (Envelope & { readonly kind: "timeoutNow" })
  /** The sender's state after applying `index`, for comparison. */
  | (Envelope & {
      readonly kind: "stateDigest";
      readonly index: LogIndex;
      readonly digest: string;
      readonly digestVersion: number;
    })
  /** `suspect`: forget what this node acknowledged before, it may be lost; and only then take the read index. */
  | (Envelope & { readonly kind: "readIndex"; readonly readId: ReadId; readonly suspect: boolean })
  | (Envelope & { readonly kind: "readIndexReply"; readonly readId: ReadId; readonly index: LogIndex | null });

/** A clock reading that enters the core with `tick` and `propose`: the core has no clock of its own. */
export interface CoreStamp {
  readonly monotonicMs: MonotonicMs;
  readonly wallMs: WallTimeMs;
}

export type Input =
  | { readonly kind: "tick"; readonly stamp: CoreStamp }
  | { readonly kind: "message"; readonly message: Message }
  /** Ask for a linearizable read point; answered in `Ready.readable` or `Ready.readsRejected`. */
  | { readonly kind: "read"; readonly readId: ReadId; readonly stamp: CoreStamp }
  /** The disk has made this batch, and all before it, durable. */
  | { readonly kind: "persisted"; readonly batch: BatchId }
  /** The state machine has applied up to here. */
  | { readonly kind: "applied"; readonly index: LogIndex }
  /** The shell has a durable snapshot of its own state; the log up to `meta.index` (minus `keepEntries`) may go. */
  | { readonly kind: "compacted"; readonly meta: SnapshotMeta; readonly keepEntries: number }
  /** The received snapshot is durable and restored into the state machine. */
  | { readonly kind: "installed"; readonly meta: SnapshotMeta }
  /** The shell has stored the leader's snapshot bytes up to `nextOffset`; the core answers the leader. Null: it has no room for it. */
  | { readonly kind: "snapshotReceived"; readonly index: LogIndex; readonly nextOffset: number | null }
  /** The link to this peer went down: what is in flight to it is lost; probe again. */
  | { readonly kind: "peerDisconnected"; readonly peer: NodeId }
  /** Start an election now (tools and tests). */
  | { readonly kind: "campaign" }
  /** Whether this node may lead. One that must not steps down and stands for no election; it votes and keeps the log. */
  | { readonly kind: "mayLead"; readonly allowed: boolean };

export type ProposeOutcome =
  | {
      readonly ok: true;
      readonly term: Term;
      /** of the first of the batch; the rest follow without gaps */ readonly firstIndex: LogIndex;
    }
  | { readonly ok: false; readonly refusal: Refusal };

/** Write and fsync all of it as one batch; only then send `thenSend`, then step `persisted`. */
export interface Persist {
  readonly batch: BatchId;
  readonly hardState: HardState | null;
  /** `entries[0].index` truncates whatever the log holds from there on. */
  readonly entries: readonly Entry[];
  /** A leader has caught this node up: the log's mark of suspicion goes. */
  readonly liftsSuspicion?: true;
  /** Votes and acknowledgements: unreachable for a sender that does not hold the written batch. */
  readonly thenSend: readonly Message[];
}

/** A leader's wish to send snapshot bytes; the shell reads them from its store and sends a `snapshotChunk`. */
export interface SnapshotSend {
  readonly to: NodeId;
  readonly term: Term;
  readonly index: LogIndex;
  readonly offset: number;
}

export interface Ready {
  /** Safe to send now: no crash can make any of it untrue. */
  readonly send: readonly Message[];
  readonly persist: Persist | null;
  /** In order, never repeated, already safe to apply here. */
  readonly committed: readonly Entry[];
  /** Each read may be served once `index` has been applied here. */
  readonly readable: readonly { readonly readId: ReadId; readonly index: LogIndex }[];
  readonly readsRejected: readonly { readonly readId: ReadId; readonly refusal: Refusal }[];
  readonly snapshotSends: readonly SnapshotSend[];
  /** A chunk that a leader of the current term sent; the shell stores it, and installs the snapshot when it is whole. */
  readonly snapshotChunks: readonly Extract<Message, { kind: "snapshotChunk" }>[];
  /** Set when term, leader, role, transferee or the configuration in force changed since the last drain. */
  readonly status: RaftStatus | null;
  readonly trace: readonly Trace[];
}

export type Role = "follower" | "preCandidate" | "candidate" | "leader";

export interface RaftStatus {
  readonly term: Term;
  readonly votedFor: NodeId | null;
  readonly role: Role;
  readonly leader: NodeId | null;
  /** Of the last entry that is compacted away: the log in memory begins right after it. */
  readonly baseIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly configuration: Configuration;
  /** Index of the entry that holds {@link configuration}; it is committed once `commitIndex` has reached it. */
  readonly configurationIndex: LogIndex;
  /** Leader only; null elsewhere. */
  readonly progress: ReadonlyMap<NodeId, PeerProgress> | null;
  /** Elections this node started or voted in since it came up. */
  readonly electionCount: number;
  /** True once an entry of the leader's own term is committed: reads and configuration changes may proceed. */
  readonly ownTermCommitted: boolean;
  /** This node's log may have lost an acknowledged batch: it counts for nothing until a leader has caught it up. */
  readonly suspect: boolean;
  /** Leader only: the voter that is to lead next, while the lead is being handed over. */
  readonly transferee: NodeId | null;
}

export interface PeerProgress {
  readonly matchIndex: LogIndex;
  readonly nextIndex: LogIndex;
  readonly state: "probe" | "replicate" | "snapshot";
  /** Heard from within the last election timeout. */
  readonly recentlyActive: boolean;
  /** It may have lost what it acknowledged, and counts for nothing until it is caught up. */
  readonly suspect: boolean;
}

/** Every odd branch leaves a mark, and one named test expects it. */
export interface Trace {
  readonly mark: Mark;
  readonly fields: Readonly<Record<string, string | number | boolean | null>>;
}

export interface RaftOptions {
  readonly id: NodeId;
  /** In force until the log or a snapshot holds a configuration. */
  readonly initialConfiguration: Configuration;
  /** Ticks without a leader before an election; randomized in [n, 2n). Default 10. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** Bytes of entries in one append message. */
  readonly maxMessageBytes: number;
  /** Bytes sent to one follower and not yet acknowledged. */
  readonly maxInflightBytes: number;
  /** Bytes of this leader's uncommitted tail; over it proposals are refused with OVERLOADED. */
  readonly maxUncommittedBytes: number;
  /** Bytes of entries handed out in one `Ready.committed`. */
  readonly maxCommittedBytes: number;
  /** Chunk size of snapshot transfer. */
  readonly snapshotChunkBytes: number;
  /** Goes into the entry that opens a leadership of this node. Opaque here: what all voters must take from the leader alone. */
  readonly leaderData: Uint8Array;
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  /** Who should rather lead: higher first, absent is 0. Orders successors; with {@link preempt} it also moves a healthy lead. */
  readonly priorities: ReadonlyMap<NodeId, number>;
  /** The leader hands over to a voter of higher priority once both have been steady for ten election timeouts. */
  readonly preempt: boolean;
  /**
   * Not null: a leader answers reads without asking anybody for `leaseMs` after a round of heartbeats that a quorum has
   * acknowledged. Needs checkQuorum, and clocks whose rates differ by less than what `leaseMs` stays below the election
   * timeout. A voter with a smaller value, or null, counts for no lease of this one. A whole number. Null: every read is
   * confirmed by a quorum.
   */
  readonly leaseReads: { readonly leaseMs: number } | null;
  /** Election timeouts without a durable batch, while one is outstanding, after which the disk counts as stalled. */
  readonly diskStallTimeouts: number;
}
