import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { namespaceName, run, spawnOnNetworkOf, sweep, whyNotHere } from "./namespaces.ts";
import { nat } from "./nat.ts";
import { partition } from "./partition.ts";
import { withoutUdp } from "./without-udp.ts";

/**
 * Real nodes in network namespaces: `npm run test:network -- [nat] [without-udp] [partition] [--minutes 3] [--nodes 36]`.
 * Exit codes: 0 all holds, 1 something does not, 64 wrong arguments, 69 the network cannot be built here.
 */
const tests = { nat, "without-udp": withoutUdp, partition } as const;

const EXIT_USAGE = 64;
const EXIT_UNAVAILABLE = 69;

const { values, positionals } = readArguments();
const names = positionals.length === 0 ? Object.keys(tests) : positionals;
const guard = Number(process.env["RINGRAFT_NETWORK_GUARD"] ?? 0);
if (guard === 0) process.exit(await guardRun());
const folder = process.env["RINGRAFT_NETWORK_FOLDER"] ?? "";
for (const name of names) tests[name as keyof typeof tests]({ guard, folder, ...values });

/** Builds the namespace of the test and runs this file in it; whatever happens there, nothing is left behind. */
async function guardRun(): Promise<number> {
  const why = whyNotHere(process.pid);
  if (why !== null) {
    console.error(`test:network cannot run: ${why}`);
    return EXIT_UNAVAILABLE;
  }
  sweep(process.pid);
  const hub = namespaceName(process.pid, "hub");
  try {
    let code = 0;
    // A network for each: what one has changed is not there for the next.
    for (const name of names) code = (await runInside(hub, name)) || code;
    return code;
  } finally {
    sweep(process.pid);
  }
}

async function runInside(hub: string, name: string): Promise<number> {
  run("ip", ["netns", "add", hub]);
  const folder = mkdtempSync(join(tmpdir(), "ringraft-network-"));
  const again = [process.execPath, import.meta.filename, name, `--minutes=${values.minutes}`, `--nodes=${values.nodes}`];
  const env = { ...process.env, RINGRAFT_NETWORK_GUARD: String(process.pid), RINGRAFT_NETWORK_FOLDER: folder };
  const child = spawnOnNetworkOf(hub, again, { stdio: "inherit", env });
  const stop = (): void => void child.kill("SIGTERM");
  process.on("SIGINT", stop).on("SIGTERM", stop);
  const code = await new Promise<number>((resolve) => child.once("exit", (exit) => resolve(exit ?? 1)));
  process.off("SIGINT", stop).off("SIGTERM", stop);
  sweep(process.pid);
  rmSync(folder, { recursive: true, force: true });
  return code;
}

function readArguments() {
  try {
    const options = { minutes: { type: "string", default: "3" }, nodes: { type: "string", default: "36" } } as const;
    const read = parseArgs({ allowPositionals: true, options });
    const unknown = read.positionals.find((name) => !Object.hasOwn(tests, name));
    if (unknown !== undefined) throw new Error(`there is no test ${unknown}; there are ${Object.keys(tests).join(", ")}`);
    const [minutes, nodes] = [Number(read.values.minutes), Number(read.values.nodes)];
    if (!(minutes > 0)) throw new Error("--minutes must be a number above 0");
    if (!Number.isInteger(nodes) || nodes < 9 || nodes > 200) throw new Error("--nodes must be between 9 and 200");
    return { values: { minutes, nodes }, positionals: read.positionals };
  } catch (error) {
    console.error((error as Error).message);
    return process.exit(EXIT_USAGE);
  }
}
