import type { Brand, MonotonicMs, NodeId, Outcome, Incarnation } from "#kernel";

/** Where datagrams and streams go: `203.0.113.7:8771`, IPv6 in brackets. Compared as text, so it is written in one way. */
export type Address = Brand<string, "Address">;
export const Address = (text: string): Address => text as Address;

/** A stream of this process, named by whoever opened it here: odd by the core (`open-stream`), even by the driver (inbound). */
export type StreamId = Brand<number, "StreamId">;
export const StreamId = (n: number): StreamId => n as StreamId;

/** Sum (mod 2^32) over the hashes of (id, epoch, counter, state) of every alive and suspect member, the node itself included. */
export type Digest = Brand<number, "Digest">;
export const Digest = (n: number): Digest => n as Digest;

/** u32 over the options that all members must share; two different ones in a cluster are a `profile-mismatch`. */
export type ProfileHash = Brand<number, "ProfileHash">;
export const ProfileHash = (n: number): ProfileHash => n as ProfileHash;

/** u32 over the list of voters in a node's configuration; never 0. Two different ones in a cluster are a `voters-mismatch`. */
export type VotersHash = Brand<number, "VotersHash">;
export const VotersHash = (n: number): VotersHash => n as VotersHash;

/**
 * - `dead`: declared by others; comes back with a higher incarnation.
 * - `left`: said goodbye itself (`accuser` is the member).
 * - `removed`: forgotten by the operator, and only the operator lets it back in.
 */
export type MemberState = "alive" | "suspect" | "dead" | "left" | "removed";

/** The way to a member, kept apart from its state: datagrams reach it, only streams do, or only a relay's stream does. */
export type Reach = "direct" | "stream" | "relay";

/** At most 512 bytes encoded. */
export interface Metadata {
  readonly role: string;
  readonly provider: string;
  readonly capabilities: readonly string[];
  readonly version: string;
  /** The process answers but its main thread is late. */
  readonly degraded: boolean;
  /**
   * The gossip keys that it has installed, the one that it seals with first; each named by the first four bytes of its
   * fingerprint. So a rotation sees whom it has reached, behind a NAT too. Empty: it does not tell.
   */
  readonly keys: readonly number[];
  /** Of the voters in its configuration, as it was read at its start: the log may have others by now. Null: it does not tell. */
  readonly voters: VotersHash | null;
}

/** What travels about a member, and what is kept of it. */
export interface MemberRecord {
  readonly id: NodeId;
  readonly incarnation: Incarnation;
  readonly state: MemberState;
  /** In the member's own order of preference. */
  readonly addresses: readonly Address[];
  /** How the member itself says it is reached. */
  readonly reach: Reach;
  /** Members that hold an outbound stream of this one, best first; empty for `direct`. */
  readonly relays: readonly NodeId[];
  readonly metadata: Metadata;
  /** Who says `suspect` or `dead`; equals `id` for `left`; null for `alive`. */
  readonly accuser: NodeId | null;
}

/** A place to ask at the start, and for ever after when nobody else is left. The id may be unknown (a DNS name's address). */
export interface Seed {
  readonly id: NodeId | null;
  readonly addresses: readonly Address[];
}

export type Transmission =
  | { readonly kind: "datagram"; readonly to: Address; readonly bytes: Uint8Array }
  | { readonly kind: "open-stream"; readonly stream: StreamId; readonly to: Address; readonly timeoutMs: number }
  | { readonly kind: "stream-bytes"; readonly stream: StreamId; readonly bytes: Uint8Array }
  | { readonly kind: "close-stream"; readonly stream: StreamId };

