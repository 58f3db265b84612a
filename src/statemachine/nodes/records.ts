import {
  accepted,
  type ClusterTimeMs,
  NO_INDEX,
  type NodeId,
  type Outcome,
  type Refusal,
  type WallTimeMs,
  type Incarnation,
} from "#kernel";
import { checkCount, checkName, firstOf, invalid, refuse } from "../check.ts";
import { NODES_LEVEL, needsLevel } from "../features.ts";
import { fixedLimits } from "../limits.ts";
import type { ClusterNode, NodeEvent, NodeSummary, Partition } from "../objects.ts";
import type { State } from "../state.ts";

/** The node's record, or what stands for it while there is none. */
export function nodeOf(state: State, nodeId: NodeId): ClusterNode {
  return state.nodes.get(nodeId) ?? { ...blank, nodeId };
}

/** Replaces the record (makes it, the first time), and says what happened. */
export function putNode(
  state: State,
  node: ClusterNode,
  changes: Partial<Pick<ClusterNode, "state" | "scheduling" | "incarnation" | "refuted">>,
  event: Pick<NodeEvent, "name"> & Partial<NodeEvent>,
): Outcome<{ readonly kind: "node"; readonly node: ClusterNode }> {
  const known = state.nodes.get(node.nodeId);
  if (known === undefined && state.nodes.size >= state.limits.maxNodes) {
    return refuse("QUOTA_EXCEEDED", `${state.nodes.size} nodes have records, which is the limit`, "node_id");
  }
  const isNewState = known === undefined || (changes.state !== undefined && changes.state !== node.state);
  const next: ClusterNode = {
    ...node,
    ...changes,
    ...(isNewState ? { sinceMs: state.now, sinceWallMs: state.wall } : {}),
    lastEvent: { reason: "", by: "", observedBy: [], ...event, revision: state.revision, atMs: state.now, wallMs: state.wall },
    createRevision: known?.createRevision ?? state.revision,
    modRevision: state.revision,
    version: node.version + 1,
  };
  if (known !== undefined) state.digest.remove({ kind: "node", value: known });
  insertNode(state, next);
  state.emit("node", next.nodeId, { kind: "node", value: next });
  return accepted({ kind: "node", node: next });
}

export function insertNode(state: State, node: ClusterNode): void {
  state.nodes.set(node.nodeId, node);
  state.digest.add({ kind: "node", value: node });
}

export function insertPartition(state: State, partition: Partition): void {
  if (state.partition !== null) state.digest.remove({ kind: "partition", value: state.partition });
  state.partition = partition;
  state.digest.add({ kind: "partition", value: partition });
}

export function listNodes(state: State): readonly NodeSummary[] {
  const held = new Map([...state.nodes.keys()].map((nodeId) => [nodeId, { sessions: 0, claims: 0 }]));
  for (const { session, claims } of state.sessions.values()) {
    const counts = held.get(session.nodeId) ?? { sessions: 0, claims: 0 };
    held.set(session.nodeId, { sessions: counts.sessions + 1, claims: counts.claims + claims.size });
  }
  return [...held]
    .map(([nodeId, counts]) => ({ node: nodeOf(state, nodeId), ...counts }))
    .toSorted((a, b) => (a.node.nodeId < b.node.nodeId ? -1 : 1));
}

/** What every command about a node must pass. */
export function checkNode(state: State, nodeId: NodeId): Refusal | null {
  return needsLevel(state, NODES_LEVEL, "nodes") ?? checkName("node_id", nodeId);
}

export function checkIncarnation(field: string, { epoch, counter }: Incarnation): Refusal | null {
  return firstOf(checkCount(`${field}.epoch`, epoch, 0, 0xffff_ffff), checkCount(`${field}.counter`, counter, 0, 0xffff_ffff));
}

export function checkNodes(field: string, nodes: readonly NodeId[], most: number = fixedLimits.listEntries): Refusal | null {
  if (nodes.length === 0) return invalid(field, "must name at least one node");
  if (nodes.length > most) return invalid(field, `has more than ${most} entries`);
  return firstOf(...nodes.map((node) => checkName(field, node)));
}

const blank: Omit<ClusterNode, "nodeId"> = {
  state: "UP",
  scheduling: "OPEN",
  incarnation: { epoch: 0, counter: 0 },
  refuted: null,
  sinceMs: 0 as ClusterTimeMs,
  sinceWallMs: 0 as WallTimeMs,
  lastEvent: null,
  createRevision: NO_INDEX,
  modRevision: NO_INDEX,
  version: 0,
};
