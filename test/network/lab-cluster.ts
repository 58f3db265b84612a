import { type ChildProcess, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { openSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Machine } from "./lab.ts";
import { spawnIn } from "./namespaces.ts";

/** The part of `GET /v1/nodes` that the tests look at. */
export interface View {
  readonly node_id: string;
  readonly converged: boolean;
  readonly digest: string;
  readonly lifecycle: string;
  readonly partition: { readonly here: readonly string[]; readonly lost: readonly string[] } | null;
  readonly self_test: Readonly<Record<string, string>>;
  readonly nodes: readonly Seen[];
}

export interface Seen {
  readonly node_id: string;
  readonly state: string;
  readonly incarnation: string;
  readonly path: string;
  readonly relays: readonly string[];
}

export interface LogLine {
  readonly by: string;
  readonly atMs: number;
  readonly message: string;
  readonly member: string;
  readonly incarnation: string;
}

/** `ringraft serve` on the machines of a lab: those named voter-… vote, all others are workers. Profile mesh. */
export class LabCluster {
  readonly machines: ReadonlyMap<string, Machine>;
  readonly #folder: string;
  readonly #children = new Map<string, ChildProcess>();

  constructor(folder: string, machines: ReadonlyMap<string, Machine>) {
    this.machines = machines;
    this.#folder = folder;
    writeFileSync(join(folder, "gossip.key"), `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
    writeFileSync(this.#config, configuration(folder, machines), { mode: 0o600 });
    const [first] = machines.keys();
    const init = spawnSync(process.execPath, [launcher, "cluster", "init", "--config", this.#config, "--node-id", first!]);
    if (init.status !== 0) throw new Error(`cluster init failed: ${init.stderr.toString()}`);
  }

  get names(): readonly string[] {
    return [...this.machines.keys()];
  }

  /** Those that run. */
  get running(): readonly string[] {
    return [...this.#children].filter(([, child]) => isRunning(child)).map(([name]) => name);
  }

  start(name: string): void {
    const log = openSync(this.#logFile(name), "a");
    const serve = [process.execPath, launcher, "serve", "--config", this.#config, "--node-id", name];
    const { namespace } = this.machines.get(name)!;
    this.#children.set(name, spawnIn(namespace, serve, { stdio: ["ignore", log, log] }));
  }

  /** `atOnce` at a time: on a small machine a crowd of starts is slower than a queue. */
  async startAll(atOnce = 4): Promise<void> {
    for (const name of this.names) {
      this.start(name);
      const starting = (): Promise<readonly unknown[]> =>
        Promise.all(this.running.map((other) => this.view(other))).then((views) => views.filter((view) => view === null));
      while ((await starting()).length >= atOnce) await pause(100);
    }
  }

  async kill(name: string): Promise<void> {
    const child = this.#children.get(name)!;
    const gone = new Promise((done) => child.once("exit", done));
    child.kill("SIGKILL");
    await gone;
  }

  async view(name: string): Promise<View | null> {
    return (await this.get(name, "/v1/nodes")) as View | null;
  }

  /** The JSON that a node answers with; null while it has no answer. */
  async get(name: string, path: string): Promise<unknown> {
    try {
      const url = `http://${this.machines.get(name)!.watchedAt}:8770${path}`;
      const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) });
      return answer.ok ? await answer.json() : null;
    } catch {
      return null;
    }
  }

  views(names: readonly string[] = this.running): Promise<readonly (View | null)[]> {
    return Promise.all(names.map((name) => this.view(name)));
  }

  /** How `observers` hold `name`; null where one does not answer (a busy machine), or has not heard of it. */
  async seen(name: string, observers: readonly string[]): Promise<readonly (Seen | null)[]> {
    const views = await this.views(observers);
    return views.map((view) => view?.nodes.find(({ node_id: id }) => id === name) ?? null);
  }

  /** Polls until `holds` does, and gives the seconds that it took; throws after `seconds` with the last lines of the logs. */
  async until(what: string, holds: () => Promise<boolean>, seconds: number): Promise<number> {
    const start = performance.now();
    while (!(await holds())) {
      if (performance.now() - start > seconds * 1_000) throw new Error(`not within ${seconds} s: ${what}\n${this.#tails()}`);
      await pause(50);
    }
    return (performance.now() - start) / 1_000;
  }

  /** What a node has logged; its warnings about the configuration are plain text. */
  log(name: string): readonly LogLine[] {
    return readFileSync(this.#logFile(name), "utf8")
      .split("\n")
      .filter((line) => line.startsWith("{") && line.endsWith("}"))
      .map((line) => JSON.parse(line) as Partial<LogLine> & { readonly time: string; readonly message: string })
      .map(({ time, message, member = "", incarnation = "" }) => ({
        by: name,
        atMs: Date.parse(time),
        message,
        member,
        incarnation,
      }));
  }

  /** Lines of all nodes that tell of `member`, oldest first. */
  told(message: string, member: string): readonly LogLine[] {
    return this.names
      .flatMap((name) => this.log(name))
      .filter((line) => line.message === message && line.member === member)
      .toSorted((a, b) => a.atMs - b.atMs);
  }

  async stop(): Promise<void> {
    await Promise.all(this.running.map((name) => this.kill(name)));
  }

  get #config(): string {
    return join(this.#folder, "cluster.yaml");
  }

  #logFile(name: string): string {
    return join(this.#folder, `${name}.log`);
  }

  #tails(): string {
    return this.names
      .map((name) => `== ${name}\n${readFileSync(this.#logFile(name), "utf8").split("\n").slice(-6).join("\n")}`)
      .join("\n");
  }
}

const launcher = resolve(import.meta.dirname, "..", "..", "bin", "ringraft.js");

/** `insecure`: the lab's networks end in the lab. */
function configuration(folder: string, machines: ReadonlyMap<string, Machine>): string {
  return [
    "hosts:",
    ...[...machines].flatMap(([name, { address }]) => [
      `  ${name}:`,
      `    host: ${address}`,
      "    ringraft:",
      `      data_dir: ${JSON.stringify(join(folder, name))}`,
    ]),
    "voters:",
    ...[...machines.keys()].filter((name) => name.startsWith("voter-")).map((name) => `  - ${name}`),
    "timing: {profile: mesh}",
    "insecure: true",
    "worker: {queues: [default]}",
    "membership: {key_file: gossip.key}",
    "",
  ].join("\n");
}

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}
