import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { after, before, test } from "node:test";
import type { MembershipLook } from "#membership";
import type { PulseSnapshot } from "#ports";
import { Answers } from "../../src/host/pulse/answers.ts";
import { startPulse, type Pulse } from "../../src/host/pulse/index.ts";

// Through the inside on purpose: these tests are about the thread itself, below the doors.

const snapshot: PulseSnapshot = {
  status: { status: "ok", node_id: "a", leader_id: "a" },
  election: { node_id: "a", leader_id: "a", term: "3" },
  metrics: "ringrift_p2p_is_leader 1\n",
  healthy: true,
  reasons: [],
};
const unexpected = (error: Error): never => assert.fail(error);
const local = { host: "127.0.0.1", port: 0 };

let pulse: Pulse;
before(async () => {
  pulse = await startPulse({ listen: local, nodeId: "a", maxMainStallMs: 30_000, onFailure: unexpected });
  pulse.push(snapshot);
});
after(() => pulse.close());

/** Far above what a busy machine needs for a few answers over loopback. */
const BLOCKED_AT_MOST_MS = 20_000;

const get = (path: string, init?: RequestInit): Promise<Response> => fetch(`http://127.0.0.1:${pulse.port}${path}`, init);

test("status, health and metrics are answered from the snapshot that main pushed", async () => {
  const status = (await (await get("/status?x=1")).json()) as Record<string, unknown>;
  assert.equal(typeof status["stale_ms"], "number");
  assert.deepEqual({ ...status, stale_ms: 0 }, { ...snapshot.status, stale_ms: 0 });
  const health = await get("/health");
  assert.equal(health.status, 200);
  assert.equal(((await health.json()) as Record<string, unknown>)["status"], "ok");
  for (const path of ["/metrics", "/metrics/prometheus"]) {
    const metrics = await get(path);
    assert.match(metrics.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    assert.match(await metrics.text(), /^ringrift_p2p_is_leader 1$[^]*^ringrift_pulse_stale_seconds [\d.]+$/m);
  }
});

test("issue 2: while main is blocked the node still answers /health at once, with a growing stale_ms", async () => {
  // The caller must not live on the blocked thread either. It counts answers from BLOCKED on, and main stays blocked until ENOUGH.
  const [BLOCKED, ENOUGH] = [1, 2];
  const phase = new Int32Array(new SharedArrayBuffer(4));
  const program = `
    const { parentPort, workerData: phase } = require("node:worker_threads");
    (async () => {
      const stale = [];
      while (stale.length < 5 || stale.at(-1) - stale[0] < 400) {
        const isBlocked = Atomics.load(phase, 0) === ${BLOCKED};
        const { stale_ms } = await (await fetch("http://127.0.0.1:${pulse.port}/health")).json();
        if (isBlocked) stale.push(stale_ms);
        else parentPort.postMessage("here");
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
      Atomics.store(phase, 0, ${ENOUGH});
    })();`;
  const caller = new Worker(program, { eval: true, workerData: phase });
  await once(caller, "message");
  const blockedAt = performance.now();
  pulse.push(snapshot);
  Atomics.store(phase, 0, BLOCKED);
  // An answer that needed main would come only after all of this.
  while (Atomics.load(phase, 0) === BLOCKED && performance.now() - blockedAt < BLOCKED_AT_MOST_MS);
  const answered = Atomics.load(phase, 0) === ENOUGH;
  await caller.terminate();
  assert.ok(answered, `no five answers with a growing stale_ms while main was blocked for ${BLOCKED_AT_MOST_MS} ms`);
});

test("a silent main thread is called degraded after 2 s and failing after 30 s", () => {
  let now = 0;
  const answers = new Answers({ nodeId: "a", maxMainStallMs: 30_000 }, () => now);
  const health = () => {
    const { code, body } = answers.health();
    const { status, reasons, stale_ms } = JSON.parse(body) as Record<string, unknown>;
    return { code, status, reasons, stale_ms };
  };
  assert.deepEqual(health(), { code: 503, status: "starting", reasons: ["starting"], stale_ms: 0 });
  answers.accept(snapshot);
  now = 2_000;
  assert.deepEqual(health(), { code: 200, status: "ok", reasons: [], stale_ms: 2_000 });
  now = 5_000;
  const silent = ["main_thread: silent for 5000 ms"];
  assert.deepEqual(health(), { code: 200, status: "degraded", reasons: silent, stale_ms: 5_000 });
  assert.equal((JSON.parse(answers.status().body) as Record<string, unknown>)["status"], "degraded");
  answers.mainBeat();
  assert.deepEqual(health(), { code: 200, status: "ok", reasons: [], stale_ms: 5_000 });
  now += 30_001;
  assert.equal(health().code, 503);
  assert.equal(health().status, "failing");
  const hung = answers.status();
  assert.deepEqual([hung.code, (JSON.parse(hung.body) as Record<string, unknown>)["status"]], [503, "failing"]);
  answers.accept({ ...snapshot, healthy: false, reasons: ["has_leader: no leader"] });
  assert.deepEqual(health(), { code: 503, status: "failing", reasons: ["has_leader: no leader"], stale_ms: 0 });
});

test("how long a silent main thread is only degraded is what the configuration says", () => {
  let now = 0;
  const answers = new Answers({ nodeId: "a", maxMainStallMs: 60_000 }, () => now);
  answers.accept(snapshot);
  now = 60_000;
  assert.deepEqual([answers.health().code, answers.status().code], [200, 200]);
  now = 60_001;
  assert.deepEqual([answers.health().code, answers.status().code], [503, 503]);
});

test("row 49: paths outside the four pages are 404, whatever their spelling", async () => {
  for (const path of [
    "/",
    "/../../etc/passwd",
    "/%2e%2e/status",
    "//host/status",
    "/status/",
    "/Status",
    "/admin/sync/trigger",
  ]) {
    const answer = await raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    assert.match(answer, /^HTTP\/1\.1 404 /, path);
    assert.match(answer, /"reason":"NOT_FOUND"/, path);
  }
  assert.match(await raw("GET http://evil/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), /^HTTP\/1\.1 404 /);
});

test("row 50: only GET and HEAD are answered, and a body is never waited for", async () => {
  const post = await get("/status", { method: "POST", body: "{}" });
  assert.equal(post.status, 405);
  assert.equal(post.headers.get("allow"), "GET, HEAD");
  const head = await get("/health", { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(await head.text(), "");
  const expecting = "POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\nExpect: 100-continue\r\n\r\n";
  assert.match(await raw(expecting), /^HTTP\/1\.1 405 [^]*connection: close/i);
});

test("garbage and oversized headers get a bare 400 without a stack trace", async () => {
  assert.equal(
    await raw("\u0000\u0001garbage\r\n\r\n"),
    "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
  );
  assert.match(await raw(`GET /status HTTP/1.1\r\nHost: x\r\nX: ${"y".repeat(9_000)}\r\n\r\n`), /^HTTP\/1\.1 400 /);
});

test("a port in use is an error that names the port and the way out", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  await assert.rejects(
    startPulse({ listen: { host: "127.0.0.1", port }, nodeId: "a", maxMainStallMs: 30_000, onFailure: unexpected }),
    {
      name: "PulseError",
      code: "EADDRINUSE",
      message: `port ${port} (HTTP status) on 127.0.0.1 is in use by another process: find it with \`ss -ltnp 'sport = :${port}'\` and stop it, or set another ports.http`,
    },
  );
  other.close();
});

test("a bind address that is not this machine's is an error that says so", async () => {
  await assert.rejects(
    startPulse({ listen: { host: "192.0.2.1", port: 0 }, nodeId: "a", maxMainStallMs: 30_000, onFailure: unexpected }),
    {
      code: "EADDRNOTAVAIL",
      message: /this machine has no address 192\.0\.2\.1/,
    },
  );
});

test("the thread does not keep a process alive, and a closed pulse frees its port", async () => {
  const own = await startPulse({ listen: local, nodeId: "a", maxMainStallMs: 30_000, onFailure: unexpected });
  await own.close();
  await own.close();
  await assert.rejects(fetch(`http://127.0.0.1:${own.port}/health`));

  const program = `
    import { startPulse } from ${JSON.stringify(new URL("../../src/host/pulse/index.ts", import.meta.url).href)};
    await startPulse({ listen: { host: "127.0.0.1", port: 0 }, nodeId: "a", maxMainStallMs: 30_000, onFailure: () => process.exit(9) });`;
  for (const [end, code] of [["", 0] as const, ["throw new Error('main died');", 1] as const]) {
    const node = spawn(process.execPath, ["--input-type=module", "-e", program + end], { stdio: "ignore" });
    assert.deepEqual(await once(node, "exit"), [code, null]);
  }
});

test("the thread is found beside its starter in built JavaScript as well", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ringraft-pulse-"));
  const source = new URL("../../src/host/pulse/", import.meta.url);
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  for (const name of readdirSync(source)) {
    const script = stripTypeScriptTypes(readFileSync(new URL(name, source), "utf8"));
    writeFileSync(join(folder, name.replace(/ts$/, "js")), script.replaceAll(/(from "\.\/[\w-]+)\.ts"/g, '$1.js"'));
  }
  const built = (await import(pathToFileURL(join(folder, "index.js")).href)) as { startPulse: typeof startPulse };
  const own = await built.startPulse({ listen: local, nodeId: "a", maxMainStallMs: 30_000, onFailure: unexpected });
  assert.equal((await fetch(`http://127.0.0.1:${own.port}/health`)).status, 503);
  await own.close();
  rmSync(folder, { recursive: true });
});

function raw(request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(pulse.port, "127.0.0.1", () => socket.write(request));
    let answer = "";
    socket.setEncoding("utf8").on("data", (text: string) => (answer += text));
    socket.on("error", reject).on("close", () => resolve(answer));
  });
}

test("GET /v1/nodes shows what the log holds beside what this node sees, with its age; a worker has no log", () => {
  let now = 0;
  const look = { clauses: [] } as unknown as MembershipLook;
  const pages = { look: () => look, summary: () => ({}), nodes: () => ({ nodes: [] }), metrics: () => "" };
  const answers = new Answers({ nodeId: "a", maxMainStallMs: 30_000 }, () => now, pages);
  const committed = () => (JSON.parse(answers.nodes().body) as { readonly committed: unknown }).committed;
  assert.equal(committed(), null, "main has said nothing yet");
  answers.accept(snapshot);
  assert.equal(committed(), null);
  const nodes = { "gpu-1": { state: "DOWN", scheduling: "OPEN" } };
  const holders = { "gpu-2": { claims: 1, locks: 1 } };
  answers.accept({ ...snapshot, status: { status: "ok", committed_nodes: nodes, committed_partition: ["gpu-1"], holders } });
  now = 70;
  assert.deepEqual(committed(), { nodes, partition: ["gpu-1"], holders, stale_ms: 70 });
});