export type SwimCommand =
  /** Replaces the seeds and starts to join through them. */
  | { readonly kind: "join"; readonly seeds: readonly Seed[] }
  /** `failed`: falls silent without a goodbye, so that the others declare this node dead. */
  | { readonly kind: "leave"; readonly as: "left" | "failed" }
  | { readonly kind: "set-metadata"; readonly metadata: Metadata }
  | { readonly kind: "set-addresses"; readonly addresses: readonly Address[] }
  /** The operator's word that a member is gone for good, with the barrier that whoever proposed it drew (`removalBarrier`). */
  | { readonly kind: "forget"; readonly member: NodeId; readonly barrier: Incarnation }
  /** Takes a removal back: the member may come in again by itself. */
  | { readonly kind: "readmit"; readonly member: NodeId }
  | { readonly kind: "install-key"; readonly key: Uint8Array }
  | { readonly kind: "use-key"; readonly key: Uint8Array }
  | { readonly kind: "remove-key"; readonly key: Uint8Array }
  /** How late the driver's event loop was; feeds the awareness. */
  | { readonly kind: "report-lag"; readonly lagMs: number }
  /** Members known from an earlier life (the snapshot). They are asked for, not believed to be alive. */
  | { readonly kind: "recall"; readonly members: readonly MemberRecord[] };

/** Why a packet or frame was thrown away. Counted, and given as an event at most once a second for each reason. */
export type RejectReason =
  | "too-short"
  | "too-long"
  | "version"
  | "label"
  | "source-budget"
  | "unknown-key"
  | "forged"
  | "replayed"
  | "malformed"
  | "not-allowed"
  | "wrong-target"
  | "implausible";

export type SwimEvent =
  | { readonly kind: "join-completed"; readonly through: NodeId }
  | { readonly kind: "joined"; readonly member: MemberRecord }
  | { readonly kind: "suspected"; readonly member: MemberRecord }
  | { readonly kind: "refuted"; readonly member: MemberRecord }
  | { readonly kind: "died"; readonly member: MemberRecord }
  /** Alive again after dead, left or removed. */
  | { readonly kind: "recovered"; readonly member: MemberRecord }
  | { readonly kind: "left"; readonly member: MemberRecord }
  | { readonly kind: "removed"; readonly member: MemberRecord }
  | { readonly kind: "address-changed"; readonly member: MemberRecord; readonly before: readonly Address[] }
  | { readonly kind: "metadata-changed"; readonly member: MemberRecord }
  | { readonly kind: "path-changed"; readonly id: NodeId; readonly before: Reach; readonly now: Reach }
  /** Two processes claim one id. The one that does not survive falls silent until the other is gone. */
  | {
      readonly kind: "conflict";
      readonly id: NodeId;
      readonly ours: readonly Address[];
      readonly theirs: readonly Address[];
      readonly survives: boolean;
    }
  /** It died and came back too often of late; or it has been calm for long enough since. */
  | { readonly kind: "flapping"; readonly id: NodeId; readonly is: "begun" | "over"; readonly flapsPerHour: number }
  /** `maxMembers` are known, and this one is not taken. Told once until there is room again. */
  | { readonly kind: "members-full"; readonly refused: NodeId; readonly maxMembers: number }
  | { readonly kind: "profile-mismatch"; readonly peer: NodeId; readonly ours: ProfileHash; readonly theirs: ProfileHash }
  /** A member's configuration lists other voters than ours. Told once for each other list, of whoever shows it first. */
  | { readonly kind: "voters-mismatch"; readonly peer: NodeId; readonly ours: VotersHash; readonly theirs: VotersHash }
  /** To be made durable: a later boot must start with a higher epoch. */
  | { readonly kind: "persist-incarnation"; readonly incarnation: Incarnation }
  /** The address at which a peer sees this node (its NAT's, perhaps). */
  | { readonly kind: "observed-address"; readonly address: Address }
  | { readonly kind: "health-changed"; readonly multiplier: number }
  | { readonly kind: "partition-suspected"; readonly lost: readonly NodeId[] }
  | { readonly kind: "partition-healed" }
  | { readonly kind: "rejected"; readonly reason: RejectReason; readonly from: Address | null }
  /** A state that the contract rules out was met and put right. `what` names it. */
  | { readonly kind: "self-healed"; readonly what: string };

/**
 * Where this node stands. `conflicted`: another process holds the id. `removed`: the operator took it out. In both it is no
 * member and only asks, now and then, whether it may be one again; then it begins another life by itself.
 */
