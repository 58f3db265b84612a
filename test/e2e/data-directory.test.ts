import assert from "node:assert/strict";
import { cpSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { RealCluster } from "./real-cluster.ts";
import { run } from "./refusals.ts";

describe("a voter's data directory", { timeout: 120_000 }, () => {
  let cluster: RealCluster;
  let folder: string;
  before(async () => {
    cluster = await RealCluster.start({ voters: 3, workers: 0 });
    await cluster.until("three voters", async () => ((await cluster.status("voter-3"))?.leader_id ?? null) || null);
    folder = join(cluster.layout.folder, "voter-3");
  });
  after(() => cluster.stop());

  const identity = (): { directory_id: string; starts: number } =>
    JSON.parse(readFileSync(join(folder, "identity.json"), "utf8")) as never;
  const follows = () => cluster.until("voter-3", async () => ((await cluster.status("voter-3"))?.leader_id ?? null) || null);

  test("has an id of its own and counts the starts on it", async () => {
    const { directory_id, starts } = identity();
    assert.match(directory_id, /^[0-9a-f-]{36}$/);
    await cluster.signal("voter-3", "SIGKILL");
    cluster.startNode("voter-3");
    await follows();
    assert.deepEqual(identity(), { ...identity(), directory_id, starts: starts + 1 });
  });

  test("catalogue 16: that was emptied is refused by the others, and the voter ends with 78 and the way out", async () => {
    await cluster.signal("voter-3", "SIGKILL");
    renameSync(folder, `${folder}.aside`);
    cluster.startNode("voter-3");
    assert.equal(await cluster.exited("voter-3"), 78);
    assert.match(cluster.log("voter-3"), /rejoin as a new member: remove it from the cluster, then add it/);
    assert.match(cluster.log("voter-1"), /"peer refused: its data directory is not the one it had"/);
    assert.equal(existsSync(join(folder, "identity.json")), false, "it has made nothing of its own");
    rmSync(folder, { recursive: true, force: true });
    renameSync(`${folder}.aside`, folder);
    cluster.startNode("voter-3");
    await follows();
  });

  test("that is an older copy of itself is refused as a clone", async () => {
    await cluster.signal("voter-3", "SIGKILL");
    cpSync(folder, `${folder}.copy`, { recursive: true });
    cluster.startNode("voter-3");
    await follows();
    await cluster.signal("voter-3", "SIGKILL");
    cluster.startNode("voter-3");
    await follows();
    await cluster.signal("voter-3", "SIGKILL");
    renameSync(folder, `${folder}.newer`);
    renameSync(`${folder}.copy`, folder);
    cluster.startNode("voter-3");
    assert.equal(await cluster.exited("voter-3"), 78);
    assert.match(cluster.log("voter-3"), /shows start \d+ of its data directory, but start \d+ was here before/);
    rmSync(folder, { recursive: true });
    renameSync(`${folder}.newer`, folder);
    cluster.startNode("voter-3");
    await follows();
  });

  test("is believed by a voter that has lost its memory of the others", async () => {
    await cluster.signal("voter-1", "SIGKILL");
    await cluster.signal("voter-3", "SIGKILL");
    const file = join(cluster.layout.folder, "voter-1", "peers.cell");
    writeFileSync(file, "damaged");
    cluster.startNode("voter-1");
    cluster.startNode("voter-3");
    await follows();
    assert.match(cluster.log("voter-1"), /the memory of the peers' data directories is lost/);
  });
});

test(
  "an initialisation that was interrupted is completed by the same command, and no voter starts on it before",
  { timeout: 60_000 },
  async () => {
    const cluster = await RealCluster.prepare({ voters: 1, workers: 0 });
    try {
      const folder = join(cluster.layout.folder, "voter-1");
      const file = join(folder, "identity.json");
      const whole = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
      const args = ["--config", cluster.layout.configFile, "--node-id", "voter-1"];
      // As a crash leaves it: before the log, and before entry 1 is known to be there.
      for (const withLog of [false, true]) {
        if (!withLog)
          for (const part of ["wal", "vote.cell", "reserve"]) rmSync(join(folder, part), { recursive: true, force: true });
        writeFileSync(file, JSON.stringify({ ...whole, initialising: true }));
        const serve = await run(["serve", ...args]);
        assert.equal(serve.code, 78);
        assert.match(
          serve.stderr,
          /was being initialised, and that was interrupted\n {2}Run `ringraft cluster init` on this voter again/,
        );
        const init = await run(["cluster", "init", ...args]);
        assert.equal(init.code, 0, init.stderr);
        assert.match(init.stdout, new RegExp(String(whole["cluster_id"])));
      }
      assert.equal((await run(["cluster", "init", ...args])).code, 78, "once is enough");
      cluster.startNode("voter-1");
      await cluster.leader();
    } finally {
      await cluster.stop();
    }
  },
);
