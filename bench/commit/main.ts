import { writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { etcdVersion, startEtcd } from "./etcd.ts";
import { startFloor } from "./floor.ts";
import { load, type Row, type System } from "./load.ts";
import { type BenchCommand, startRingraft } from "./ringraft.ts";

const COMMAND_BYTES = 256;
const FLOOR_AT_LEAST = 100_000;

/** Commit throughput and latency of three voters on this machine, each system in turn, never two at a time. */
export async function commit(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: "string" },
      seconds: { type: "string", default: "5" },
      callers: { type: "string", default: "1,16,64,256,1024" },
      systems: { type: "string", default: "floor,ringraft,etcd" },
      command: { type: "string", default: "progress" },
    },
  });
  const callers = values.callers.split(",").map(Number);
  const etcd = etcdVersion();
  const machine = `${cpus()[0]?.model ?? "unknown"}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}, ${etcd ?? "no etcd on the PATH"}`;
  console.log(
    `${machine}\n${COMMAND_BYTES}-byte commands (${values.command}), three voters, fsync on every voter, ${values.seconds} s a row\n`,
  );
  const starts: Readonly<Record<System["name"], () => Promise<System>>> = {
    floor: () => startFloor(COMMAND_BYTES),
    ringraft: () => startRingraft(COMMAND_BYTES, benchCommand(values.command), Math.max(...callers)),
    etcd: () => startEtcd(COMMAND_BYTES),
  };
  const rows: Row[] = [];
  for (const name of values.systems.split(",").map(systemName)) {
    if (name === "etcd" && etcd === null) {
      console.log("etcd: not on the PATH (Debian package etcd-server); left out");
      continue;
    }
    const system = await starts[name]();
    try {
      for (const count of callers) {
        const row = await load(system, count, Number(values.seconds));
        rows.push(row);
        console.log(
          `${name.padEnd(9)} ${String(count).padStart(5)} callers  ${String(row.ops_per_s).padStart(8)}/s  p50 ${row.p50_ms} ms  p99 ${row.p99_ms} ms`,
        );
      }
    } finally {
      await system.close();
    }
  }
  console.log(`\n${ratios(rows, callers)}`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine, rows }, null, 2)}\n`);
}

function ratios(rows: readonly Row[], callers: readonly number[]): string {
  const at = (system: System["name"], count: number): Row | undefined =>
    rows.find((row) => row.system === system && row.callers === count);
  const ratio = (a: number | undefined, b: number | undefined): string =>
    a === undefined || b === undefined ? "-" : (a / b).toFixed(2);
  const lines = callers.map((count) => {
    const [ours, floor, etcd] = [at("ringraft", count), at("floor", count), at("etcd", count)];
    return [
      String(count).padStart(7),
      ratio(ours?.ops_per_s, floor?.ops_per_s).padStart(12),
      ratio(ours?.ops_per_s, etcd?.ops_per_s).padStart(11),
      ratio(ours?.p50_ms, floor?.p50_ms).padStart(10),
      ratio(ours?.p50_ms, etcd?.p50_ms).padStart(9),
    ].join("  ");
  });
  const floorAt256 = at("floor", 256)?.ops_per_s;
  const warning =
    floorAt256 !== undefined && floorAt256 < FLOOR_AT_LEAST
      ? `\nThe floor reached ${floorAt256}/s at 256 callers, below ${FLOOR_AT_LEAST}/s: this machine is too busy to judge.`
      : "";
  return ["ratios of ringraft to", "callers  ops to floor  ops to etcd  p50 floor  p50 etcd", ...lines].join("\n") + warning;
}

function systemName(name: string): System["name"] {
  if (name === "floor" || name === "ringraft" || name === "etcd") return name;
  throw new Error(`--systems takes floor, ringraft and etcd, not "${name}"`);
}

function benchCommand(name: string): BenchCommand {
  if (name === "progress" || name === "enqueue") return name;
  throw new Error(`--command takes progress or enqueue, not "${name}"`);
}
