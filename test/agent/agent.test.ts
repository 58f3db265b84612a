import assert from "node:assert/strict";
import { once } from "node:events";
import { spawn } from "node:child_process";
import { type TestContext, test } from "node:test";
import { type Agent, type Handler, runAgent } from "#agent";
import type { HandlerConfig } from "#config";
import { MonotonicMs, NodeId, WallTimeMs, seededRandom } from "#kernel";
import type { Log } from "#ports";
import { openProcesses } from "../../src/host/process.ts";
import { FakeQueue } from "./fake-client.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

/** A command that runs `script` in Node. */
function script(text: string, more: Partial<HandlerConfig> = {}): HandlerConfig {
  return { command: [process.execPath, "-e", text], workingDirectory: "/", nice: 0, timeoutMs: 0, environment: {}, ...more };
}

interface SetUp {
  readonly commands?: Readonly<Record<string, HandlerConfig>>;
  readonly handlers?: Readonly<Record<string, Handler>>;
  readonly slots?: number;
  readonly drainTimeoutMs?: number;
}

function setUp(t: TestContext, { commands = {}, handlers = {}, slots = 2, drainTimeoutMs = 0 }: SetUp) {
  const queue = new FakeQueue();
  const processes = openProcesses();
  const agent: Agent = runAgent(
    {
      nodeId: NodeId("w1"),
      incarnation: 1,
      endpoints: ["a:1", "b:2"],
      clusterId: null,
      killGraceMs: 200,
      worker: {
        queues: ["default"],
        slots,
        ttlMs: 15_000,
        drainTimeoutMs,
        capabilities: { gpuCount: 0, gpuMemoryMib: 0, gpuModel: "", cuda: 0, cpu: 1, memoryMib: 1, diskMib: 1, labels: {} },
        handlers: new Map(Object.entries(commands)),
      },
    },
    {
      client: queue.client,
      processes,
      log: silent,
      random: seededRandom(1),
      handlers: new Map(Object.entries(handlers)),
      clock: { now: () => ({ monotonicMs: MonotonicMs(performance.now()), wallMs: WallTimeMs(0) }) },
      timers: {
        after: (delayMs, run) => timer(setTimeout(run, delayMs)),
        every: (periodMs, run) => timer(setInterval(run, periodMs)),
        soon: setImmediate,
      },
    },
  );
  t.after(async () => {
    await agent.drain();
    processes.close();
  });
  return { queue, agent };
}

