import { parseArgs } from "node:util";
import { runBatch } from "../batch.ts";
import { realCore } from "../real-core.ts";
import { printReport } from "../report.ts";
import { NO_OVERRIDES, parseSwimScenario } from "../scenario/parse.ts";
import { type Line, lineOf } from "./item.ts";
import { LARGE, LARGE_LIMITS } from "./large.ts";

// npm run sim:swim:large [-- --seed 1 --nodes 10000]: one run, and 1 when a limit is missed. With fewer nodes it is a rehearsal.
const { values } = parseArgs({
  options: { seed: { type: "string", default: "1" }, nodes: { type: "string" } },
});
const nodes = values.nodes === undefined ? null : Number(values.nodes);
const [script] = parseSwimScenario(LARGE, { ...NO_OVERRIDES, nodes }).rows;
const report = runBatch(script!, {
  seeds: [Number(values.seed)],
  launch: realCore(false),
  onLine: null,
  onSecond: (simulatedMs) => {
    if (simulatedMs % 5_000 === 0) process.stderr.write(`${simulatedMs / 1_000} s simulated, ${cost()}\n`);
  },
});
printReport(report, print);
const { processorMs, memoryBytes } = LARGE_LIMITS;
const name = `${report.nodes} members`;
const lines: readonly Line[] = [
  ...report.judgements.map((judgement) => lineOf(name, judgement, 1)),
  {
    name,
    expected: `processor time <= ${processorMs / 60_000} min`,
    found: `${(processorTimeMs() / 60_000).toFixed(1)} min`,
    holds: processorTimeMs() <= processorMs,
  },
  {
    name,
    expected: `memory at its peak <= ${inGiB(memoryBytes)}`,
    found: inGiB(peakBytes()),
    holds: peakBytes() <= memoryBytes,
  },
];
for (const { name: what, expected, found, holds } of lines) {
  print(`${holds === null ? "shown" : holds ? "ok   " : "MISS "} ${what}: ${expected}: ${found}`);
}
process.exitCode = lines.some(({ holds }) => holds === false) ? 1 : 0;

function cost(): string {
  return `${(processorTimeMs() / 1_000).toFixed(0)} s of processor time, ${inGiB(peakBytes())}`;
}

function processorTimeMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function peakBytes(): number {
  return process.resourceUsage().maxRSS * 1_024;
}

function inGiB(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
