import { nodeFromProto, nodeSummaryFromProto, partitionFromProto } from "#codec";
import type { ClusterNode } from "#statemachine";
import type { Response } from "#gen/ringraft/v1/stream.js";
import { body, present } from "./answers.ts";
import { type Requester, asksLeader, freshness } from "./requester.ts";
import type { NodeApi, NodeList } from "./types.ts";

export function nodeApi(requester: Requester): NodeApi {
  return {
    list: (options) =>
      requester.read({ oneofKind: "listNodes", listNodes: { read: freshness(options) } }, listOf, options, asksLeader(options)),
    setScheduling: (nodeId, scheduling, { reason = "", by = "", ...options } = {}) =>
      requester.writeRepeatable({ kind: "setNodeScheduling", nodeId, scheduling, reason, by }, nodeOf, options),
    forget: (nodeId, barrier, { reason = "", by = "", ...options } = {}) =>
      requester.writeRepeatable({ kind: "forgetNode", nodeId, barrier, reason, by }, nodeOf, options),
    readmit: (nodeId, { reason = "", by = "", ...options } = {}) =>
      requester.write({ kind: "readmitNode", nodeId, reason, by }, nodeOf, options),
  };
}

function listOf(response: Response): NodeList {
  const { nodes, partition, featureLevel } = body(response, "nodeList").nodeList;
  return {
    nodes: nodes.map(nodeSummaryFromProto),
    partition: partition === undefined ? null : partitionFromProto(partition),
    featureLevel,
  };
}

const nodeOf = (response: Response): ClusterNode => nodeFromProto(present(body(response, "node").node.node, "node"));
