import { parseArgs } from "node:util";
import { countOf, runScript } from "../command-line.ts";
import { holdsTenfold, lifeguardGrid } from "./lifeguard.ts";

const USAGE = `npm run sim:swim:lifeguard [-- --seeds 5] [--jobs 1]
  false deaths with Lifeguard and without it, on the same seeds
Exit: 0 each cell that is judged has a tenth or less, 1 one has more, 64 the command line is wrong.`;

process.exitCode = await runScript(USAGE, readArguments, main);

async function main({ seeds: count, jobs }: { readonly seeds: number; readonly jobs: number }): Promise<number> {
  const seeds = Array.from({ length: count }, (_, at) => at + 1);
  print([`false deaths, ${seeds.length} seeds`, "off", "on", "fewer", ""]);
  const grid = await lifeguardGrid(seeds, jobs, (counts) => {
    const { cell, off, on } = counts;
    const holds = holdsTenfold(counts);
    const ratio = on === 0 ? "all" : `${(off / on).toFixed(1)}x`;
    print([cell, String(off), String(on), ratio, holds === null ? "shown" : holds ? "ok" : "MISS"]);
  });
  return grid.some((counts) => holdsTenfold(counts) === false) ? 1 : 0;
}

function readArguments(): { seeds: number; jobs: number } {
  const { values } = parseArgs({ options: { seeds: { type: "string", default: "5" }, jobs: { type: "string", default: "1" } } });
  return { seeds: countOf("seeds", values.seeds), jobs: countOf("jobs", values.jobs) };
}

function print(cells: readonly string[]): void {
  process.stdout.write(`${cells.map((cell, at) => (at === 0 ? cell.padEnd(30) : cell.padStart(9))).join(" ")}\n`);
}