export type Lifecycle = "alone" | "joining" | "joined" | "leaving" | "left" | "conflicted" | "removed";

export interface MemberView {
  readonly record: MemberRecord;
  readonly since: MonotonicMs;
  /** The path as seen from here. */
  readonly reach: Reach;
  readonly rttMs: number | null;
  readonly flapsPerHour: number;
  readonly isFlapping: boolean;
  readonly heardAt: MonotonicMs | null;
}

/** This node's view. One node's, not the cluster's: `agreeing` of the `sampled` peers heard lately hold the same digest. */
export interface MembershipView {
  readonly at: MonotonicMs;
  readonly lifecycle: Lifecycle;
  readonly self: MemberRecord;
  /** Everyone known, this node included, the tombstones too; ordered by id. */
  readonly members: readonly MemberView[];
  readonly digest: Digest;
  /** Distinct peers heard within the last four periods, and how many of them hold our digest. */
  readonly sampled: number;
  readonly agreeing: number;
  /** 1 is healthy; the period and the probe timeout are multiplied by it. */
  readonly healthMultiplier: number;
  /** When the youngest suspicion began, or null. */
  readonly youngestSuspicion: MonotonicMs | null;
  /** Members that died nearly at once, when that looks like a cut network rather than like crashes; else null. */
  readonly partition: readonly NodeId[] | null;
  /** Members present whose packets name other shared numbers ({@link ProfileHash}) than ours. */
  readonly mismatched: readonly NodeId[];
  /** Members present whose configuration lists other voters ({@link VotersHash}) than ours. A hint for people: nothing is decided by it. */
  readonly otherVoters: readonly NodeId[];
  readonly counters: SwimCounters;
}

export interface SwimCounters {
  readonly datagramsSent: number;
  readonly datagramsReceived: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly probes: number;
  readonly failedProbes: number;
  readonly indirectAcks: number;
  readonly nacks: number;
  readonly streamAcks: number;
  readonly suspicionsRefuted: number;
  readonly pushPulls: number;
  readonly repairs: number;
  readonly selfHealed: number;
  /** Words about unknown members that were not taken because `maxMembers` are known. */
  readonly refusedFull: number;
  /** Messages passed over because only a newer version knows their kind. */
  readonly unknownMessages: number;
  readonly rejected: Readonly<Record<RejectReason, number>>;
}

/**
 * SWIM with Lifeguard as a polled machine: inputs carry `now`, outputs are taken. It never throws for what others send.
 * The driver calls `handleTimeout` once `now ≥ nextDeadline`; late is fine, but it reads its sockets first: a verdict
 * that is overdue by more than the slack waits for one more call, so that an ack already in the kernel counts.
 */
export interface SwimCore {
  handleDatagram(now: MonotonicMs, from: Address, bytes: Uint8Array): void;
  /** An inbound stream, or an own `open-stream` that succeeded. */
  handleStreamOpened(now: MonotonicMs, stream: StreamId, from: Address): void;
  handleStreamBytes(now: MonotonicMs, stream: StreamId, bytes: Uint8Array): void;
  /** `failed`: it was never opened, or broke. */
  handleStreamClosed(now: MonotonicMs, stream: StreamId, failed: boolean): void;
  handleTimeout(now: MonotonicMs): void;
  command(now: MonotonicMs, command: SwimCommand): Outcome<void>;
  takeTransmissions(): readonly Transmission[];
  takeEvents(): readonly SwimEvent[];
  readonly nextDeadline: MonotonicMs | null;
  /** Members held alive or suspect, this node included: what a view would count, for the price of a sum. */
  readonly present: number;
  /** As in the view, which is dear where there are thousands. The counters go on counting. */
  readonly digest: Digest;
  readonly counters: SwimCounters;
  /** What is held of one member, this node itself included; null: nothing. */
  record(id: NodeId): MemberRecord | null;
  view(now: MonotonicMs): MembershipView;
}
