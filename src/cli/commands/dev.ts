import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ExitError } from "#kernel";
import { type Command, parse, UsageError } from "../command.ts";
import { type DevHandler, type DevLayout, devConfig, devLayout } from "../dev/layout.ts";
import { checkPorts, forgetProcesses, recordProcesses, stopLeftovers } from "../dev/leftovers.ts";
import { elapsedSince, fetchProgress, progressLine } from "../dev/progress.ts";
import { Screen } from "../dev/screen.ts";
import { Supervisor } from "../dev/supervisor.ts";

const RESTART_AFTER_MS = 3_000;
const PROGRESS_MS = 2_000;

export const dev: Command = {
  name: "dev",
  summary: "Five voters and three workers on this machine, running the example pipeline (npm start)",
  usage: "[--fresh] [--no-restart] [--no-pipeline] [--base-port N] [--data DIR]",
  details: `Every node is its own \`ringraft serve\` process on 127.0.0.1; data and logs stay in DIR and the next start resumes.

Options:
      --fresh               forget everything in DIR first
      --no-restart          a node that dies stays dead (default: started again after 3 s)
      --no-pipeline         start the nodes only
      --base-port N         first port; node number k uses N+10k (HTTP), +1 (membership), +2 (peers), +3 (clients); default 8770
      --data DIR            default .ringraft
Ctrl-C ends it cleanly: workers drain, then the voters stop.`,
  run: async (args) => {
    const { values } = parse(
      args,
      {
        fresh: { type: "boolean" },
        "no-restart": { type: "boolean" },
        "no-pipeline": { type: "boolean" },
        "base-port": { type: "string" },
        data: { type: "string" },
      },
      [],
    );
    const layout = devLayout(resolve(values.data ?? ".ringraft"), basePort(values["base-port"]), { voters: 5, workers: 3 });
    const screen = new Screen(process.stdout);
    const say = (line: string): void => screen.say(line);
    await stopLeftovers(layout, say);
    await checkPorts(layout);
    if (values.fresh === true) clear(layout);
    await prepare(layout, say);
    return runUntilSignal(layout, {
      restartAfterMs: values["no-restart"] === true ? null : RESTART_AFTER_MS,
      pipeline: values["no-pipeline"] !== true,
      screen,
    });
  },
};

async function runUntilSignal(
  layout: DevLayout,
  {
    restartAfterMs,
    pipeline,
    screen,
  }: { readonly restartAfterMs: number | null; readonly pipeline: boolean; readonly screen: Screen },
): Promise<number> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());
  // Whoever read our lines is gone (`npm start | head`): the same as a hang-up.
  process.stdout.on("error", () => stop.abort());
  const say = (line: string): void => screen.say(line);
  const supervisor = new Supervisor({ logFolder: layout.logFolder, restartAfterMs, say });
  for (const node of layout.nodes) {
    supervisor.start({ name: node.name, args: [launcher(), "serve", "--config", layout.configFile, "--node-id", node.name] });
  }
  const http = `http://127.0.0.1:${layout.nodes[0]!.ports.http}`;
  say(
    `ringraft dev: ${layout.nodes.length} nodes, data in ${layout.folder}; try: curl -s ${http}/status | jq . (Ctrl-C ends it)`,
  );
  await Promise.all([
    showProgress(layout, supervisor, screen, stop.signal),
    pipeline ? startPipeline(layout, say, stop.signal) : Promise.resolve(),
  ]);
  say("stopping: workers drain first, then the voters");
  const names = (role: string): readonly string[] => layout.nodes.filter((node) => node.role === role).map((node) => node.name);
  await supervisor.stop([names("worker"), names("voter")]);
  forgetProcesses(layout);
  return 0;
}

