import type { ClusterId, LogIndex, NodeId, Term } from "#kernel";

/** One look at a node, taken a few times a second: the status page, the metrics and the health clauses all read this one value. */
export interface NodeView {
  readonly nodeId: NodeId;
  readonly clusterId: ClusterId | null;
  readonly version: string;
  readonly role: "leader" | "follower" | "candidate" | "preCandidate" | "worker";
  readonly leaderId: NodeId | null;
  /** Null on workers, which have no log; a worker knows its leader from its client. */
  readonly raft: RaftView | null;
  readonly voters: readonly VoterView[];
  /** Members that the detector holds alive or suspect; without one: voters with a live stream, plus open sessions. This node included. */
  readonly alivePeers: number;
  /** Nodes under `hosts`. */
  readonly totalPeers: number;
  /** Replicated state; null on workers. */
  readonly state: StateView | null;
}

export interface RaftView {
  readonly term: Term;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  /** Elections this node started or voted in since it came up. */
  readonly electionCount: number;
  /** The log may have lost an acknowledged batch: this voter counts for nothing until a leader has caught it up. */
  readonly suspect: boolean;
  /** False when no configuration that counts names this node: it was removed, or is not added yet. */
  readonly isMember: boolean;
  readonly disk: DiskView;
  /** Voters whose states differ after the same entries; null while all agree. */
  readonly divergence: DivergenceView | null;
  /** Voters that refuse this node because of its data directory, each with its reason. */
  readonly directoryRefusedBy: readonly string[];
  /** Since the start. */
  readonly snapshotFailures: number;
  /** Since the start: entries that this node has proposed, as a leader, only to let time pass. */
  readonly clockEntries: number;
}

export interface DiskView {
  /** Null where the system does not tell. */
  readonly freeBytes: number | null;
  /** Commands are refused, before the log finds the disk full. */
  readonly isLow: boolean;
  readonly lowBytes: number;
}

export interface DivergenceView {
  readonly index: LogIndex;
  /** Those against whom a majority agrees; empty: nobody can tell. */
  readonly odd: readonly NodeId[];
  /** This node is one of them: it neither leads nor answers reads. */
  readonly quarantined: boolean;
}

export interface VoterView {
  readonly name: NodeId;
  /** Null where this node cannot tell (a worker). */
  readonly alive: boolean | null;
  /** Known to the leader only. */
  readonly matchIndex: LogIndex | null;
  /** Counts for nothing until a leader has caught it up. Known to itself and to the leader. */
  readonly suspect: boolean | null;
}

export interface StateView {
  /** queue → state → items. */
  readonly queues: ReadonlyMap<string, Readonly<Record<string, number>>>;
  readonly jobs: number;
  readonly sessions: number;
  readonly locks: { readonly held: number; readonly waiters: number };
  readonly models: readonly ModelView[];
  /** Nodes about which the log holds something. */
  readonly nodes: readonly CommittedNodeView[];
  /** Nodes that hold work or locks now. */
  readonly holders: readonly HolderView[];
  /** The side that the log holds for lost; null while it holds no partition suspected. */
  readonly partition: readonly NodeId[] | null;
}

export interface CommittedNodeView {
  readonly nodeId: NodeId;
  readonly state: string;
  readonly scheduling: string;
  readonly sinceWallMs: number;
  /** The name of what happened to it last. */
  readonly event: string | null;
  readonly sessions: number;
  readonly claims: number;
}

export interface HolderView {
  readonly nodeId: NodeId;
  /** Work items. */
  readonly claims: number;
  readonly locks: number;
}

export interface ModelView {
  readonly name: string;
  readonly versions: number;
  /** Version behind the alias `canonical`. */
  readonly canonical: number | null;
  /** Why it was promoted, in the words of whoever moved the alias. */
  readonly canonicalReason: string | null;
}

/** The votes of a cluster as operators count them: reachable (and not known as suspects), needed, configured. */
export interface Votes {
  /** Null where this node cannot tell. */
  readonly reachable: number | null;
  readonly needed: number;
  readonly total: number;
}

export function votesOf(view: NodeView): Votes {
  const { voters } = view;
  const told = voters.every((voter) => voter.alive !== null);
  return {
    reachable: told ? voters.filter(({ alive, suspect }) => alive === true && suspect !== true).length : null,
    needed: Math.floor(voters.length / 2) + 1,
    total: voters.length,
  };
}
