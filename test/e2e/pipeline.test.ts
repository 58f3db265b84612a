import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Client } from "#client";
import type { Job } from "#statemachine";
import { RealCluster } from "./real-cluster.ts";

const program = resolve(import.meta.dirname, "..", "..", "examples", "hex-selfplay", "main.ts");

test(
  "the pipeline goes on when the leader and a worker are killed: no generation twice, no version twice, no item done twice",
  { timeout: 300_000 },
  async () => {
    const cluster = await RealCluster.start({
      voters: 5,
      workers: 3,
      workerSettings: ["slots: 2", "ttl: 5s"],
      handlers: ["selfplay", "train", "evaluate", "coordinate"].map((verb) => ({
        kind: `hex.${verb}`,
        command: [process.execPath, program, verb],
        timeoutSeconds: 3_600,
      })),
    });
    try {
      const client = cluster.client();
      const started = spawnSync(process.execPath, [program, "start", "--endpoints", cluster.layout.endpoints.join(",")], {
        encoding: "utf8",
      });
      assert.equal(started.status, 0, started.stderr);
      await canonical(cluster, client, 1);

      const leader = await cluster.leader();
      await cluster.signal(leader, "SIGKILL");
      await cluster.leader(leader);
      cluster.startNode(leader);
      const training = await cluster.until(
        "a training job",
        async () => (await jobs(client, "hex.train")).find((job) => job.phase === "RUNNING") ?? null,
        120,
      );
      const item = (await client.work.list({ jobId: training.jobId })).items[0]!;
      // The node that trains at this moment: the worst one to lose.
      const victim = item.claim!.nodeId;
      await cluster.signal(victim, "SIGKILL");
      cluster.startNode(victim);
      await cluster.until(
        "the same training done by another attempt",
        async () => {
          const now = await client.work.get(item.workId);
          return now.state === "SUCCEEDED" ? now : null;
        },
        180,
      );
      await cluster.until(
        "an evaluation after it",
        async () => ((await jobs(client, "hex.evaluate")).length >= 2 ? true : null),
        120,
      );

      await everythingOnce(client);
    } finally {
      await cluster.stop();
    }
  },
);

async function canonical(cluster: RealCluster, client: Client, version: number): Promise<void> {
  await cluster.until(
    `a canonical version ${version}`,
    async () => {
      const model = (await client.models.list()).find(({ name }) => name === "hex8_2p");
      return (model?.aliases["canonical"]?.version ?? 0) >= version ? true : null;
    },
    180,
  );
}

/** Counts everything that was acknowledged. */
async function everythingOnce(client: Client): Promise<void> {
  const stages = (await client.jobs.list({ limit: 1000 })).jobs.map(
    (job) => `${job.kind} of generation ${job.labels["generation"]}`,
  );
  assert.equal(new Set(stages).size, stages.length, `a stage was submitted twice: ${stages.join(", ")}`);

  const items = (await client.work.list({ limit: 1000 })).items;
  for (const item of items) {
    const succeeded = item.attempts.filter((attempt) => attempt.outcome === "succeeded").length;
    assert.equal(succeeded, item.state === "SUCCEEDED" ? 1 : 0, `${item.workId} (${item.state}) succeeded ${succeeded} times`);
    assert.notEqual(item.state, "DEAD", `${item.workId} was given up: ${item.lastError?.message}`);
  }

  const versions = (await client.models.versions("hex8_2p")).filter(({ state }) => state === "READY");
  assert.equal(new Set(versions.map(({ workId }) => workId)).size, versions.length, "a training item made two versions");
  for (const version of versions) {
    const bytes = readFileSync(fileURLToPath(version.sourceUri));
    assert.equal(createHash("sha256").update(bytes).digest("hex"), version.sha256, `the file of v${version.number}`);
    assert.equal(bytes.length, version.sizeBytes);
  }
  const trained = items
    .filter((item) => item.spec.kind === "hex.train" && item.state === "SUCCEEDED")
    .map(({ workId }) => workId);
  assert.deepEqual(
    trained.filter((workId) => !versions.some((version) => version.workId === workId)),
    [],
    "a finished training has no version",
  );
}

async function jobs(client: Client, kind: string): Promise<readonly Job[]> {
  return (await client.jobs.list({ limit: 1000 })).jobs.filter((job) => job.kind === kind);
}
