import type { ClusterId, ClusterTimeMs, LogIndex, NodeId, Term } from "#kernel";
import type { Log, Timers } from "#ports";
import type { Administration, Replica } from "#replica";
import type { GrpcLimits } from "./limits.ts";

export interface GrpcApiOptions {
  readonly clusterId: ClusterId;
  /** This node. */
  readonly memberId: NodeId;
  readonly limits: GrpcLimits;
}

export interface MemberInfo {
  readonly nodeId: NodeId;
  /** `host:port` of its client port; "" when this node's configuration has no such host. */
  readonly clientAddress: string;
  readonly peerAddress: string;
  readonly voter: boolean;
  /** Joint configuration only: votes in the half that is being left. */
  readonly outgoing: boolean;
  readonly learner: boolean;
  readonly promoting: boolean;
  readonly leader: boolean;
  /** What the leader knows of it; null on other nodes. */
  readonly progress: {
    readonly matchIndex: LogIndex;
    readonly lagEntries: number;
    /** "" for the leader itself. */
    readonly state: "probe" | "replicate" | "snapshot" | "";
    readonly recentlyActive: boolean;
  } | null;
}

export interface MembershipInfo {
  readonly members: readonly MemberInfo[];
  readonly configurationIndex: LogIndex;
  readonly configurationCommitted: boolean;
}

export interface NodeStatusInfo {
  readonly role: string;
  readonly term: Term;
  readonly leaderId: NodeId | null;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly electionCount: number;
  readonly clusterTimeMs: ClusterTimeMs;
}

export interface GrpcApiDeps {
  readonly replica: Replica & Administration;
  readonly members: () => MembershipInfo;
  /** Has this node's configuration an address for it? */
  readonly knows: (nodeId: NodeId) => boolean;
  /** Bytes of a saved snapshot's file from `offset` on; rejects when it is gone. */
  readonly readSnapshot: (
    index: LogIndex,
    offset: number,
  ) => Promise<{ readonly bytes: Uint8Array; readonly totalBytes: number }>;
  readonly statusOf: () => NodeStatusInfo;
  readonly timers: Timers;
  readonly log: Log;
}
