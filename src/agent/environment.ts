import type { SessionId } from "#kernel";
import type { WorkItem } from "#statemachine";
import type { AgentConfig } from "./types.ts";

/** What a child is told about itself. It needs no more to open a client and to act under its own fencing token. */
export function environmentOf(config: AgentConfig, item: WorkItem, sessionId: SessionId): Record<string, string> {
  return {
    RINGRAFT_WORK_ID: item.workId,
    RINGRAFT_FENCING_TOKEN: String(item.claim?.fencingToken ?? 0),
    // Attempts are charged when they end: the one that runs now is the next.
    RINGRAFT_ATTEMPT: String(item.attempt + 1),
    RINGRAFT_JOB_ID: item.spec.jobId ?? "",
    RINGRAFT_QUEUE: item.spec.queue,
    RINGRAFT_KIND: item.spec.kind,
    RINGRAFT_PAYLOAD_URI: item.spec.payloadUri,
    RINGRAFT_NODE_ID: config.nodeId,
    RINGRAFT_SESSION_ID: sessionId,
    RINGRAFT_ENDPOINTS: config.endpoints.join(","),
    RINGRAFT_CLUSTER_ID: config.clusterId ?? "",
  };
}
