import { type ChildProcess, spawn, type SpawnOptions, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";

/** Namespaces of one run carry the pid of the process that guards them, so that the next run knows what was left behind. */
export function namespaceName(guard: number, name: string): string {
  return `${PREFIX}${guard}-${name}`;
}

/** Runs a command to its end; throws with what it said. */
export function run(command: string, args: readonly string[], input = ""): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", input });
  if (status === 0) return stdout;
  throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr.trim()}\n${input}`);
}

/** A child process in the namespace, with /sys of its own. Its pid is that of the program. */
export function spawnIn(namespace: string, command: readonly string[], options: SpawnOptions): ChildProcess {
  return spawnAll(["ip", "netns", "exec", namespace, ...command], options);
}

/** A child process with the namespace's network and everything else as here, so that it may make further namespaces. */
export function spawnOnNetworkOf(namespace: string, command: readonly string[], options: SpawnOptions): ChildProcess {
  return spawnAll(["nsenter", `--net=/run/netns/${namespace}`, ...command], options);
}

/** Why the network of these tests cannot be built here; null when it can. */
export function whyNotHere(guard: number): string | null {
  if (process.platform !== "linux") return "network namespaces are Linux's";
  if (process.getuid?.() !== 0) return "it builds network namespaces: run it as root, in a machine or container that may";
  for (const [tool, version] of [
    ["ip", "-Version"],
    ["nft", "--version"],
    ["nsenter", "--version"],
  ] as const) {
    if (spawnSync(tool, [version]).status !== 0)
      return `the command ${tool} is missing (packages iproute2, nftables, util-linux)`;
  }
  const probe = namespaceName(guard, "probe");
  try {
    run("ip", ["netns", "add", probe]);
    run("ip", ["-n", probe, "-batch", "-"], "link add bridge0 type bridge\nlink add veth0 type veth peer name veth1\n");
    run("ip", ["netns", "exec", probe, "nft", "-f", "-"], MASQUERADE);
    return null;
  } catch (error) {
    return `this kernel does not let it: ${(error as Error).message.trim()}`;
  } finally {
    removeNamespace(probe);
  }
}

/** Removes the namespaces of this guard, and those of guards that are gone. */
export function sweep(guard: number): void {
  for (const namespace of namespaces()) {
    const owner = Number(/^\d+/.exec(namespace.slice(PREFIX.length))?.[0]);
    if (owner === guard || !isRunning(owner)) removeNamespace(namespace);
  }
}

const PREFIX = "ringraft-net-";

const MASQUERADE = `table ip nat {
  chain postrouting { type nat hook postrouting priority srcnat; masquerade fully-random; }
  chain forward { type filter hook forward priority filter; ct state established accept; }
}
`;

function spawnAll([program, ...args]: readonly string[], options: SpawnOptions): ChildProcess {
  return spawn(program!, args, options);
}

/** Ends whatever still runs in it, which is ours: nobody else starts anything there. */
function removeNamespace(namespace: string): void {
  if (!namespaces().includes(namespace)) return;
  for (const pid of run("ip", ["netns", "pids", namespace]).split("\n").filter(Boolean)) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has just ended.
    }
  }
  run("ip", ["netns", "del", namespace]);
}

function namespaces(): readonly string[] {
  try {
    return readdirSync("/run/netns").filter((name) => name.startsWith(PREFIX));
  } catch {
    return [];
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
