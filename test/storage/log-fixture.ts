import { ClusterId, ClusterTimeMs, LogIndex, NodeId, Term, WallTimeMs } from "#kernel";
import type { Disk } from "#ports";
import { type Entry, type HardState, type SnapshotMeta, settledConfiguration } from "#raft";
import { type OpenedWal, type WalOptions, openWal } from "#storage";

export const CLUSTER = ClusterId("cluster-a");
export const NODE = NodeId("n1");
export const SEGMENT_BYTES = 4096;

export function open(disk: Disk, more: Partial<WalOptions> = {}): Promise<OpenedWal> {
  return openWal(disk, { clusterId: CLUSTER, nodeId: NODE, segmentBytes: SEGMENT_BYTES, ...more });
}

export function entry(index: number, term = 1, size = 40): Entry {
  return {
    term: Term(term),
    index: LogIndex(index),
    kind: "command",
    clusterTimeMs: ClusterTimeMs(index * 10),
    wallTimeMs: WallTimeMs(1_700_000_000_000 + index),
    data: Uint8Array.from({ length: size }, (_, i) => (index * 31 + term * 7 + i) & 0xff),
  };
}

export function entries(from: number, to: number, term = 1, size = 40): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, term, size));
}

export const vote = (term: number, votedFor: string | null = "n2"): HardState => ({
  term: Term(term),
  votedFor: votedFor === null ? null : NodeId(votedFor),
});

export function snapshotAt(index: number, term = 1): SnapshotMeta {
  return {
    index: LogIndex(index),
    term: Term(term),
    clusterTimeMs: ClusterTimeMs(index * 10),
    wallTimeMs: WallTimeMs(1_700_000_000_000 + index),
    configuration: settledConfiguration(["n1", "n2", "n3"].map(NodeId)),
  };
}
