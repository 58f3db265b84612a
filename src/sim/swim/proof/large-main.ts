import { parseArgs } from "node:util";
import { runBatch } from "../batch.ts";
import { countOf, runScript } from "../command-line.ts";
import { realCore } from "../real-core.ts";
import { printReport } from "../report.ts";
import { NO_OVERRIDES, parseSwimScenario } from "../scenario/parse.ts";
import { type Line, lineOf, shown } from "./item.ts";
import { LARGE, LARGE_LIMITS } from "./large.ts";

const USAGE = `npm run sim:swim:large [-- --seed 1] [--nodes 10000]
  10,000 members and ten crashes, with limits on what is seen and on what the run costs; fewer are a rehearsal
Exit: 0 all limits hold, 1 one does not, 64 the command line is wrong.`;

const LEAST_NODES = 20;

process.exitCode = await runScript(USAGE, readArguments, main);

function main({ seed, nodes }: { readonly seed: number; readonly nodes: number | null }): number {
  const [script] = parseSwimScenario(LARGE, { ...NO_OVERRIDES, nodes }).rows;
  const report = runBatch(script!, {
    seeds: [seed],
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
  for (const line of lines) print(shown(line));
  return lines.some(({ holds }) => holds === false) ? 1 : 0;
}

function readArguments(): { seed: number; nodes: number | null } {
  const { values } = parseArgs({ options: { seed: { type: "string", default: "1" }, nodes: { type: "string" } } });
  const nodes = values.nodes === undefined ? null : countOf("nodes", values.nodes, LEAST_NODES);
  return { seed: countOf("seed", values.seed), nodes };
}

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
