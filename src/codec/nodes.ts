import { type ClusterTimeMs, NodeId, type Revision, type WallTimeMs, assertNever, type Incarnation } from "#kernel";
import type { ClusterNode, NodeEvent, NodeEventName, NodeSummary, Operation, OperationKind, Partition } from "#statemachine";
import type { Command as CommandMessage } from "#gen/ringraft/v1/command.js";
import type {
  Incarnation as IncarnationMessage,
  NodeEvent as EventMessage,
  Node as NodeMessage,
  NodeSummary as SummaryMessage,
  Partition as PartitionMessage,
} from "#gen/ringraft/v1/node.js";
import { count, invalid, name, optionalName, text } from "./checks.ts";
import { nodeSchedulings, nodeStates } from "./enums.ts";
import { codecLimits } from "./limits.ts";
import { WireError } from "./wire-reader.ts";

type NodeOperationKind = Extract<
  OperationKind,
  | "setNodeScheduling"
  | "forgetNode"
  | "readmitNode"
  | "nodeDown"
  | "nodeUp"
  | "partitionSuspected"
  | "partitionHealed"
  | "raiseFeatureLevel"
>;
export type NodeOperation = Extract<Operation, { readonly kind: NodeOperationKind }>;
export type NodeOperationMessage = Extract<CommandMessage["operation"], { oneofKind: NodeOperationKind }>;

export function nodeOperationToProto(operation: NodeOperation): NodeOperationMessage {
  switch (operation.kind) {
    case "setNodeScheduling": {
      const { nodeId, scheduling, reason, by } = operation;
      const message = { nodeId, scheduling: nodeSchedulings.code(scheduling), reason, by };
      return { oneofKind: "setNodeScheduling", setNodeScheduling: message };
    }
    case "forgetNode":
      return { oneofKind: "forgetNode", forgetNode: operation };
    case "readmitNode":
      return { oneofKind: "readmitNode", readmitNode: operation };
    case "nodeDown":
      return { oneofKind: "nodeDown", nodeDown: { ...operation, observedBy: [...operation.observedBy] } };
    case "nodeUp":
      return { oneofKind: "nodeUp", nodeUp: { ...operation, observedBy: [...operation.observedBy] } };
    case "partitionSuspected": {
      const { lost, observedBy } = operation;
      return { oneofKind: "partitionSuspected", partitionSuspected: { lost: [...lost], observedBy: [...observedBy] } };
    }
    case "partitionHealed":
      return { oneofKind: "partitionHealed", partitionHealed: { lost: [], observedBy: [...operation.observedBy] } };
    case "raiseFeatureLevel":
      return { oneofKind: "raiseFeatureLevel", raiseFeatureLevel: { level: operation.level } };
    default:
      return assertNever(operation, "operation");
  }
}

export function decodeNodeOperation(message: NodeOperationMessage): NodeOperation {
  switch (message.oneofKind) {
    case "setNodeScheduling": {
      const scheduling = nodeSchedulings.value(message.setNodeScheduling.scheduling);
      if (scheduling === null) throw invalid("", "scheduling", "is required: NODE_OPEN, NODE_CORDONED or NODE_DRAINING");
      return { kind: "setNodeScheduling", ...operatorWords(message.setNodeScheduling), scheduling };
    }
    case "forgetNode": {
      const { barrier } = message.forgetNode;
      return { kind: "forgetNode", ...operatorWords(message.forgetNode), barrier: incarnation(barrier, "barrier") };
    }
    case "readmitNode":
      return { kind: "readmitNode", ...operatorWords(message.readmitNode) };
    case "nodeDown":
      return { kind: "nodeDown", ...verdict(message.nodeDown) };
    case "nodeUp":
      return { kind: "nodeUp", ...verdict(message.nodeUp) };
    case "partitionSuspected": {
      const { lost, observedBy } = message.partitionSuspected;
      return { kind: "partitionSuspected", lost: nodes(lost, "lost"), observedBy: nodes(observedBy, "observed_by") };
    }
    case "partitionHealed":
      count(message.partitionHealed.lost.length, 0, 0, "", "lost");
      return { kind: "partitionHealed", observedBy: nodes(message.partitionHealed.observedBy, "observed_by") };
    case "raiseFeatureLevel":
      if (message.raiseFeatureLevel.level === 0) throw invalid("", "level", "is required, from 1");
      return { kind: "raiseFeatureLevel", level: message.raiseFeatureLevel.level };
    default:
      return assertNever(message, "operation");
  }
}

