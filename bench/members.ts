import type { ChildProcess } from "node:child_process";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type DevLayout, devConfig, devLayout } from "../src/cli/dev/layout.ts";
import { ProcessGroup } from "./commit/processes.ts";
import { cpuSeconds, freeBase, leaderOf, residentMb, startVoter } from "./local-voters.ts";

const VOTERS = 5;
const IDLE_TARGET_CORES = 0.5;
const KNOWN_TARGET_MS = 20_000;
const PAUSE_MS = 5_000;
/** Longer than the longest suspicion among so many, so that no verdict is missed. */
const LISTEN_MS = 40_000;
const SETTLE_MS = 20_000;
/** Forty starts on two cores that may be busy. */
const PATIENCE_MS = 300_000;

/** The whole membership of a cluster on one machine: what it costs when idle, how soon all know of a crash of a quarter, and what a paused leader does. */
export async function members(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      agents: { type: "string", default: "36" },
      kills: { type: "string", default: "9" },
      seconds: { type: "string", default: "60" },
      "base-port": { type: "string" },
      json: { type: "string" },
    },
  });
  const [agents, kills, seconds] = [Number(values.agents), Number(values.kills), Number(values.seconds)];
  const group = new ProcessGroup();
  try {
    const basePort = Number(values["base-port"] ?? (await freeBase((VOTERS + agents) * 10)));
    const nodes = await startAll(group, clusterOf(group.folder, basePort, agents));
    const idle = await lookAtIdle(nodes, seconds);
    const crash = await killSome(nodes, kills);
    const stall = await pauseLeader(nodes);
    const report = { voters: VOTERS, agents, profile: "mesh", idle, crash, stall };
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
    const met = [
      line("idle, all together", `${idle.cores.toFixed(3)} cores`, `< ${IDLE_TARGET_CORES}`, idle.cores < IDLE_TARGET_CORES),
      line("  voters, each", `${(idle.voterCores * 100).toFixed(2)} % of a core`),
      line("  agents, each", `${(idle.agentCores * 100).toFixed(2)} % of a core`),
      line("  datagrams sent", `${idle.datagramsPerNodeMinute.toFixed(0)} per node and minute`),
      line(
        "memory, all together",
        `${idle.proportionalMb.toFixed(0)} MB (resident per process: ${idle.residentMb.toFixed(0)} MB)`,
      ),
      line(
        `kill -9 of ${kills}: known everywhere`,
        `p50 ${ms(crash.p50Ms)}, p99 ${ms(crash.p99Ms)}, max ${ms(crash.maxMs)} of ${crash.known}`,
        `max <= ${ms(KNOWN_TARGET_MS)}`,
        crash.known === crash.expected && crash.maxMs <= KNOWN_TARGET_MS,
      ),
      line("  others declared dead", String(crash.othersDead), "0", crash.othersDead === 0),
      line(`leader paused ${ms(PAUSE_MS)}: others dead`, String(stall.othersDead), "0", stall.othersDead === 0),
      line("  the leader itself: suspected, dead", `${stall.leaderSuspected}, ${stall.leaderDead}`),
    ];
    if (met.includes(false)) process.exitCode = 1;
  } finally {
    await group.stop();
  }
}

interface Node {
  readonly name: string;
  readonly httpPort: number;
  readonly child: ChildProcess;
  readonly isVoter: boolean;
  /** What it has logged about members. */
  readonly told: Told[];
}

interface Told {
  readonly atMs: number;
  readonly message: string;
  readonly member: string;
}

interface Cluster {
  readonly layout: DevLayout;
  readonly nodes: readonly Node[];
}