async function showProgress(layout: DevLayout, supervisor: Supervisor, screen: Screen, signal: AbortSignal): Promise<void> {
  const started = Date.now();
  while (!signal.aborted) {
    recordProcesses(layout, supervisor.pids());
    const progress = await fetchProgress(layout);
    screen.show(elapsedSince(started), progressLine(progress));
    await pause(PROGRESS_MS, undefined, { signal }).catch(() => {});
  }
}

/** An ordinary client program enqueues the pipeline's coordinator, once by its unique key; tried again until it is in. */
async function startPipeline(layout: DevLayout, say: (line: string) => void, signal: AbortSignal): Promise<void> {
  const args = [pipelineProgram(), "start", "--endpoints", layout.endpoints.join(","), "--data", layout.pipelineFolder];
  while (!signal.aborted) {
    const { promise: ended, resolve: end } = Promise.withResolvers<number | null>();
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], signal });
    let said = "";
    for (const output of [child.stdout, child.stderr]) {
      output.on("data", (text: Buffer) => {
        said = (said + text.toString()).slice(-2_000);
      });
    }
    child.once("error", () => end(null));
    child.once("exit", end);
    if ((await ended) === 0) return say(said.trim());
    if (signal.aborted) return;
    say(`the pipeline could not be submitted and is tried again: ${said.trim()}`);
    await pause(PROGRESS_MS, undefined, { signal }).catch(() => {});
  }
}

/** Writes the configuration and fixes the cluster's first voters, once. */
async function prepare(layout: DevLayout, say: (line: string) => void): Promise<void> {
  for (const folder of [layout.folder, layout.logFolder, layout.pipelineFolder])
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  const gossipKeyFile = join(layout.folder, "gossip.key");
  if (!existsSync(gossipKeyFile)) {
    writeFileSync(gossipKeyFile, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
  }
  const settings = { workingFolder: packageFolder(), workerSettings: ["slots: 2"], queue: "default", gossipKeyFile };
  writeFileSync(layout.configFile, devConfig(layout, { handlers: handlers(), ...settings }), { mode: 0o600 });
  const first = layout.nodes[0]!.name;
  if (existsSync(join(layout.folder, first))) return;
  const { initialiseCluster } = await import("#host");
  const clusterId = await initialiseCluster({ file: layout.configFile, nodeId: first, env: process.env });
  say(`new cluster ${clusterId}`);
}

function clear(layout: DevLayout): void {
  for (const node of layout.nodes) rmSync(join(layout.folder, node.name), { recursive: true, force: true });
  rmSync(layout.pipelineFolder, { recursive: true, force: true });
  rmSync(layout.logFolder, { recursive: true, force: true });
}

function handlers(): readonly DevHandler[] {
  const kinds = { selfplay: 300, train: 600, evaluate: 600, coordinate: 30 * 86_400 };
  return Object.entries(kinds).map(([verb, timeoutSeconds]) => ({
    kind: `hex.${verb}`,
    command: [process.execPath, pipelineProgram(), verb],
    timeoutSeconds,
  }));
}

function basePort(text: string | undefined): number {
  if (text === undefined) return 8770;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1024 || value > 65_000) {
    throw new UsageError(`--base-port takes a port from 1024 to 65000, not "${text}"`);
  }
  return value;
}

function launcher(): string {
  return join(packageFolder(), "bin", "ringraft.js");
}

function pipelineProgram(): string {
  const candidates = ["examples/hex-selfplay/main.ts", "dist/examples/hex-selfplay/main.js"].map((path) =>
    join(packageFolder(), path),
  );
  const found = candidates.find((path) => existsSync(path));
  if (found === undefined) throw new ExitError(1, `the example pipeline is missing: ${candidates[0]}`);
  return found;
}

/** Where bin/ stands: the depth differs between src/cli and the built dist/src/cli, so look for it. */
function packageFolder(): string {
  let folder = fileURLToPath(new URL(".", import.meta.url));
  while (!existsSync(join(folder, "bin", "ringraft.js"))) folder = resolve(folder, "..");
  return folder;
}