export function nodeToProto(node: ClusterNode): NodeMessage {
  const { refuted, lastEvent, ...rest } = node;
  const message: NodeMessage = {
    ...rest,
    state: nodeStates.code(node.state),
    scheduling: nodeSchedulings.code(node.scheduling),
  };
  if (refuted !== null) message.refuted = refuted;
  if (lastEvent !== null) message.lastEvent = { ...lastEvent, observedBy: [...lastEvent.observedBy] };
  return message;
}

export function nodeFromProto(message: NodeMessage): ClusterNode {
  const { refuted, lastEvent } = message;
  return {
    nodeId: NodeId(message.nodeId),
    state: nodeStates.expect(message.state),
    scheduling: nodeSchedulings.expect(message.scheduling),
    incarnation: message.incarnation ?? { epoch: 0, counter: 0 },
    refuted: refuted ?? null,
    sinceMs: message.sinceMs as ClusterTimeMs,
    sinceWallMs: message.sinceWallMs as WallTimeMs,
    lastEvent: lastEvent === undefined ? null : eventFromProto(lastEvent),
    ...versioned(message),
  };
}

export function nodeSummaryToProto({ node, sessions, claims }: NodeSummary): SummaryMessage {
  return { node: nodeToProto(node), sessions, claims };
}

export function nodeSummaryFromProto({ node, sessions, claims }: SummaryMessage): NodeSummary {
  if (node === undefined) throw new WireError("a node's summary has no node");
  return { node: nodeFromProto(node), sessions, claims };
}

export function partitionToProto({ state, lost, observedBy, ...rest }: Partition): PartitionMessage {
  return { ...rest, event: `PARTITION_${state}`, lost: [...lost], observedBy: [...observedBy] };
}

export function partitionFromProto(message: PartitionMessage): Partition {
  const { event, lost, observedBy, sinceMs, sinceWallMs } = message;
  if (event !== "PARTITION_SUSPECTED" && event !== "PARTITION_HEALED") throw unknown(event);
  return {
    state: event === "PARTITION_SUSPECTED" ? "SUSPECTED" : "HEALED",
    lost: lost.map(NodeId),
    observedBy: observedBy.map(NodeId),
    sinceMs: sinceMs as ClusterTimeMs,
    sinceWallMs: sinceWallMs as WallTimeMs,
    ...versioned(message),
  };
}

function operatorWords(request: { readonly nodeId: string; readonly reason: string; readonly by: string }) {
  return {
    nodeId: NodeId(name(request.nodeId, "", "node_id")),
    reason: text(request.reason, "", "reason"),
    by: optionalName(request.by, "", "by"),
  };
}

function verdict(message: {
  readonly nodeId: string;
  readonly incarnation?: IncarnationMessage;
  readonly observedBy: readonly string[];
}) {
  return {
    nodeId: NodeId(name(message.nodeId, "", "node_id")),
    incarnation: incarnation(message.incarnation, "incarnation"),
    observedBy: nodes(message.observedBy, "observed_by"),
  };
}

function incarnation(message: IncarnationMessage | undefined, field: string): Incarnation {
  if (message === undefined) throw invalid("", field, "is required");
  return { epoch: message.epoch, counter: message.counter };
}

function nodes(ids: readonly string[], field: string): readonly NodeId[] {
  count(ids.length, 1, codecLimits.maxNodesPerVerdict, "", field);
  return ids.map((id) => NodeId(name(id, "", field)));
}

function eventFromProto(message: EventMessage): NodeEvent {
  if (!Object.hasOwn(eventNames, message.name)) throw unknown(message.name);
  return {
    name: message.name as NodeEventName,
    revision: message.revision as Revision,
    atMs: message.atMs as ClusterTimeMs,
    wallMs: message.wallMs as WallTimeMs,
    reason: message.reason,
    by: message.by,
    observedBy: message.observedBy.map(NodeId),
  };
}

const eventNames = {
  NODE_DOWN: true,
  NODE_RECOVERED: true,
  NODE_EVICTED: true,
  NODE_READMITTED: true,
  NODE_CORDONED: true,
  NODE_UNCORDONED: true,
  NODE_DRAINING: true,
} as const satisfies Record<NodeEventName, true>;

const unknown = (event: string): WireError => new WireError(`the event "${event}" is not known to this version`);

function versioned(message: { readonly createRevision: number; readonly modRevision: number; readonly version: number }) {
  return {
    createRevision: message.createRevision as Revision,
    modRevision: message.modRevision as Revision,
    version: message.version,
  };
}
