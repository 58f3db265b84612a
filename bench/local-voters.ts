import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type DevLayout, devConfig, devLayout } from "../src/cli/dev/layout.ts";
import { isFreePort } from "../src/cli/dev/leftovers.ts";
import type { ProcessGroup } from "./commit/processes.ts";

const launcher = join(resolve(import.meta.dirname, ".."), "bin", "ringraft.js");

/** Initialises a cluster of `voters` real processes in the group's folder; the caller starts them. */
export async function localVoters(group: ProcessGroup, voters: number): Promise<DevLayout> {
  const layout = devLayout(join(group.folder, "cluster"), await freeBase(voters * 10), { voters, workers: 0 });
  mkdirSync(layout.logFolder, { recursive: true });
  const settings = { handlers: [], workingFolder: group.folder, workerSettings: [], queue: "default" };
  writeFileSync(layout.configFile, devConfig(layout, settings), { mode: 0o600 });
  const init = spawnSync(
    process.execPath,
    [launcher, "cluster", "init", "--config", layout.configFile, "--node-id", layout.nodes[0]!.name],
    { encoding: "utf8" },
  );
  if (init.status !== 0) throw new Error(init.stderr);
  return layout;
}

export function startVoter(group: ProcessGroup, layout: DevLayout, name: string, env: NodeJS.ProcessEnv = {}) {
  return group.start(process.execPath, [launcher, "serve", "--config", layout.configFile, "--node-id", name], env);
}

/** The voter that says of itself that it leads; other than `not`, which was just killed and may answer a last time. */
export async function leaderOf(layout: DevLayout, not: string | null = null, timeoutMs = 30_000): Promise<string> {
  for (const end = performance.now() + timeoutMs; performance.now() < end; await pause(50)) {
    for (const node of layout.nodes) {
      const status = await fetch(`http://127.0.0.1:${node.ports.http}/status`, { signal: AbortSignal.timeout(500) })
        .then((answer) => answer.json() as Promise<{ role: string }>)
        .catch(() => null);
      if (status?.role === "leader" && node.name !== not) return node.name;
    }
  }
  throw new Error(`no leader within ${timeoutMs} ms; logs: none (bench), run the same configuration by hand`);
}

/** The first of `count` ports in a row that are free now, below those that the system gives to connections. */
export async function freeBase(count: number): Promise<number> {
  for (let base = 20_000; base + count <= 32_000; base += count) {
    const isFree = await Promise.all(Array.from({ length: count }, (_, index) => isFreePort(base + index)));
    if (isFree.every(Boolean)) return base;
  }
  throw new Error(`no ${count} ports in a row are free between 20000 and 32000: --base-port names others`);
}

/** Of all threads, since the process began. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

export function residentMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024;
}

const TICKS_PER_SECOND = 100;
