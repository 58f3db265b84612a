import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { ExitError } from "#kernel";
import type { DevLayout } from "./layout.ts";

/** Remembers which processes belong to this folder, so that the next `ringraft dev` can end what a killed one left. */
export function recordProcesses(layout: DevLayout, pids: Readonly<Record<string, number>>): void {
  writeFileSync(pidFile(layout), JSON.stringify(pids), { mode: 0o600 });
}

export function forgetProcesses(layout: DevLayout): void {
  rmSync(pidFile(layout), { force: true });
}

/** Ends nodes of an earlier run of the same folder: `ringraft dev` itself may have been killed before it could. */
export async function stopLeftovers(layout: DevLayout, say: (line: string) => void): Promise<void> {
  const left = recorded(layout).filter(([, pid]) => runsOurConfig(pid, layout.configFile));
  if (left.length === 0) return;
  say(`stopping ${left.map(([name]) => name).join(", ")} left over from an earlier run`);
  for (const [, pid] of left) signal(pid, "SIGTERM");
  for (let waited = 0; waited < 10_000; waited += 100) {
    if (!left.some(([, pid]) => runsOurConfig(pid, layout.configFile))) return;
    await pause(100);
  }
  for (const [, pid] of left) if (runsOurConfig(pid, layout.configFile)) signal(pid, "SIGKILL");
}

/** Fails with the first taken port and the way out, before anything is started. */
export async function checkPorts(layout: DevLayout): Promise<void> {
  for (const node of layout.nodes) {
    const ports = node.role === "voter" ? Object.values(node.ports) : [node.ports.http, node.ports.gossip];
    for (const port of ports) {
      if (await isFreePort(port)) continue;
      throw new ExitError(
        75,
        `port ${port} on 127.0.0.1 (${node.name}) is in use by another program`,
        `Stop that program (ss -ltnp | grep ${port} names it), or use other ports: npm start -- --base-port ${nextBase(layout)}`,
      );
    }
  }
}

function nextBase(layout: DevLayout): number {
  return layout.nodes[0]!.ports.http + 1_000;
}

/** Whether nobody listens there on 127.0.0.1. */
export function isFreePort(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

function recorded(layout: DevLayout): readonly (readonly [string, number])[] {
  try {
    return Object.entries(JSON.parse(readFileSync(pidFile(layout), "utf8")) as Record<string, number>);
  } catch {
    // No file, or half a file of a killed run: nothing that we could know of.
    return [];
  }
}

/** A process id alone may have been given to someone else meanwhile. */
function runsOurConfig(pid: number, configFile: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(configFile);
  } catch {
    return false;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone between the look and the signal, which is what we want.
  }
}

function pidFile(layout: DevLayout): string {
  return join(layout.folder, "processes.json");
}
