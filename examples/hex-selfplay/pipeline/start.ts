import type { Client } from "../client.ts";
import { DEFAULT_COORDINATION, type CoordinatorPayload } from "./coordinator.ts";
import { BOARD } from "../game/board.ts";
import { KINDS, QUEUE } from "./work-kinds.ts";

/**
 * Enqueues the coordinator, unless one is queued or running already. Safe to repeat at every start of the cluster: the
 * coordinator continues from the jobs that exist.
 */
export async function startPipeline(
  client: Client,
  options: Partial<CoordinatorPayload> = {},
): Promise<{ readonly workId: string; readonly alreadyThere: boolean }> {
  const { item, deduplicated } = await client.work.enqueue({
    kind: KINDS.coordinate,
    queue: QUEUE,
    payload: JSON.stringify({ ...DEFAULT_COORDINATION, ...options }),
    uniqueKey: `${KINDS.coordinate}/${BOARD}`,
    heartbeatTimeoutMs: 60_000,
    maxAttempts: 1_000,
    maxLosses: 1_000,
    backoff: { initialMs: 1_000, maxMs: 10_000 },
    priority: 10,
    createdBy: "hex-selfplay",
  });
  return { workId: item.workId, alreadyThere: deduplicated };
}
