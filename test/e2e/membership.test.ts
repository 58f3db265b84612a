import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { RealCluster, ringraft } from "./real-cluster.ts";

test(
  "a fourth node joins by a snapshot and votes; then a voter moves to another address, by its file and restarts alone",
  { timeout: 120_000 },
  async (t) => {
    const extraConfig = "raft:\n  snapshot_every: 100\n  keep_entries: 10\n";
    const cluster = await RealCluster.prepare({ voters: 3, workers: 1, extraConfig });
    t.after(() => cluster.stop());
    const voters = ["voter-1", "voter-2", "voter-3"];
    for (const name of voters) cluster.startNode(name);
    await cluster.leader();
    const client = cluster.client();
    await Promise.all(Array.from({ length: 300 }, () => client.work.enqueue({ kind: "test.join" })));

    // Its own file says that it is no mere worker; the voters have it under hosts, which is all that they need.
    edit(cluster, "  - voter-3\n", "  - voter-3\n  - worker-1\n");
    cluster.startNode("worker-1");
    const added = ringraft(["member", "add", "worker-1"], endpointsOf(cluster));
    assert.equal(added.status, 0, added.stderr);
    assert.match(added.stdout, /worker-1 +voter /);
    assert.doesNotMatch(cluster.log("worker-1"), /snapshot saved/, "its snapshot is the leader's");

    const { peer } = cluster.layout.nodes.find(({ name }) => name === "voter-3")!.ports;
    const moved = peer + 5; // within this node's ten ports
    edit(cluster, `peer: ${peer}\n`, `peer: ${moved}\n`);
    for (const name of [...voters, "worker-1"]) {
      await cluster.signal(name, "SIGTERM");
      cluster.startNode(name);
      await cluster.until(`${name} to follow`, async () => ((await cluster.status(name))?.leader_id ? true : null));
    }
    const isThere = new RegExp(`voter-3 .* 127\\.0\\.0\\.1:${moved}`);
    await cluster.until("voter-3 at its new address", () => {
      const { stdout } = ringraft(["member", "list"], endpointsOf(cluster));
      return Promise.resolve(isThere.test(stdout) && !/ no /.test(stdout) ? true : null);
    });
    // Three of four are needed: from here on voter-3 is one of them.
    await cluster.signal("worker-1", "SIGKILL");
    await client.work.enqueue({ kind: "test.moved" });
  },
);

function edit(cluster: RealCluster, before: string, after: string): void {
  const text = readFileSync(cluster.layout.configFile, "utf8");
  assert.equal(text.split(before).length, 2, `${before} once in the file`);
  writeFileSync(cluster.layout.configFile, text.replace(before, after), { mode: 0o600 });
}

function endpointsOf(cluster: RealCluster): NodeJS.ProcessEnv {
  return { RINGRIFT_ENDPOINTS: cluster.layout.endpoints.join(",") };
}
