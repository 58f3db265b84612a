import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { RealCluster, ringraft } from "./real-cluster.ts";
import { withMembership } from "./swim-config.ts";

interface NodesBody {
  readonly node_id: string;
  readonly converged: boolean;
  readonly digest: string;
  readonly boot: string;
  readonly self_test: Readonly<Record<string, string>>;
  readonly nodes: readonly {
    readonly node_id: string;
    readonly state: string;
    readonly incarnation: string;
    readonly degraded: boolean;
    readonly path: string;
  }[];
}

const launcher = resolve(import.meta.dirname, "..", "..", "bin", "ringraft.js");
let cluster: RealCluster;
const names = ["voter-1", "voter-2", "voter-3", "worker-1", "worker-2"];

before(async () => {
  cluster = await RealCluster.start({
    voters: 3,
    workers: 2,
    nodeOptions: `--require ${join(import.meta.dirname, "block-main.cjs")}`,
    editConfig: withMembership,
  });
});
after(() => cluster.stop());

async function nodes(of: string): Promise<NodesBody | null> {
  try {
    const answer = await fetch(`http://127.0.0.1:${cluster.httpPort(of)}/v1/nodes`, { signal: AbortSignal.timeout(1_000) });
    return answer.ok ? ((await answer.json()) as NodesBody) : null;
  } catch {
    return null;
  }
}

/** Resolves with the seconds that it took until every observer holds `name` in `state`. */
async function knownAs(state: string, name: string, observers: readonly string[], seconds: number): Promise<number> {
  const start = performance.now();
  await cluster.until(
    `${name} ${state} at ${observers.join(", ")}`,
    async () => {
      const views = await Promise.all(observers.map(nodes));
      return views.every((view) => view?.nodes.some((node) => node.node_id === name && node.state === state)) ? true : null;
    },
    seconds,
  );
  return (performance.now() - start) / 1_000;
}

test(
  "five real nodes find each other through the voters, agree on one digest, and say that they have converged",
  { timeout: 150_000 },
  async () => {
    for (const name of names) {
      const url = `http://127.0.0.1:${cluster.httpPort(name)}/health?converged=true&timeout=30s`;
      const answer = await fetch(url, { signal: AbortSignal.timeout(35_000) });
      const body = (await answer.json()) as { converged: boolean; reasons: readonly string[] };
      assert.deepEqual([answer.status, body.converged, body.reasons], [200, true, []], name);
    }
    const views = await Promise.all(names.map(nodes));
    assert.equal(new Set(views.map((view) => view?.digest)).size, 1);
    for (const view of views) {
      assert.deepEqual(
        view?.nodes.map(({ node_id, state }) => [node_id, state]),
        names.map((name) => [name, "alive"]),
      );
    }
  },
);

test("the start-up self-test says what the network lets through", { timeout: 30_000 }, async () => {
  await cluster.until(
    "a self-test in the log",
    async () => (cluster.log("worker-1").includes("membership self-test") ? true : null),
    10,
  );
  const { self_test: found } = (await nodes("worker-1"))!;
  assert.deepEqual([found["udp"], found["udp_in"], found["stream_out"], found["clock"]], ["ok", "ok", "ok", "ok"]);
});

test(
  "a worker that is killed is known dead by all within the profile's time, and alive by all once it is back under its name",
  { timeout: 120_000 },
  async () => {
    const others = names.filter((name) => name !== "worker-2");
    const before = (await nodes("worker-2"))!.boot;
    await cluster.signal("worker-2", "SIGKILL");
    // Profile local: about 2 T + Min + gossip = 2 + 4 + 1 s; suspicions without confirmation last longer.
    const took = await knownAs("dead", "worker-2", others, 30);
    assert.ok(took < 20, `it took ${took} s`);
    cluster.startNode("worker-2");
    const back = await knownAs("alive", "worker-2", others, 30);
    assert.ok(back < 15, `it took ${back} s`);
    assert.equal(Number((await nodes("worker-2"))!.boot), Number(before) + 1);
  },
);

test(
  "a node whose main thread is blocked for five seconds is gossiped degraded and declared dead by nobody",
  { timeout: 60_000 },
  async () => {
    const observers = names.filter((name) => name !== "voter-2");
    await cluster.signal("voter-2", "SIGUSR2");
    let degraded = false;
    const end = performance.now() + 8_000;
    while (performance.now() < end) {
      for (const view of await Promise.all(observers.map(nodes))) {
        const seen = view?.nodes.find((node) => node.node_id === "voter-2");
        assert.notEqual(seen?.state, "dead");
        degraded ||= seen?.degraded === true;
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert.ok(degraded);
    for (const name of observers) assert.doesNotMatch(cluster.log(name), /"member died"[^\n]*voter-2/, name);
  },
);

test("a node that is stopped leaves, and is no crash", { timeout: 60_000 }, async () => {
  await cluster.signal("worker-1", "SIGTERM");
  await knownAs(
    "left",
    "worker-1",
    names.filter((name) => name !== "worker-1"),
    10,
  );
});

test("the commands show what a node sees", { timeout: 30_000 }, () => {
  const http = `127.0.0.1:${cluster.httpPort("voter-1")}`;
  const shown = ringraft(["members", "--http", http]);
  assert.equal(shown.status, 0, shown.stderr);
  assert.match(shown.stdout, /^NODE +STATE +INCARNATION/);
  assert.match(shown.stdout, /^NODE.* CLAIMS +LOCKS +PROVIDER /);
  assert.match(shown.stdout, /^worker-2 +alive +2\.\d+ .* ms +\d\S* +0 +0 +- /m);
  const seen = ringraft(["monitor", "--config", cluster.layout.configFile]);
  assert.ok(seen.status === 0 || seen.status === 8, seen.stderr);
  assert.match(seen.stdout, /^voter-\d leads, term \d+; quorum ok /m);
  assert.match(seen.stdout, /^ {2}worker-1 since .*: ECONNREFUSED$/m);
  assert.match(seen.stdout, /^ {2}voter-1 +up +\d+ +0$/m);
  assert.match(seen.stdout, /^ {2}worker-2 +alive /m);
  assert.match(seen.stdout, /^ {2}\d\d:\d\d:\d\dZ {2}member left member=worker-1 /m);
  const waited = ringraft(["wait", "--for", "converged", "--timeout", "20", "--http", http]);
  assert.equal(waited.status, 0, waited.stderr);
});

test(
  "the monitor goes on while a node comes and goes, without a terminal in plain frames, and ends cleanly when it is told to",
  { timeout: 60_000 },
  async () => {
    const monitor = spawn(
      process.execPath,
      [launcher, "monitor", "--watch", "--interval", "0.5", "--http", `127.0.0.1:${cluster.httpPort("worker-2")}`],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    let shown = "";
    monitor.stdout.setEncoding("utf8").on("data", (text: string) => (shown += text));
    const shows = (what: RegExp) => cluster.until(String(what), async () => (what.test(shown) ? true : null), 30);
    await shows(/^voter-\d leads/m);
    await cluster.signal("worker-2", "SIGKILL");
    await shows(/^NOBODY ANSWERS since .* below is what was heard last/m);
    const ended = once(monitor, "exit");
    monitor.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null]);
    assert.ok(!shown.includes("\u001b"), shown);
  },
);
