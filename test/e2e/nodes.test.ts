import assert from "node:assert/strict";
import { test } from "node:test";
import { RealCluster, ringraft } from "./real-cluster.ts";

interface NodesJson {
  readonly feature_level: number;
  readonly nodes: readonly {
    readonly node: {
      readonly node_id: string;
      readonly state: string;
      readonly scheduling: string;
      readonly incarnation: { readonly epoch: number };
      readonly last_event: { readonly name: string; readonly reason: string; readonly by: string } | null;
    };
    readonly sessions: number;
  }[];
}

test(
  "an operator cordons a worker of a new cluster, lets it work again, and forgets it when it is gone",
  { timeout: 120_000 },
  async (t) => {
    const command = [process.execPath, "-e", "console.log(JSON.stringify({ result: {} }))"];
    const cluster = await RealCluster.start({
      voters: 1,
      workers: 1,
      workerSettings: ["slots: 1", "ttl: 3s"],
      handlers: [{ kind: "test.short", command, timeoutSeconds: 30 }],
    });
    t.after(() => cluster.stop());
    const env = { RINGRIFT_ENDPOINTS: cluster.layout.endpoints.join(",") };
    const run = (...args: readonly string[]) => {
      const ended = ringraft(args, env);
      assert.equal(ended.status, 0, `${args.join(" ")}: ${ended.stderr}`);
      return ended.stdout;
    };
    const list = () => JSON.parse(run("node", "list", "--json")) as NodesJson;
    const worker = cluster.layout.nodes.find(({ role }) => role === "worker")!.name;
    const held = () => list().nodes.find(({ node }) => node.node_id === worker);
    await cluster.until("the worker's session", async () => ((held()?.sessions ?? 0) > 0 ? true : null));

    assert.equal(list().feature_level, 1);
    assert.equal(run("cluster", "upgrade"), "feature level 1\n");

    assert.equal(run("node", "cordon", worker, "--reason", "new fans"), `${worker} is up, cordoned\n`);
    const { last_event: event } = held()!.node;
    assert.deepEqual([event!.name, event!.reason], ["NODE_CORDONED", "new fans"]);
    assert.match(event!.by, /@/);
    const client = cluster.client();
    const { item } = await client.work.enqueue({ kind: "test.short", queue: "default" });
    assert.equal(run("node", "drain", worker), `${worker} is up, draining\n`);
    assert.equal((await client.work.get(item.workId)).state, "PENDING");
    assert.equal(run("node", "uncordon", worker), `${worker} is up\n`);
    await cluster.until("the item", async () => ((await client.work.get(item.workId)).state === "SUCCEEDED" ? true : null));

    const busy = ringraft(["node", "forget", worker], env);
    assert.deepEqual([busy.status, /session/.test(busy.stderr)], [4, true], busy.stderr);
    await cluster.signal(worker, "SIGTERM");
    await cluster.until("its last session's end", async () => (held()!.sessions === 0 ? true : null));
    assert.equal(run("node", "forget", worker, "--incarnation", "7.3"), `${worker} is evicted\n`);
    assert.equal(held()!.node.incarnation.epoch, 7 + 2 ** 20);
    assert.match(run("node", "list"), new RegExp(`^${worker} +evicted .* NODE_EVICTED `, "m"));
    assert.equal(run("node", "readmit", worker), `${worker} is up\n`);

    const wrong = ringraft(["node", "forget", worker, "--incarnation", "7"], env);
    assert.deepEqual([wrong.status, wrong.stdout], [2, ""], wrong.stderr);
  },
);
