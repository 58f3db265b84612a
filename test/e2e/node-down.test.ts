import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Client } from "#client";
import { NodeId } from "#kernel";
import type { ClusterNode } from "#statemachine";
import { RealCluster, ringraft } from "./real-cluster.ts";
import { withMembership } from "./swim-config.ts";

/** Works for longer than the tests last, and ends when its worker is gone. */
const program = "const parent = process.ppid; setInterval(() => process.ppid === parent || process.exit(), 200);";
const TTL_MS = 60_000;
const workers = ["worker-1", "worker-2"] as const;
const voters = ["voter-1", "voter-2", "voter-3"] as const;

let cluster: RealCluster;
let client: Client;

before(async () => {
  cluster = await RealCluster.start({
    voters: 3,
    workers: 2,
    workerSettings: ["slots: 1", `ttl: ${TTL_MS / 1_000}s`],
    handlers: [{ kind: "test.endless", command: [process.execPath, "-e", program], timeoutSeconds: 600 }],
    editConfig: withMembership,
  });
  client = cluster.client();
  for (const name of [...voters, ...workers]) {
    const url = `http://127.0.0.1:${cluster.httpPort(name)}/health?converged=true&timeout=60s`;
    assert.equal((await fetch(url, { signal: AbortSignal.timeout(65_000) })).status, 200, name);
  }
});
after(() => cluster.stop());

async function recordOf(name: string): Promise<ClusterNode | null> {
  const { nodes } = await client.nodes.list();
  return nodes.find(({ node }) => node.nodeId === name)?.node ?? null;
}

function recorded(name: string, state: ClusterNode["state"]): Promise<ClusterNode> {
  const find = async () => {
    // In the moments without a leader nobody answers.
    const node = await recordOf(name).catch(() => null);
    return node?.state === state && node.lastEvent !== null ? node : null;
  };
  return cluster.until(`${name} ${state} in the log`, find, 120);
}

async function sessionOf(name: string) {
  return (await client.sessions()).find(({ nodeId }) => nodeId === name) ?? null;
}

async function runningItem() {
  const { items } = await client.work.list({ state: "RUNNING" });
  return items[0] ?? null;
}

/** How `observers` hold `name`; null for those that do not know it or do not answer. */
async function statesOf(name: string, observers: readonly string[]): Promise<readonly (string | null)[]> {
  return await Promise.all(
    observers.map(async (observer) => {
      try {
        const url = `http://127.0.0.1:${cluster.httpPort(observer)}/v1/nodes`;
        const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) });
        const { nodes } = (await answer.json()) as { nodes: readonly { node_id: string; state: string }[] };
        return nodes.find((node) => node.node_id === name)?.state ?? null;
      } catch {
        return null;
      }
    }),
  );
}

let killed: string;
let other: string;

test(
  "a worker that is killed is down in the log by gossip's word, and another one has its item long before the lease would have run out",
  { timeout: 240_000 },
  async () => {
    const { item } = await client.work.enqueue({ kind: "test.endless", queue: "default" });
    const running = await cluster.until("a running item", runningItem);
    assert.equal(running.workId, item.workId);
    killed = running.claim!.nodeId;
    other = workers.find((name) => name !== killed)!;
    const before = (await sessionOf(killed))!;
    await cluster.signal(killed, "SIGKILL");

    const down = await recorded(killed, "DOWN");
    assert.equal(down.lastEvent!.name, "NODE_DOWN");
    assert.ok(down.lastEvent!.observedBy.length >= 2, String(down.lastEvent!.observedBy));
    assert.ok(down.lastEvent!.observedBy.every((voter) => (voters as readonly string[]).includes(voter)));
    // A verdict that came late, on a busy machine, may find the session over.
    const suspect = await sessionOf(killed);
    if (suspect !== null) {
      assert.equal(suspect.state, "SUSPECT");
      assert.ok(suspect.deadlineMs <= before.deadlineMs - TTL_MS / 6, `${suspect.deadlineMs} after ${before.deadlineMs}`);
    }
    const moved = await cluster.until("another worker with the item", async () => {
      const now = await client.work.get(item.workId);
      return now.state === "RUNNING" && now.claim!.nodeId !== killed ? now : null;
    });
    assert.equal(moved.claim!.nodeId, other);
    assert.ok(moved.claim!.fencingToken > running.claim!.fencingToken);
    const leader = await cluster.leader();
    assert.match(
      cluster.log(leader),
      new RegExp(`node declared down.*"node":"${killed}"|"node":"${killed}".*node declared down`),
    );
  },
);

