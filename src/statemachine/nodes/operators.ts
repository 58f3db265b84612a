import { accepted, type Outcome, refused, compareIncarnations, incarnationText } from "#kernel";
import { checkText, firstOf, refuse } from "../check.ts";
import type { Operation } from "../command.ts";
import { fixedLimits } from "../limits.ts";
import type { NodeEventName, NodeScheduling } from "../objects.ts";
import type { Reply } from "../reply.ts";
import type { State } from "../state.ts";
import { checkIncarnation, checkNode, nodeOf, putNode } from "./records.ts";
import { evicted } from "./verdicts.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { readonly kind: K }>;

/** Cordon, drain, uncordon. Also of a node that nobody has met yet, so that it may be cordoned before it starts. */
export function setNodeScheduling(state: State, request: Of<"setNodeScheduling">): Outcome<Reply> {
  const { nodeId, scheduling, reason, by } = request;
  const problem = checkNode(state, nodeId) ?? checkWords(request);
  if (problem !== null) return refused(problem);
  const node = nodeOf(state, nodeId);
  if (node.state === "EVICTED") return evicted(nodeId);
  if (node.scheduling === scheduling) return accepted({ kind: "node", node });
  return putNode(state, node, { scheduling }, { name: schedulingEvents[scheduling], reason, by });
}

/** The node is gone for good. Refused while it has sessions: nothing is taken from a node that may still work. */
export function forgetNode(state: State, request: Of<"forgetNode">): Outcome<Reply> {
  const { nodeId, barrier, reason, by } = request;
  const problem = checkNode(state, nodeId) ?? firstOf(checkIncarnation("barrier", barrier), checkWords(request));
  if (problem !== null) return refused(problem);
  const node = nodeOf(state, nodeId);
  if (node.state === "EVICTED") return accepted({ kind: "node", node });
  const sessions = [...state.sessions.values()].filter(({ session }) => session.nodeId === nodeId);
  if (sessions.length > 0) {
    const { sessionId } = sessions[0]!.session;
    return refuse("BAD_STATE", `${nodeId} has ${sessions.length} session(s), ${sessionId} first: stop it, or wait`, "node_id");
  }
  if (compareIncarnations(barrier, node.incarnation) <= 0) {
    return refuse(
      "CONFLICT",
      `${nodeId} is known at incarnation ${incarnationText(node.incarnation)}: the barrier must be above`,
      "barrier",
    );
  }
  return putNode(
    state,
    node,
    { state: "EVICTED", scheduling: "OPEN", incarnation: barrier },
    { name: "NODE_EVICTED", reason, by },
  );
}

/** What was said of it up to the barrier stays refuted. */
export function readmitNode(state: State, request: Of<"readmitNode">): Outcome<Reply> {
  const { nodeId, reason, by } = request;
  const problem = checkNode(state, nodeId) ?? checkWords(request);
  if (problem !== null) return refused(problem);
  const node = nodeOf(state, nodeId);
  if (node.state !== "EVICTED") return refuse("BAD_STATE", `${nodeId} is ${node.state}, not forgotten`, "node_id");
  return putNode(state, node, { state: "UP", refuted: node.incarnation }, { name: "NODE_READMITTED", reason, by });
}

function checkWords({ reason, by }: { readonly reason: string; readonly by: string }) {
  return firstOf(checkText("reason", reason, fixedLimits.textBytes), checkText("by", by, fixedLimits.nameBytes));
}

const schedulingEvents: Readonly<Record<NodeScheduling, NodeEventName>> = {
  OPEN: "NODE_UNCORDONED",
  CORDONED: "NODE_CORDONED",
  DRAINING: "NODE_DRAINING",
};
