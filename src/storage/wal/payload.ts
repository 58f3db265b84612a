import { ClusterId, ClusterTimeMs, LogIndex, NodeId, Term, WallTimeMs } from "#kernel";
import { type HardState, LayoutError, type SnapshotMeta, decodeConfiguration, encodeConfiguration } from "#raft";
import { asBuffer, readSafeInteger, writeSafeInteger } from "./format.ts";

/** Payloads of the rarer records. An entry's payload is the layout of `#raft`. All decoders throw {@link LayoutError}. */

/** Term u64, then one byte 0 (no vote) or 1 and the name. */
export function encodeHardState({ term, votedFor }: HardState): Uint8Array {
  const name = Buffer.from(votedFor ?? "", "utf8");
  const bytes = Buffer.alloc(9 + name.length);
  writeSafeInteger(bytes, 0, term);
  bytes[8] = votedFor === null ? 0 : 1;
  name.copy(bytes, 9);
  return bytes;
}

export function decodeHardState(payload: Uint8Array): HardState {
  const bytes = sized(payload, 9, "hard state");
  return { term: Term(readSafeInteger(bytes, 0)), votedFor: bytes[8] === 0 ? null : NodeId(bytes.toString("utf8", 9)) };
}

/** Index, term, cluster time and wall time u64 each, then the configuration. */
export function encodeSnapshotMeta(meta: SnapshotMeta): Uint8Array {
  const configuration = encodeConfiguration(meta.configuration);
  const bytes = Buffer.alloc(32 + configuration.length);
  writeSafeInteger(bytes, 0, meta.index);
  writeSafeInteger(bytes, 8, meta.term);
  writeSafeInteger(bytes, 16, meta.clusterTimeMs);
  writeSafeInteger(bytes, 24, meta.wallTimeMs);
  bytes.set(configuration, 32);
  return bytes;
}

export function decodeSnapshotMeta(payload: Uint8Array): SnapshotMeta {
  const bytes = sized(payload, 32, "snapshot meta");
  return {
    index: LogIndex(readSafeInteger(bytes, 0)),
    term: Term(readSafeInteger(bytes, 8)),
    clusterTimeMs: ClusterTimeMs(readSafeInteger(bytes, 16)),
    wallTimeMs: WallTimeMs(readSafeInteger(bytes, 24)),
    configuration: decodeConfiguration(bytes.subarray(32)),
  };
}

/** The first index that is forgotten. */
export function encodeTruncateMark(from: LogIndex): Uint8Array {
  const bytes = Buffer.alloc(8);
  writeSafeInteger(bytes, 0, from);
  return bytes;
}

export function decodeTruncateMark(payload: Uint8Array): LogIndex {
  return LogIndex(readSafeInteger(sized(payload, 8, "truncate mark"), 0));
}

export function encodeSuspicion(suspect: boolean): Uint8Array {
  return Uint8Array.of(suspect ? 1 : 0);
}

export function decodeSuspicion(payload: Uint8Array): boolean {
  return sized(payload, 1, "suspicion")[0] === 1;
}

export interface ClusterMeta {
  readonly clusterId: ClusterId;
  readonly nodeId: NodeId;
}

/** Both names in full, for messages and tools: the segment header has only hashes. */
export function encodeClusterMeta({ clusterId, nodeId }: ClusterMeta): Uint8Array {
  return Buffer.from(`${clusterId}\0${nodeId}`, "utf8");
}

export function decodeClusterMeta(payload: Uint8Array): ClusterMeta {
  const [clusterId = "", nodeId = ""] = asBuffer(payload).toString("utf8").split("\0");
  return { clusterId: ClusterId(clusterId), nodeId: NodeId(nodeId) };
}

function sized(payload: Uint8Array, least: number, what: string): Buffer {
  if (payload.length < least) throw new LayoutError(`a ${what} has at least ${least} bytes, got ${payload.length}`);
  return asBuffer(payload);
}