test(
  "a worker that stands still long enough to be declared down and then goes on has lost nothing, and is up again in the log",
  { timeout: 240_000 },
  async () => {
    const held = (await runningItem())!;
    const session = (await sessionOf(other))!;
    await cluster.signal(other, "SIGSTOP");
    try {
      await recorded(other, "DOWN");
    } finally {
      await cluster.signal(other, "SIGCONT");
    }
    const up = await recorded(other, "UP");
    assert.equal(up.lastEvent!.name, "NODE_RECOVERED");
    const open = await cluster.until("an open session", async () => {
      const now = await sessionOf(other);
      return now?.state === "OPEN" ? now : null;
    });
    assert.equal(open.sessionId, session.sessionId);
    const { claim, state, lossCount } = await client.work.get(held.workId);
    assert.deepEqual([state, claim?.fencingToken, lossCount], ["RUNNING", held.claim!.fencingToken, held.lossCount]);
  },
);

test(
  "a killed follower is declared down, and up again by gossip when it is back in a newer life",
  { timeout: 240_000 },
  async () => {
    const leader = await cluster.leader();
    const follower = voters.find((name) => name !== leader)!;
    await cluster.signal(follower, "SIGKILL");
    const down = await recorded(follower, "DOWN").finally(() => cluster.startNode(follower));
    const up = await recorded(follower, "UP");
    assert.equal(up.lastEvent!.name, "NODE_RECOVERED");
    assert.ok(up.lastEvent!.observedBy.length >= 2);
    assert.ok(up.incarnation.epoch > down.incarnation.epoch);
  },
);

test("a new leader declares the dead one down, and repeats no verdict of the old one", { timeout: 240_000 }, async () => {
  const before = (await recordOf(killed))!;
  const old = await cluster.leader();
  await cluster.signal(old, "SIGKILL");
  await cluster.leader(old);
  const down = await recorded(old, "DOWN").finally(() => cluster.startNode(old));
  assert.ok(!down.lastEvent!.observedBy.includes(NodeId(old)));
  const now = (await recordOf(killed))!;
  assert.deepEqual([now.version, now.modRevision], [before.version, before.modRevision]);
  await recorded(old, "UP");
});

test(
  "a forgotten node is out of every member's view, stays out when it is started, and comes back when it is readmitted",
  { timeout: 240_000 },
  async () => {
    const observers = [...voters, other];
    const env = { RINGRIFT_ENDPOINTS: cluster.layout.endpoints.join(",") };
    const run = (...args: readonly string[]) => {
      const ended = ringraft(args, env);
      assert.equal(ended.status, 0, `${args.join(" ")}: ${ended.stderr}`);
    };
    const all = (state: string) =>
      cluster.until(
        `${killed} ${state} for everybody`,
        async () => ((await statesOf(killed, observers)).every((seen) => seen === state) ? true : null),
        150,
      );
    run("node", "forget", killed, "--reason", "scrapped");
    await all("removed");
    cluster.startNode(killed);
    await cluster.until("its status page", () => cluster.status(killed));
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    assert.deepEqual(new Set(await statesOf(killed, observers)), new Set(["removed"]));
    assert.equal(await sessionOf(killed), null);
    run("node", "readmit", killed);
    await all("alive");
    await cluster.until("its session", () => sessionOf(killed));
  },
);
