import { completeWorkSpec } from "#codec";
import { NodeId, type SessionId } from "#kernel";
import { type Operation, emptyCapabilities } from "#statemachine";
import { type TestCluster, type TestNode, ask, replyOf } from "../consensus/cluster.ts";

export const enqueue = (queue = "q", payload = ""): Operation => ({
  kind: "enqueueWork",
  spec: completeWorkSpec({ kind: "test", queue, payload }),
});

export const claim = (queue = "q", maxItems = 1): Operation => ({ kind: "claimWork", workerId: "w", queues: [queue], maxItems });

export const acquire = (name: string, waitTimeoutMs = 0): Operation => ({
  kind: "acquireLock",
  name,
  wait: true,
  waitTimeoutMs,
  lockDelayMs: 0,
  purpose: "test",
});

export async function openSession(cluster: TestCluster, node: TestNode, ttlMs = 10_000): Promise<SessionId> {
  const asked = ask(node, {
    kind: "openSession",
    nodeId: NodeId("worker"),
    incarnation: 1,
    principal: "somebody else",
    purpose: "test",
    ttlMs,
    capabilities: emptyCapabilities,
  });
  await cluster.until(() => asked.answers.length > 0);
  const reply = replyOf(asked);
  if (reply.kind !== "session") throw new Error(`expected a session, got ${reply.kind}`);
  return reply.session.sessionId;
}
