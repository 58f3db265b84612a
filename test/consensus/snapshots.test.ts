import assert from "node:assert/strict";
import { test } from "node:test";
import { enqueue } from "../replica/operations.ts";
import { TestCluster, type TestNode, ask } from "./cluster.ts";

test("a voter whose newest snapshot has rotted starts from the one before and its log (PAR, FAST '18)", async () => {
  const cluster = await TestCluster.start({ snapshotEveryEntries: 50, keepEntries: 2 });
  const leader = await cluster.leader();
  await fill(cluster, leader);
  const [follower] = cluster.followers(leader);
  assert.ok(follower !== undefined);
  await cluster.run(100);
  const snapshots = cluster.disks
    .get(follower.id)!
    .files()
    .filter((file) => file.endsWith(".snap"));
  assert.equal(snapshots.length, 2);
  await cluster.kill(follower.id);
  const disk = cluster.disks.get(follower.id)!;
  const rotten = disk.content(snapshots[1]!).slice();
  rotten[100]! ^= 1;
  disk.put(snapshots[1]!, rotten);

  const again = await cluster.boot(follower.id);
  await cluster.until(() => again.replica.appliedIndex === leader.replica.appliedIndex);
  assert.deepEqual(again.fatals, []);
  assert.deepEqual(again.replica.status().counts, leader.replica.status().counts);
});

test("few large entries make a snapshot due as many small ones do", async () => {
  const cluster = await TestCluster.start({ snapshotEveryEntries: 1_000_000, snapshotEveryBytes: 100_000 });
  const leader = await cluster.leader();
  await fill(cluster, leader);
  await cluster.run(100);
  for (const node of cluster.nodes.values()) assert.ok(node.replica.status().snapshotIndex > 150);
});

/** Four snapshots, each some segments of the log behind the one before. */
async function fill(cluster: TestCluster, leader: TestNode): Promise<void> {
  for (let round = 0; round < 8; round += 1) {
    const asked = Array.from({ length: 25 }, () => ask(leader, enqueue("q", "x".repeat(8_000))));
    await cluster.until(() => asked.every(({ answers }) => answers.length === 1));
  }
}