function clusterOf(folder: string, basePort: number, agents: number): DevLayout {
  const layout = devLayout(join(folder, "cluster"), basePort, { voters: VOTERS, workers: agents });
  mkdirSync(layout.logFolder, { recursive: true });
  const keyFile = join(layout.folder, "gossip.key");
  writeFileSync(keyFile, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
  const written = devConfig(layout, { handlers: [], workingFolder: folder, workerSettings: [], queue: "default" });
  const bound = layout.nodes.reduce((text, { ports: { http } }) => {
    const ports = `      ports:\n        http: ${http}\n`;
    return text.replace(ports, `      membership: {bind: "127.0.0.1:${http + 1}"}\n${ports}`);
  }, written);
  const config = `${bound.replace("profile: local", "profile: mesh")}membership: {key_file: ${JSON.stringify(keyFile)}}\n`;
  writeFileSync(layout.configFile, config, { mode: 0o600 });
  const init = ["cluster", "init", "--config", layout.configFile, "--node-id", layout.nodes[0]!.name];
  const { status, stderr } = spawnSync(process.execPath, [launcher, ...init], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return layout;
}

/** A few at a time; resolves when all hold each other alive. */
async function startAll(group: ProcessGroup, layout: DevLayout): Promise<Cluster> {
  const nodes: Node[] = [];
  for (const { name, role, ports } of layout.nodes) {
    const child = startVoter(group, layout, name);
    const node: Node = { name, httpPort: ports.http, child, isVoter: role === "voter", told: [] };
    listen(node);
    nodes.push(node);
    if (nodes.length % AT_ONCE === 0) await until(`${name} answers`, async () => (await lookAt(node)) !== null);
  }
  await leaderOf(layout);
  await until("all hold each other alive", async () => {
    const views = await Promise.all(nodes.map(lookAt));
    return views.every((view) => view?.counts["alive"] === nodes.length && view.digest === views[0]?.digest);
  });
  return { layout, nodes };
}

const AT_ONCE = 4;

async function lookAtIdle({ nodes }: Cluster, seconds: number) {
  await pause(SETTLE_MS);
  const cpu = (): number[] => nodes.map(({ child }) => cpuSeconds(child.pid!));
  const sent = async (): Promise<number> => {
    const views = await Promise.all(nodes.map(lookAt));
    return views.reduce((sum, view) => sum + (view?.traffic.datagrams_sent ?? Number.NaN), 0);
  };
  const [sentBefore, before] = [await sent(), cpu()];
  const startedAt = performance.now();
  await pause(seconds * 1_000);
  const elapsed = (performance.now() - startedAt) / 1_000;
  const used = cpu().map((total, at) => (total - before[at]!) / elapsed);
  const datagrams = (await sent()) - sentBefore;
  const of = (isVoter: boolean): number => mean(used.filter((_, at) => nodes[at]!.isVoter === isVoter));
  return {
    cores: used.reduce((sum, cores) => sum + cores, 0),
    voterCores: of(true),
    agentCores: of(false),
    datagramsPerNodeMinute: (datagrams / nodes.length / elapsed) * 60,
    residentMb: mean(nodes.map(({ child }) => residentMb(child.pid!))),
    proportionalMb: nodes.reduce((sum, { child }) => sum + proportionalMb(child.pid!), 0),
  };
}

async function killSome({ nodes }: Cluster, kills: number) {
  const victims = nodes.filter(({ isVoter }) => !isVoter).slice(0, kills);
  const names = victims.map(({ name }) => name);
  const others = nodes.filter((node) => !victims.includes(node));
  const killedAtMs = Date.now();
  for (const { child } of victims) child.kill("SIGKILL");
  await pause(LISTEN_MS);
  const deaths = others.flatMap(({ told }) =>
    told.filter(({ message, atMs }) => message === "member died" && atMs >= killedAtMs),
  );
  const took = deaths
    .filter(({ member }) => names.includes(member))
    .map(({ atMs }) => atMs - killedAtMs)
    .toSorted((a, b) => a - b);
  return {
    expected: others.length * kills,
    known: took.length,
    p50Ms: took[took.length >> 1] ?? Number.NaN,
    p99Ms: took[Math.ceil(took.length * 0.99) - 1] ?? Number.NaN,
    maxMs: took.at(-1) ?? Number.NaN,
    othersDead: deaths.length - took.length,
  };
}

async function pauseLeader({ layout, nodes }: Cluster) {
  const leader = await leaderOf(layout);
  const { child } = nodes.find(({ name }) => name === leader)!;
  const pausedAtMs = Date.now();
  child.kill("SIGSTOP");
  await pause(PAUSE_MS);
  child.kill("SIGCONT");
  await pause(LISTEN_MS);
  const told = nodes.flatMap((node) => node.told.filter(({ atMs }) => atMs >= pausedAtMs));
  const count = (message: string, ofLeader: boolean): number =>
    told.filter((one) => one.message === message && (one.member === leader) === ofLeader).length;
  return {
    pausedMs: PAUSE_MS,
    othersDead: count("member died", false),
    othersSuspected: count("member suspected", false),
    leaderDead: count("member died", true),
    leaderSuspected: count("member suspected", true),
  };
}

/** The log tells when a node came to know something, at no cost to the node. */
function listen({ child, told }: Node): void {
  let rest = "";
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const logged of lines.filter((one) => one.includes('"message":"member '))) {
      const { time, message, member } = JSON.parse(logged) as {
        readonly time: string;
        readonly message: string;
        readonly member: string;
      };
      told.push({ atMs: Date.parse(time), message, member });
    }
  });
}

interface View {
  readonly digest: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly traffic: { readonly datagrams_sent: number };
}

async function lookAt({ httpPort }: Node): Promise<View | null> {
  try {
    const answer = await fetch(`http://127.0.0.1:${httpPort}/v1/nodes`, { signal: AbortSignal.timeout(2_000) });
    return answer.ok ? ((await answer.json()) as View) : null;
  } catch {
    return null;
  }
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await pause(250)) if (await holds()) return;
  throw new Error(`not within ${ms(PATIENCE_MS)}: ${what}`);
}

/** A page that several processes share counts for each of them in part. */
function proportionalMb(pid: number): number {
  return Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))![1]) / 1_024;
}

function line(what: string, measured: string, target = "", met = true): boolean {
  console.log(
    `${what.padEnd(38)} ${measured.padEnd(52)} ${target === "" ? "" : `${target}: ${met ? "met" : "NOT met"}`}`.trimEnd(),
  );
  return met;
}

function ms(value: number): string {
  return `${(value / 1_000).toFixed(1)} s`;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const launcher = join(resolve(import.meta.dirname, ".."), "bin", "ringraft.js");
