import { accepted, type NodeId, type Outcome, refused, compareIncarnations, incarnationText } from "#kernel";
import { firstOf, refuse } from "../check.ts";
import type { Operation } from "../command.ts";
import { NODES_LEVEL, needsLevel } from "../features.ts";
import type { Partition } from "../objects.ts";
import type { Reply } from "../reply.ts";
import { suspectSessions } from "../sessions/suspicion.ts";
import type { State } from "../state.ts";
import { checkIncarnation, checkNode, checkNodes, insertPartition, nodeOf, putNode } from "./records.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { readonly kind: K }>;

/**
 * A majority of the voters holds this incarnation for dead. It shortens leases to a grace and takes nothing away: flapping is
 * the normal case, and most claims that "dead means released" would have ended belonged to living nodes.
 */
export function nodeDown(state: State, { nodeId, incarnation, observedBy }: Of<"nodeDown">): Outcome<Reply> {
  const problem =
    checkNode(state, nodeId) ?? firstOf(checkIncarnation("incarnation", incarnation), checkNodes("observed_by", observedBy));
  if (problem !== null) return refused(problem);
  const node = nodeOf(state, nodeId);
  if (node.state === "EVICTED") return evicted(nodeId);
  const { refuted } = node;
  if (refuted !== null && compareIncarnations(incarnation, refuted) <= 0) {
    return refuse(
      "BAD_STATE",
      `${nodeId} was heard from after it was declared down at ${incarnationText(refuted)}`,
      "incarnation",
    );
  }
  const age = compareIncarnations(incarnation, node.incarnation);
  if (age < 0) {
    return refuse("BAD_STATE", `${nodeId} is known at incarnation ${incarnationText(node.incarnation)} already`, "incarnation");
  }
  if (node.state === "DOWN" && age === 0) return accepted({ kind: "node", node });
  const put = putNode(state, node, { state: "DOWN", incarnation }, { name: "NODE_DOWN", observedBy });
  if (put.ok) suspectSessions(state, nodeId);
  return put;
}

/** The node speaks under a newer incarnation. Its sessions stay as they are: gossip never extends a lease. */
export function nodeUp(state: State, { nodeId, incarnation, observedBy }: Of<"nodeUp">): Outcome<Reply> {
  const problem =
    checkNode(state, nodeId) ?? firstOf(checkIncarnation("incarnation", incarnation), checkNodes("observed_by", observedBy));
  if (problem !== null) return refused(problem);
  const node = nodeOf(state, nodeId);
  if (node.state === "EVICTED") return evicted(nodeId);
  if (node.state === "UP") return accepted({ kind: "node", node });
  if (compareIncarnations(incarnation, node.incarnation) <= 0) {
    return refuse("BAD_STATE", `${nodeId} is down at incarnation ${incarnationText(node.incarnation)}`, "incarnation");
  }
  return putNode(state, node, { state: "UP", incarnation }, { name: "NODE_RECOVERED", observedBy });
}

/** A session of the node was renewed or opened: no verdict up to this incarnation holds against that. */
export function heardFrom(state: State, nodeId: NodeId): void {
  const node = state.nodes.get(nodeId);
  if (node?.state !== "DOWN") return;
  putNode(state, node, { state: "UP", refuted: node.incarnation }, { name: "NODE_RECOVERED", reason: "its session is alive" });
}

export function partitionSuspected(state: State, { lost, observedBy }: Of<"partitionSuspected">): Outcome<Reply> {
  const problem =
    needsLevel(state, NODES_LEVEL, "partitions") ??
    firstOf(checkNodes("lost", lost, state.limits.maxNodes), checkNodes("observed_by", observedBy));
  if (problem !== null) return refused(problem);
  const sorted = [...new Set(lost)].toSorted();
  const known = state.partition;
  if (known?.state === "SUSPECTED" && sorted.join("\n") === known.lost.join("\n")) {
    return accepted({ kind: "partition", partition: known });
  }
  return putPartition(state, { state: "SUSPECTED", lost: sorted, observedBy });
}

export function partitionHealed(state: State, { observedBy }: Of<"partitionHealed">): Outcome<Reply> {
  const problem = needsLevel(state, NODES_LEVEL, "partitions") ?? checkNodes("observed_by", observedBy);
  if (problem !== null) return refused(problem);
  const known = state.partition;
  if (known === null) return refuse("NOT_FOUND", "no partition is suspected");
  if (known.state === "HEALED") return accepted({ kind: "partition", partition: known });
  return putPartition(state, { state: "HEALED", lost: known.lost, observedBy });
}

function putPartition(state: State, change: Pick<Partition, "state" | "lost" | "observedBy">): Outcome<Reply> {
  const known = state.partition;
  // The same cut in other words is no new cut.
  const since =
    known?.state === change.state
      ? { sinceMs: known.sinceMs, sinceWallMs: known.sinceWallMs }
      : { sinceMs: state.now, sinceWallMs: state.wall };
  const partition: Partition = {
    ...change,
    ...since,
    createRevision: known?.createRevision ?? state.revision,
    modRevision: state.revision,
    version: (known?.version ?? 0) + 1,
  };
  insertPartition(state, partition);
  state.emit("partition", "partition", { kind: "partition", value: partition });
  return accepted({ kind: "partition", partition });
}

export const evicted = (nodeId: NodeId): Outcome<never> =>
  refuse("BAD_STATE", `${nodeId} was forgotten by an operator; only an operator readmits it`, "node_id");
