import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { type Client, ClientError, type ClientSession } from "#client";
import { type WorkId } from "#kernel";
import type { WorkItem } from "#statemachine";
import { RealCluster } from "./real-cluster.ts";

test(
  "kill -9 of the leader, three times under load: nothing acknowledged is lost, nothing is done twice",
  { timeout: 150_000 },
  async () => {
    const cluster = await RealCluster.start({ voters: 5, workers: 0 });
    try {
      const client = cluster.client();
      const stop = new AbortController();
      const ledgers = await Promise.all(Array.from({ length: 4 }, (_, at) => producer(client, at, stop.signal)));
      const consumers = await Promise.all(Array.from({ length: 2 }, (_, at) => consumer(client, at, stop.signal)));
      for (let kill = 0; kill < 3; kill += 1) {
        await pause(1_500);
        const leader = await cluster.leader();
        await cluster.signal(leader, "SIGKILL");
        await cluster.leader(leader);
        cluster.startNode(leader);
      }
      await pause(1_500);
      stop.abort();
      const enqueued = (await Promise.all(ledgers.map((ledger) => ledger.done))).flat();
      const completed = (await Promise.all(consumers.map((one) => one.done))).flat();

      const items = await allWork(client);
      const byKey = Map.groupBy(items, (item) => item.spec.payload);
      assert.ok(enqueued.length > 100, `only ${enqueued.length} enqueues were acknowledged`);
      assert.ok(completed.length > 20, `only ${completed.length} items were completed`);
      const lost = enqueued.filter(({ payload }) => !byKey.has(payload));
      assert.deepEqual(lost, [], "an acknowledged enqueue is missing");
      const doubled = [...byKey].filter(([, same]) => same.length > 1).map(([payload]) => payload);
      assert.deepEqual(doubled, [], "an enqueue was executed twice");
      const byId = new Map(items.map((item) => [item.workId, item]));
      assert.deepEqual(
        completed.filter(({ workId }) => byId.get(workId)?.state !== "SUCCEEDED").map(({ workId }) => workId),
        [],
        "an acknowledged completion is gone",
      );
      // The result names who finished it: whoever was told "done" must be the one that the log remembers.
      assert.deepEqual(
        completed.filter(({ workId, result }) => byId.get(workId)?.result !== result),
        [],
        "two completions of one item were acknowledged",
      );
      assert.equal(new Set(completed.map(({ workId }) => workId)).size, completed.length, "an item was completed twice");
    } finally {
      await cluster.stop();
    }
  },
);

test(
  "kill -9 of all processes at once, then a start: every acknowledged item, version, alias and lock is there",
  { timeout: 120_000 },
  async () => {
    const cluster = await RealCluster.start({ voters: 5, workers: 3 });
    try {
      const client = cluster.client();
      const session = await client.openSession({ ttlMs: 60_000, purpose: "test" });
      const lock = await session.locks.acquire("training/hex8_2p", { purpose: "test" });
      const items = await Promise.all(
        Array.from({ length: 200 }, (_, at) => session.work.enqueue({ kind: "test", queue: "later", payload: `item-${at}` })),
      );
      const sha256 = "ab".repeat(32);
      for (let number = 1; number <= 3; number += 1) {
        const version = await session.models.registerVersion({
          model: "hex8_2p",
          sourceUri: `file:///v${number}`,
          guards: [lock.guard],
        });
        await session.models.commitVersion({
          model: "hex8_2p",
          number: version.number,
          sha256,
          sizeBytes: number,
          guards: [lock.guard],
        });
      }
      const aliased = await session.models.setAlias({
        model: "hex8_2p",
        alias: "canonical",
        version: 2,
        reason: "test",
        guards: [lock.guard],
      });

      await cluster.killAll();
      cluster.startAll();
      await cluster.leader();

      const after = await allWork(client);
      assert.deepEqual(after.map((item) => item.spec.payload).toSorted(), items.map(({ item }) => item.spec.payload).toSorted());
      const versions = await client.models.versions("hex8_2p");
      assert.deepEqual(
        versions.map((version) => [version.number, version.state, version.sizeBytes]),
        [
          [1, "READY", 1],
          [2, "READY", 2],
          [3, "READY", 3],
        ],
      );
      const model = await client.models.get("hex8_2p");
      assert.deepEqual(model.aliases["canonical"], aliased.aliases["canonical"]);
      const held = await client.locks.get("training/hex8_2p");
      assert.equal(held.holder?.fencingToken, lock.fencingToken, "the lock is still held under the same token");
      assert.equal((await client.locks.check("training/hex8_2p", lock.fencingToken)).holder?.sessionId, session.id);
    } finally {
      await cluster.stop();
    }
  },
);

interface Acknowledged {
  readonly payload: string;
}

/** Enqueues unique payloads until told to stop; `done` gives those that were acknowledged. */
async function producer(
  client: Client,
  name: number,
  signal: AbortSignal,
): Promise<{ readonly done: Promise<readonly Acknowledged[]> }> {
  const session = await client.openSession({ ttlMs: 30_000, purpose: "producer" });
  return { done: produce(session, name, signal) };
}

async function produce(session: ClientSession, name: number, signal: AbortSignal): Promise<readonly Acknowledged[]> {
  const acknowledged: Acknowledged[] = [];
  for (let at = 0; !signal.aborted; at += 1) {
    const payload = `${name}/${at}`;
    await session.work.enqueue({ kind: "test", queue: "load", payload });
    acknowledged.push({ payload });
    await pause(5);
  }
  return acknowledged;
}

interface Completed {
  readonly workId: WorkId;
  readonly result: string;
}

/** Claims, starts and completes items until told to stop; `done` gives those whose completion was acknowledged. */
async function consumer(
  client: Client,
  name: number,
  signal: AbortSignal,
): Promise<{ readonly done: Promise<readonly Completed[]> }> {
  const session = await client.openSession({ ttlMs: 30_000, purpose: "consumer", capabilities: oneCore });
  return { done: consume(session, `consumer-${name}`, signal) };
}

async function consume(session: ClientSession, workerId: string, signal: AbortSignal): Promise<readonly Completed[]> {
  const completed: Completed[] = [];
  while (!signal.aborted) {
    const items = await session.work.claim({ workerId, queues: ["load"], maxItems: 4, waitMs: 200 });
    for (const item of items) {
      const token = item.claim!.fencingToken;
      const result = `${workerId} under ${token}`;
      try {
        await session.work.start(item.workId, token);
        await session.work.complete(item.workId, token, { result });
        completed.push({ workId: item.workId, result });
      } catch (error) {
        // A lease that ended meanwhile is somebody else's item now; everything else is a failure of the test.
        if (!(error instanceof ClientError && error.refusal.reason === "FENCED")) throw error;
      }
    }
  }
  return completed;
}

async function allWork(client: Client): Promise<readonly WorkItem[]> {
  const items: WorkItem[] = [];
  let pageToken = "";
  do {
    const page = await client.work.list({ limit: 1000, pageToken });
    items.push(...page.items);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return items;
}

const oneCore = { gpuCount: 0, gpuMemoryMib: 0, cpu: 1, memoryMib: 0, diskMib: 0, gpuModel: "", cuda: 0, labels: {} };
