import type { ClusterId, ClusterTimeMs, LogIndex, NodeId, Term } from "#kernel";
import type { Log, Timers } from "#ports";
import type { Replica } from "#replica";
import type { GrpcLimits } from "./limits.ts";

export interface GrpcApiOptions {
  readonly clusterId: ClusterId;
  /** This node. */
  readonly memberId: NodeId;
  readonly limits: GrpcLimits;
}

export interface MemberInfo {
  readonly nodeId: NodeId;
  /** `host:port` of its client port. */
  readonly clientAddress: string;
  readonly voter: boolean;
  readonly leader: boolean;
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
  readonly replica: Replica;
  readonly members: () => readonly MemberInfo[];
  readonly statusOf: () => NodeStatusInfo;
  readonly timers: Timers;
  readonly log: Log;
}
