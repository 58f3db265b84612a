import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, type ServiceError, credentials, status } from "@grpc/grpc-js";
import { decodeMessage, encodeMessage } from "#codec";
import { connect } from "#client";
import { LogIndex, type WorkId } from "#kernel";
import { GetWorkRequest, WorkResponse } from "#gen/ringraft/v1/work.js";
import { RealCluster } from "./real-cluster.ts";

test(
  "a follower's own door answers linearizable reads of what the leader has just acknowledged, and min_revision once it has it",
  { timeout: 90_000 },
  async (t) => {
    const cluster = await RealCluster.start({ voters: 3, workers: 0 });
    const doors: Client[] = [];
    t.after(async () => {
      for (const door of doors) door.close();
      await cluster.stop();
    });
    const leader = await cluster.leader();
    const [follower, other] = cluster.layout.nodes.filter(({ name }) => name !== leader);
    const door = new Client(`127.0.0.1:${follower!.ports.client}`, credentials.createInsecure());
    doors.push(door);
    const client = cluster.client();

    for (let round = 0; round < 20; round += 1) {
      const { item } = await client.work.enqueue({ kind: "x", queue: "q" });
      const read = round % 2 === 0 ? { mode: "linearizable", minRevision: 0 } : { mode: "", minRevision: item.modRevision };
      const answer = await getWork(door, item.workId, read, 10_000);
      assert.equal(answer.error, null, `round ${round}: ${answer.error?.message}`);
      assert.equal(answer.value?.item?.modRevision, item.modRevision);
    }

    // The SDK, given the follower alone: a stale read goes there, and waits for the revision that it names.
    const near = connect({ endpoints: [`127.0.0.1:${follower!.ports.client}`], timeoutMs: 10_000 });
    t.after(() => near.close());
    const { item } = await client.work.enqueue({ kind: "x", queue: "q" });
    const found = await near.work.get(item.workId, { mode: "stale", minRevision: item.modRevision });
    assert.equal(found.modRevision, item.modRevision);

    const never = { mode: "stale", minRevision: LogIndex(1_000_000) } as const;
    const startedMs = performance.now();
    await assert.rejects(near.work.get(item.workId, { ...never, timeoutMs: 500 }), { code: "TIMEOUT" });
    assert.ok(performance.now() - startedMs < 5_000, "a revision that does not come is waited for as long as the caller says");

    // Cut off from the majority it must not say that it is up to date; stale it still answers.
    await cluster.signal(leader, "SIGSTOP");
    await cluster.signal(other!.name, "SIGSTOP");
    const linearizable = await getWork(door, item.workId, { mode: "linearizable", minRevision: 0 }, 5_000);
    assert.ok(
      [status.UNAVAILABLE, status.DEADLINE_EXCEEDED].includes(linearizable.error?.code ?? status.OK),
      linearizable.error?.message ?? "answered without a majority",
    );
    const stale = await getWork(door, item.workId, { mode: "stale", minRevision: 0 }, 5_000);
    assert.equal(stale.value?.item?.workId, item.workId);
  },
);

function getWork(
  door: Client,
  workId: WorkId,
  read: { readonly mode: string; readonly minRevision: number },
  timeoutMs: number,
): Promise<{ readonly error: ServiceError | null; readonly value: WorkResponse | null }> {
  const { promise, resolve } = Promise.withResolvers<{ error: ServiceError | null; value: WorkResponse | null }>();
  door.makeUnaryRequest(
    "/ringraft.v1.WorkService/Get",
    (request: GetWorkRequest) => Buffer.from(encodeMessage(GetWorkRequest, request)),
    (bytes: Buffer) => decodeMessage(WorkResponse, bytes),
    { workId, read },
    { deadline: Date.now() + timeoutMs },
    (error: ServiceError | null, value?: WorkResponse) => resolve({ error, value: value ?? null }),
  );
  return promise;
}