const timer = (handle: NodeJS.Timeout) => ({ cancel: () => clearTimeout(handle) });
const forEver: Handler = ({ signal }) =>
  new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("stopped"))));

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function dead(pid: number): Promise<void> {
  while (alive(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
}

test("a child gets its payload and its identity, reports progress, and its result completes the item", async (t) => {
  const child = `
    const { RINGRAFT_WORK_ID: id, RINGRAFT_FENCING_TOKEN: token, RINGRAFT_ATTEMPT: attempt, RINGRAFT_ENDPOINTS: endpoints } = process.env;
    const payload = require("fs").readFileSync(0, "utf8");
    console.log(JSON.stringify({ progress: { percent: 50, step: "half" } }));
    setTimeout(() => console.log(JSON.stringify({ result: { id, token, attempt, endpoints, payload } })), 1100);`;
  const { queue } = setUp(t, { commands: { k: script(child) } });
  queue.add("w-1", "k", { payload: "in" });
  await queue.until(() => queue.told.length === 1);
  const result = { id: "w-1", token: "2", attempt: "1", endpoints: "a:1,b:2", payload: "in" };
  assert.deepEqual(queue.told[0], { kind: "complete", workId: "w-1", result: JSON.stringify(result), error: null });
  assert.deepEqual(queue.progress[0], { percent: 50, step: "half", message: "" });
});

test("exit code 65 fails for good; another code is retryable and carries the end of standard error", async (t) => {
  const { queue } = setUp(t, {
    commands: { data: script("process.exit(65)"), crash: script('console.error("out of memory"); process.exit(3)') },
  });
  queue.add("w-1", "data");
  queue.add("w-2", "crash");
  await queue.until(() => queue.told.length === 2);
  const errors = new Map(queue.told.map((told) => [told.workId, told.kind === "complete" ? told.error : null]));
  assert.deepEqual([errors.get("w-1")?.code, errors.get("w-1")?.retryable], ["EXIT_65", false]);
  assert.deepEqual([errors.get("w-2")?.retryable, errors.get("w-2")?.message], [true, "exit code 3: out of memory"]);
});

test("a program that cannot be started, and a kind without a handler, are retryable failures", async (t) => {
  const { queue } = setUp(t, { commands: { gone: { ...script(""), command: ["/no/such/program"] } } });
  queue.add("w-1", "gone");
  queue.add("w-2", "nobody");
  await queue.until(() => queue.told.length === 2);
  const codes = queue.told
    .map((told) => (told.kind === "complete" ? told.error?.code : undefined) ?? "")
    .toSorted((a, b) => a.localeCompare(b));
  assert.deepEqual(codes, ["NO_HANDLER", "SPAWN_FAILED"]);
});

test("a child that outlives its time is terminated, then killed with all it has started: TIMEOUT", async (t) => {
  const child = `
    process.on("SIGTERM", () => {});
    const grandchild = require("child_process").spawn(process.execPath, ["-e", "process.on('SIGTERM',()=>{});setInterval(()=>{},1e3)"]);
    console.log(JSON.stringify({ progress: { message: String(grandchild.pid) } }));
    setInterval(() => {}, 1e3);`;
  const { queue } = setUp(t, { commands: { k: script(child, { timeoutMs: 1_300 }) } });
  queue.add("w-1", "k");
  await queue.until(() => queue.told.length === 1);
  const [told] = queue.told;
  assert.equal(told?.kind === "complete" && told.error?.cause, "timeout");
  await dead(Number(queue.progress.at(-1)?.message));
});

test("a cancel that the watch brings stops the child at once and is reported as such", async (t) => {
  const { queue } = setUp(t, { commands: { k: script("setInterval(() => {}, 1e3)") } });
  queue.add("w-1", "k");
  await queue.until(() => queue.items.get("w-1")?.state === "RUNNING");
  setTimeout(() => queue.cancel("w-1"), 50);
  await queue.until(() => queue.told.length === 1);
  const [told] = queue.told;
  assert.equal(told?.kind === "complete" && told.error?.cause, "cancelled");
});

test("a worker whose session has ended kills its work, reports nothing, and goes on in a new session (issue 2: FENCED)", async (t) => {
  const { queue } = setUp(t, { commands: { k: script("setInterval(() => {}, 1e3)") }, handlers: { next: async () => "done" } });
  queue.add("w-1", "k");
  await queue.until(() => queue.items.get("w-1")?.state === "RUNNING");
  queue.sessions[0]!.expire();
  await queue.until(() => queue.sessions.length === 2);
  queue.add("w-2", "next");
  await queue.until(() => queue.told.length === 1);
  assert.equal(queue.told[0]?.workId, "w-2");
});

test("an item whose token was outbid is dropped, its neighbours run on", async (t) => {
  const finish = Promise.withResolvers<string>();
  const { queue, agent } = setUp(t, { handlers: { lost: forEver, kept: () => finish.promise } });
  queue.add("w-1", "lost");
  queue.add("w-2", "kept");
  await queue.until(() => [...queue.items.values()].every((item) => item.state === "RUNNING"));
  await new Promise((resolve) => setTimeout(resolve, 10));
  queue.put("w-1", { claim: null, state: "PENDING" });
  while (agent.running > 1) await new Promise((resolve) => setImmediate(resolve));
  finish.resolve("ok");
  await queue.until(() => queue.told.length === 1);
  assert.equal(queue.told[0]?.workId, "w-2");
  assert.equal(queue.sessions.length, 1);
});

test("draining releases what does not finish in time, without a new claim, and closes the session", async (t) => {
  const { queue, agent } = setUp(t, { handlers: { long: forEver, short: async () => "ok" }, drainTimeoutMs: 30 });
  queue.add("w-1", "long");
  await queue.until(() => queue.items.get("w-1")?.state === "RUNNING");
  const drained = agent.drain();
  queue.add("w-2", "short");
  await drained;
  assert.deepEqual(
    queue.told.map((told) => [told.kind, told.workId]),
    [["release", "w-1"]],
  );
  assert.equal(queue.items.get("w-2")?.state, "PENDING");
  assert.equal(queue.sessions[0]?.closed, true);
});

test("draining waits for what finishes in time", async (t) => {
  const finish = Promise.withResolvers<string>();
  const { queue, agent } = setUp(t, { handlers: { k: () => finish.promise }, drainTimeoutMs: 5_000 });
  queue.add("w-1", "k");
  await queue.until(() => queue.items.get("w-1")?.state === "RUNNING");
  const drained = agent.drain();
  finish.resolve("made it");
  await drained;
  assert.deepEqual(queue.told, [{ kind: "complete", workId: "w-1", result: "made it", error: null }]);
});

test("never more items at once than slots", async (t) => {
  let [open, most] = [0, 0];
  const handler: Handler = async () => {
    most = Math.max(most, ++open);
    await new Promise((resolve) => setImmediate(resolve));
    open--;
    return "";
  };
  const { queue } = setUp(t, { handlers: { k: handler }, slots: 3 });
  for (let i = 0; i < 20; i++) queue.add(`w-${i}`, "k");
  await queue.until(() => queue.told.length === 20);
  assert.equal(most, 3);
});

test("a handler's failure is retryable unless it says otherwise", async (t) => {
  const { queue } = setUp(t, {
    handlers: {
      flaky: () => Promise.reject(new Error("try again")),
      wrong: () => Promise.reject(Object.assign(new Error("bad input"), { retryable: false })),
    },
  });
  queue.add("w-1", "flaky");
  queue.add("w-2", "wrong");
  await queue.until(() => queue.told.length === 2);
  const told = new Map(queue.told.map((report) => [report.workId, report.kind === "complete" ? report.error?.retryable : null]));
  assert.deepEqual([told.get("w-1"), told.get("w-2")], [true, false]);
});

test("an item whose start was not answered is not forgotten while the session lives: it is started again", async (t) => {
  const { queue } = setUp(t, { handlers: { job: async () => "done" }, slots: 1 });
  queue.losesNext = "start";
  queue.add("w1", "job");
  await queue.until(() => queue.told.length === 1);
  assert.deepEqual(queue.told, [{ kind: "complete", workId: "w1", result: "done", error: null }]);
});

test("an item whose report was not answered is given back, for somebody to do", async (t) => {
  const { queue } = setUp(t, { handlers: { job: async () => "done" }, slots: 1 });
  queue.losesNext = "complete";
  queue.add("w1", "job");
  await queue.until(() => queue.told.length === 1);
  assert.deepEqual(queue.told, [{ kind: "release", workId: "w1", reason: "its report was not answered" }]);
});

test("children do not outlive an agent that is killed (consul: a child ran on for minutes after the loss)", async () => {
  const source = `
    import { openProcesses } from "${new URL("../../src/host/process.ts", import.meta.url).href}";
    openProcesses().spawn(
      { command: [process.execPath, "-e", "console.log(process.pid);setInterval(()=>{},1e3)"], workingDirectory: "/", environment: {}, nice: 1, input: "" },
      { onOutput: (text) => process.stdout.write(text), onErrorOutput() {}, onExit() {} },
    );`;
  const agent = spawn(process.execPath, ["--input-type=module-typescript", "-e", source], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [pid] = (await once(agent.stdout.setEncoding("utf8"), "data")) as [string];
  assert.ok(alive(Number(pid)));
  agent.kill("SIGKILL");
  await dead(Number(pid));
});
