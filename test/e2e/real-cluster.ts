import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { connect, type Client, type ClientOptions } from "#client";
// The layout of `ringraft dev` is the layout under test: same configuration, same processes.
import { type DevHandler, type DevLayout, devConfig, devLayout } from "../../src/cli/dev/layout.ts";
import { isFreePort } from "../../src/cli/dev/leftovers.ts";

export interface RealClusterOptions {
  readonly voters: number;
  readonly workers: number;
  readonly handlers?: readonly DevHandler[];
  readonly workerSettings?: readonly string[];
  readonly queue?: string;
  readonly nodeOptions?: string;
  /** More of the command line of `serve`, for the node of this name. */
  readonly serveOptions?: (name: string) => readonly string[];
  /** Appended to the configuration file. */
  readonly extraConfig?: string;
  /** The last word on the configuration file. */
  readonly editConfig?: (text: string, layout: DevLayout) => string;
}

/** The part of `GET /status` that the tests look at. */
export interface StatusBody {
  readonly status: string;
  readonly node_id: string;
  readonly leader_id: string | null;
  readonly role: string;
  readonly term: string;
  readonly alive_peers: number;
  readonly total_peers: number;
  readonly voters: Readonly<Record<string, { readonly alive: boolean }>>;
  readonly commit_index: string;
  readonly applied_index: string;
  readonly cluster_health: string;
  readonly stale_ms: number;
}

/** Real `ringraft serve` processes on loopback, in a scratch folder. `stop` kills whatever is left and removes it. */
export class RealCluster {
  readonly layout: DevLayout;
  readonly #options: RealClusterOptions;
  readonly #children = new Map<string, ChildProcess>();
  readonly #clients: Client[] = [];

  constructor(layout: DevLayout, options: RealClusterOptions) {
    this.layout = layout;
    this.#options = options;
  }

  static async start(options: RealClusterOptions): Promise<RealCluster> {
    const cluster = await RealCluster.prepare(options);
    cluster.startAll();
    await cluster.leader();
    return cluster;
  }

  /** Configuration, folders and `cluster init` on the first voter; nothing runs yet. */
  static async prepare(options: RealClusterOptions): Promise<RealCluster> {
    const folder = mkdtempSync(join(tmpdir(), "ringraft-e2e-"));
    const layout = devLayout(folder, await freeBasePort((options.voters + options.workers) * 10), options);
    const cluster = new RealCluster(layout, options);
    mkdirSync(layout.logFolder);
    mkdirSync(layout.pipelineFolder);
    const config = devConfig(layout, {
      handlers: options.handlers ?? [],
      workingFolder: root,
      workerSettings: options.workerSettings ?? [],
      queue: options.queue ?? "default",
    });
    const text = config + (options.extraConfig ?? "");
    writeFileSync(layout.configFile, options.editConfig?.(text, layout) ?? text, { mode: 0o600 });
    const init = ringraft(["cluster", "init", "--config", layout.configFile, "--node-id", layout.nodes[0]!.name]);
    if (init.status !== 0) throw new Error(howEnded(init));
    return cluster;
  }

  startNode(name: string, flags: NodeJS.ProcessEnv = {}): void {
    const log = openSync(join(this.layout.logFolder, `${name}.log`), "a");
    const env =
      this.#options.nodeOptions === undefined ? process.env : { ...process.env, NODE_OPTIONS: this.#options.nodeOptions };
    const more = this.#options.serveOptions?.(name) ?? [];
    const child = spawn(process.execPath, [launcher, "serve", "--config", this.layout.configFile, "--node-id", name, ...more], {
      stdio: ["ignore", log, log],
      env: { ...env, ...flags },
    });
    this.#children.set(name, child);
  }

  /** Sends a signal; for those that end a process, resolves when it is gone. */
  async signal(name: string, signal: NodeJS.Signals): Promise<void> {
    const child = this.#children.get(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) throw new Error(`${name} is not running`);
    const gone = new Promise<void>((done) => child.once("exit", () => done()));
    child.kill(signal);
    if (signal === "SIGKILL" || signal === "SIGTERM") await gone;
  }

  async killAll(): Promise<void> {
    await Promise.all(this.layout.nodes.map((node) => this.signal(node.name, "SIGKILL")));
  }

