import assert from "node:assert/strict";
import { test } from "node:test";
import { TICK_MS, ELECTION_TICKS, TestCluster } from "./cluster.ts";

test("a follower that was stopped for long reads its messages before it thinks of an election", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const [stopped] = cluster.followers(leader);
  const { term } = leader.engine.status().raft;
  stopped!.paused = true;
  await cluster.run(20 * ELECTION_TICKS * TICK_MS);
  cluster.resume(stopped!.id);
  await cluster.run(5 * ELECTION_TICKS * TICK_MS);
  assert.equal(leader.engine.status().raft.term, term);
  assert.equal(stopped!.engine.status().raft.leader, leader.id);
  assert.equal(stopped!.engine.status().raft.role, "follower");
});

test("a leader that was stopped until another took over follows it as soon as it runs again", async () => {
  const cluster = await TestCluster.start();
  const old = await cluster.leader();
  old.paused = true;
  await cluster.run(5 * ELECTION_TICKS * TICK_MS);
  const next = await cluster.leader();
  cluster.resume(old.id);
  await cluster.run(4 * TICK_MS);
  assert.equal(old.engine.status().raft.role, "follower");
  await cluster.run(ELECTION_TICKS * TICK_MS);
  assert.equal(old.engine.status().raft.leader, next.id);
});

test("a healthy cluster that idles elects nobody after the first election", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const { term } = leader.engine.status().raft;
  await cluster.run(20_000);
  for (const { engine } of cluster.nodes.values()) assert.equal(engine.status().raft.term, term);
});
