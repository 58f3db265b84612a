import { type NodeId, compareIncarnations } from "#kernel";
import type { SwimCommand } from "#membership/core";
import type { CommittedNode, Testimony } from "./evidence.ts";

export type Removal = Extract<SwimCommand, { readonly kind: "forget" | "readmit" }>;

/**
 * What this node's SWIM has to be told so that it holds for gone whom the log holds for gone, and lets in again whom the log
 * has readmitted. Every voter tells its own, all of them the same; gossip carries it to the others, however often.
 *
 * Voters apply the log at different times, and gossip may bring a word here before its entry. So a removal is taken back only
 * by a log that knows of that very removal, and none is repeated above which the member stands already (readmitted elsewhere).
 */
export function removalsOf(
  self: NodeId,
  nodes: ReadonlyMap<NodeId, CommittedNode>,
  { members }: Pick<Testimony, "members">,
): readonly Removal[] {
  return [...nodes].flatMap(([nodeId, { state, incarnation, refuted }]): readonly Removal[] => {
    const member = members.get(nodeId);
    if (member === undefined || nodeId === self) return [];
    if (state === "EVICTED") {
      const age = compareIncarnations(member.incarnation, incarnation);
      const isDone = age > 0 || (age === 0 && member.state === "removed");
      return isDone ? [] : [{ kind: "forget", member: nodeId, barrier: incarnation }];
    }
    const isTakenBack = member.state === "removed" && refuted !== null && compareIncarnations(member.incarnation, refuted) <= 0;
    return isTakenBack ? [{ kind: "readmit", member: nodeId }] : [];
  });
}
