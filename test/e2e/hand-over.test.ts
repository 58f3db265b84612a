import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "#client";
import { LogIndex } from "#kernel";
import { RealCluster } from "./real-cluster.ts";

test(
  "SIGTERM to the leader: it hands over before it goes, a waiting claim and a watch move on, and no caller sees an error",
  { timeout: 90_000 },
  async () => {
    const cluster = await RealCluster.start({ voters: 3, workers: 0 });
    try {
      const client = cluster.client();
      const session = await client.openSession({ purpose: "writes", ttlMs: 30_000 });
      const claimer = await client.openSession({ purpose: "claims", ttlMs: 30_000, capabilities: oneCore });
      const leader = await cluster.leader();
      const claimed = claimer.work.claim({ workerId: "w", queues: ["waited-for"], maxItems: 1, waitMs: 20_000 });
      const watch = follow(client);
      const writes: number[] = [];
      const queued: string[] = [];
      const stop = new AbortController();
      const writing = Array.from({ length: 8 }, async () => {
        while (!stop.signal.aborted) {
          const { item } = await session.work.enqueue({ kind: "x", queue: "load" });
          queued.push(item.workId);
          writes.push(performance.now());
        }
      });
      await pause(1_000);
      await cluster.signal(leader, "SIGTERM");
      const next = await cluster.leader(leader);
      await session.work.enqueue({ kind: "x", queue: "waited-for" });
      assert.equal((await claimed).length, 1);
      await pause(500);
      stop.abort();
      await Promise.all(writing);
      const seen = await watch.until(queued.at(-1)!);
      assert.equal(new Set(seen).size, seen.length, "nothing twice");
      const expected = new Set(queued);
      assert.deepEqual(new Set(seen.filter((workId) => expected.has(workId))), expected, "nothing left out");
      assert.equal(cluster.exitCode(leader), 0);
      assert.match(cluster.log(leader), /leadership handed over/);
      assert.notEqual(next, leader);
      const gaps = writes.slice(1).map((at, i) => at - writes[i]!);
      // The target on a quiet machine is 100 ms, measured by the benchmark; an election would take 600 ms at least.
      assert.ok(Math.max(...gaps) < 600, `writes stood still for ${Math.round(Math.max(...gaps))} ms`);
    } finally {
      await cluster.stop();
    }
  },
);

/** Work items in the order in which a watch tells of their enqueueing. */
function follow(client: Client): { until(workId: string): Promise<readonly string[]> } {
  const seen: string[] = [];
  const read = async (wanted: () => boolean): Promise<void> => {
    while (!wanted()) {
      const { value, done } = await batches.next();
      assert.ok(done !== true, "the watch goes on");
      for (const { object } of value.events) {
        if (object?.kind === "work" && object.value.version === 1) seen.push(object.value.workId);
      }
    }
  };
  const batches = client.watch({ fromRevision: LogIndex(1), kinds: ["work"] })[Symbol.asyncIterator]();
  let last: string | null = null;
  const reading = read(() => last !== null && seen.includes(last));
  return {
    until: async (workId) => {
      last = workId;
      await reading;
      return seen;
    },
  };
}

const oneCore = { gpuCount: 0, gpuMemoryMib: 0, cpu: 1, memoryMib: 0, diskMib: 0, gpuModel: "", cuda: 0, labels: {} };
