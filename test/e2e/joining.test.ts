import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { RealCluster } from "./real-cluster.ts";
import { run } from "./refusals.ts";

test(
  "three of five voters serve; the other two join late with empty directories, one of them by a snapshot, and catch up",
  { timeout: 90_000 },
  async () => {
    const extraConfig = "raft:\n  snapshot_every: 100\n  keep_entries: 10\n";
    const cluster = await RealCluster.prepare({ voters: 5, workers: 0, extraConfig });
    try {
      for (const name of ["voter-1", "voter-2", "voter-3"]) cluster.startNode(name);
      const leader = await cluster.leader();
      const client = cluster.client();
      const enqueue = async (count: number) => {
        await Promise.all(Array.from({ length: count }, () => client.work.enqueue({ kind: "test.join" })));
      };
      await enqueue(50);
      cluster.startNode("voter-4");
      await caughtUp(cluster, "voter-4", leader);
      await enqueue(350);
      cluster.startNode("voter-5");
      await caughtUp(cluster, "voter-5", leader);
      assert.match(cluster.log("voter-5"), /"joined"/);
      // The log had been compacted, so only a snapshot could help: it has one that it did not make itself.
      assert.doesNotMatch(cluster.log("voter-5"), /snapshot saved/);
      assert.notDeepEqual(readdirSync(join(cluster.layout.folder, "voter-5", "snap")), []);
      // Whoever came late counts for nothing until it has been caught up (docs/decisions/0015).
      const isHealthy = async () => ((await cluster.status(leader))?.cluster_health === "healthy" ? true : null);
      await cluster.until("a cluster that counts with both newcomers", isHealthy);

      // A majority that needs both newcomers holds everything.
      const olds = ["voter-1", "voter-2", "voter-3"].filter((name) => name !== leader);
      await Promise.all([leader, olds[0]!].map((name) => cluster.signal(name, "SIGKILL")));
      await cluster.leader(leader);
      assert.equal((await client.work.list({ limit: 1_000 })).items.length, 400);
    } finally {
      await cluster.stop();
    }
  },
);

test("a worker whose directory was wiped joins again by itself", { timeout: 60_000 }, async () => {
  const cluster = await RealCluster.start({ voters: 1, workers: 1 });
  try {
    const folder = join(cluster.layout.folder, "worker-1");
    const isUp = async () => ((await cluster.status("worker-1"))?.leader_id === "voter-1" ? true : null);
    await cluster.until("the worker", isUp);
    await cluster.signal("worker-1", "SIGTERM");
    assert.equal(cluster.exitCode("worker-1"), 0);
    rmSync(folder, { recursive: true });
    cluster.startNode("worker-1");
    await cluster.until("the wiped worker", isUp);
  } finally {
    await cluster.stop();
  }
});

test(
  "a voter with an empty directory and nobody to ask forms no cluster, says so on its status port, and stops on SIGTERM",
  { timeout: 60_000 },
  async () => {
    const cluster = await RealCluster.prepare({ voters: 3, workers: 0 });
    try {
      cluster.startNode("voter-2");
      cluster.startNode("voter-3");
      const health = await cluster.until("an answer", async () => {
        const url = `http://127.0.0.1:${cluster.httpPort("voter-2")}/health`;
        return fetch(url).catch(() => null);
      });
      assert.equal(health.status, 503);
      const waiting = (await cluster.status("voter-2"))!;
      assert.notEqual(waiting.cluster_health, "healthy");
      assert.equal(waiting.leader_id ?? null, null);
      const list = await run(["job", "list", "-e", cluster.layout.endpoints[1]!, "--timeout", "1"]);
      assert.ok(list.code === 5 || list.code === 6, `exit code ${list.code}: ${list.stderr}`);
      await cluster.signal("voter-2", "SIGTERM");
      assert.equal(cluster.exitCode("voter-2"), 0);
      assert.match(cluster.log("voter-2"), /asking the other voters which cluster to join/);
    } finally {
      await cluster.stop();
    }
  },
);

test(
  "a voter whose directory is another cluster's neither votes nor is listened to, and both ids are in the logs",
  { timeout: 60_000 },
  async () => {
    const cluster = await RealCluster.prepare({ voters: 3, workers: 0 });
    try {
      for (const name of ["voter-1", "voter-2"]) cluster.startNode(name);
      const leader = await cluster.leader();
      const term = (await cluster.status(leader))!.term;
      // The operator's mistake: `cluster init` on a second voter.
      const init = await run(["cluster", "init", "--config", cluster.layout.configFile, "--node-id", "voter-3"]);
      assert.equal(init.code, 0, init.stderr);
      const foreign = /cluster (\S+) is initialised/.exec(init.stdout)![1]!;
      cluster.startNode("voter-3");
      const refused = new RegExp(`cluster \\\\"${foreign}\\\\" there, \\\\"[0-9a-f-]{36}\\\\" here.*"peer refused"`);
      const refusal = /"why":"cluster /;
      await cluster.until("a refusal in the log", () => Promise.resolve(refusal.test(cluster.log("voter-1")) || null));
      await cluster.until("an election that voter-3 cannot win", () =>
        Promise.resolve(/"no link to peer"/.test(cluster.log("voter-3")) || null),
      );
      assert.match(`${cluster.log("voter-1")}${cluster.log("voter-2")}`, refused);
      const lonely = (await cluster.status("voter-3"))!;
      assert.notEqual(lonely.role, "leader");
      assert.equal(lonely.leader_id ?? null, null);
      const after = (await cluster.status(leader))!;
      assert.deepEqual([after.term, after.role], [term, "leader"]);
      assert.equal(after.voters["voter-3"]!.alive, false);

      // Without its other voter the cluster has no majority: the stranger's voice does not count.
      await cluster.signal(leader === "voter-1" ? "voter-2" : "voter-1", "SIGKILL");
      const submit = await run(["job", "submit", "--kind", "x", "-e", cluster.layout.endpoints[0]!, "--timeout", "2"]);
      assert.ok(submit.code === 5 || submit.code === 6, `exit code ${submit.code}: ${submit.stderr}`);
    } finally {
      await cluster.stop();
    }
  },
);

async function caughtUp(cluster: RealCluster, name: string, leader: string): Promise<void> {
  await cluster.until(`${name} with everything`, async () => {
    const [own, leaders] = await Promise.all([cluster.status(name), cluster.status(leader)]);
    const behind = Number(leaders?.commit_index ?? Number.NaN) - Number(own?.applied_index ?? Number.NaN);
    return behind <= 0 ? true : null;
  });
}
