import { connect } from "#client";
import type { WorkItem } from "#statemachine";
import { leaderOf, localVoters, startVoter } from "../local-voters.ts";
import type { System } from "./load.ts";
import { ProcessGroup } from "./processes.ts";

/**
 * - `progress`: each caller reports progress of its own running work item. Like etcd's put: one object, overwritten.
 * - `enqueue`: each call makes a new work item, with all of its indexes.
 *
 * Both ask for the brief answer, as etcd's put and the floor do, which answer without the value.
 */
export type BenchCommand = "progress" | "enqueue";

/** What the envelope of a command takes (session, sequence, ids, tags), measured with the encoder; the rest is payload. */
const ENVELOPE_BYTES = 48;

/** Three real voters with fsync, and one client session that all callers share. */
export async function startRingraft(commandBytes: number, command: BenchCommand, callers: number): Promise<System> {
  const group = new ProcessGroup();
  const layout = await localVoters(group, 3);
  for (const node of layout.nodes) startVoter(group, layout, node.name);
  await leaderOf(layout);
  const client = connect({ endpoints: layout.endpoints, timeoutMs: 30_000 });
  const session = await client.openSession({ purpose: "benchmark", ttlMs: 60_000, capabilities: anyCapabilities });
  const text = "a".repeat(commandBytes - ENVELOPE_BYTES);
  const commitOne =
    command === "enqueue"
      ? () => session.work.brief.enqueue({ kind: "bench", queue: "bench", payload: text })
      : await progressOf(session, callers, text);
  return {
    name: "ringraft",
    commit: commitOne,
    close: async () => {
      await client.close();
      await group.stop();
    },
  };
}

type Session = Awaited<ReturnType<ReturnType<typeof connect>["openSession"]>>;

/** Every caller gets a running item of its own, whose progress it reports. */
export async function progressOf(session: Session, callers: number, text: string): Promise<(caller: number) => Promise<unknown>> {
  await Promise.all(Array.from({ length: callers }, () => session.work.enqueue({ kind: "bench", queue: "bench" })));
  const items: WorkItem[] = [];
  while (items.length < callers) {
    items.push(...(await session.work.claim({ workerId: "bench", queues: ["bench"], maxItems: 64 })));
  }
  await Promise.all(items.map((item) => session.work.start(item.workId, item.claim!.fencingToken)));
  return (caller) => {
    const item = items[caller]!;
    return session.work.brief.progress(item.workId, item.claim!.fencingToken, { percent: 50, step: "", message: text });
  };
}

export const anyCapabilities = {
  gpuCount: 0,
  gpuMemoryMib: 0,
  cpu: 1,
  memoryMib: 0,
  diskMib: 0,
  gpuModel: "",
  cuda: 0,
  labels: {},
};