  startAll(): void {
    for (const node of this.layout.nodes) this.startNode(node.name);
  }

  exitCode(name: string): number | null {
    return this.#children.get(name)?.exitCode ?? null;
  }

  /** Resolves with the exit code of a process that ends by itself. */
  async exited(name: string): Promise<number | null> {
    const child = this.#children.get(name)!;
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit", { signal: AbortSignal.timeout(30_000) });
    return child.exitCode;
  }

  pid(name: string): number {
    return this.#children.get(name)!.pid!;
  }

  httpPort(name: string): number {
    return this.layout.nodes.find((node) => node.name === name)!.ports.http;
  }

  async status(name: string): Promise<StatusBody | null> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.httpPort(name)}/status`, { signal: AbortSignal.timeout(1_000) });
      return (await answer.json()) as StatusBody;
    } catch {
      return null;
    }
  }

  /** The name of the node that says of itself that it leads; other than `not`, when given. */
  async leader(not: string | null = null): Promise<string> {
    return this.until("a leader", async () => {
      for (const node of this.layout.nodes) {
        if (node.role !== "voter" || node.name === not) continue;
        const status = await this.status(node.name);
        if (status?.role === "leader") return node.name;
      }
      return null;
    });
  }

  /** Polls `find` until it gives something; fails with the logs' last lines after `seconds`. */
  async until<T>(what: string, find: () => Promise<T | null>, seconds = 60): Promise<T> {
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      const found = await find();
      if (found !== null) return found;
      await pause(100);
    }
    throw new Error(`${what} did not come within ${seconds} s\n${this.logs()}`);
  }

  /** Everything that the node has printed, over all its starts. */
  log(name: string): string {
    return readFileSync(join(this.layout.logFolder, `${name}.log`), "utf8");
  }

  logs(lines = 8): string {
    return this.layout.nodes
      .filter((node) => this.#children.has(node.name))
      .map((node) => {
        const text = this.log(node.name).trimEnd().split("\n").slice(-lines);
        return [`== ${node.name}`, ...text].join("\n");
      })
      .join("\n");
  }

  client(timeoutMs = 20_000, tls: Pick<ClientOptions, "tls"> = {}): Client {
    const client = connect({ endpoints: this.layout.endpoints, timeoutMs, ...tls });
    this.#clients.push(client);
    return client;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close().catch(() => {})));
    for (const [, child] of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((done) => child.once("exit", done));
      child.kill("SIGKILL");
      await gone;
    }
    rmSync(this.layout.folder, { recursive: true, force: true });
  }
}

/** How one CLI command went. `status` is null when it was killed; `waitedMs` says after how long. */
export interface CommandEnded {
  readonly args: readonly string[];
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly waitedMs: number;
}

/** Runs one CLI command to its end, or kills it after `timeoutMs`. */
export function ringraft(args: readonly string[], env: NodeJS.ProcessEnv = {}, timeoutMs = 30_000): CommandEnded {
  const startedAt = performance.now();
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args], {
    encoding: "utf8",
    env: { ...process.env, ...env },
    timeout: timeoutMs,
  });
  return { args, status, signal, stdout, stderr, waitedMs: Math.round(performance.now() - startedAt) };
}

/** For the message of a test that waited for it: one that was killed has often printed nothing at all. */
export function howEnded({ args, status, signal, stdout, stderr, waitedMs }: CommandEnded): string {
  const end = status === null ? `did not end by itself and was killed (${signal})` : `ended with exit code ${status}`;
  const said = [stdout, stderr].map((text) => text.trim()).filter((text) => text !== "");
  return `\`ringraft ${args.join(" ")}\` ${end} after ${waitedMs} ms, and printed${said.length === 0 ? " nothing" : `:\n${said.join("\n")}`}`;
}

const root = resolve(import.meta.dirname, "..", "..");
const launcher = join(root, "bin", "ringraft.js");

/** A base such that the whole range above it is free at this moment. */
export async function freeBasePort(count: number): Promise<number> {
  for (let base = 20_000 + (process.pid % 300) * 100; base < 65_000 - count; base += count) {
    const ports = Array.from({ length: count }, (_, at) => base + at);
    const free = await Promise.all(ports.map(isFreePort));
    if (free.every(Boolean)) return base;
  }
  throw new Error("no free range of ports");
}
