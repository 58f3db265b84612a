import { parseArgs } from "node:util";
import { holdsTenfold, lifeguardGrid } from "./lifeguard.ts";

// npm run sim:swim:lifeguard [-- --seeds 5 --jobs 2]: the table, and 1 when a cell misses its tenth.
const { values } = parseArgs({
  options: { seeds: { type: "string", default: "5" }, jobs: { type: "string", default: "1" } },
});
const seeds = Array.from({ length: Number(values.seeds) }, (_, at) => at + 1);
const print = (cells: readonly string[]): void => {
  process.stdout.write(`${cells.map((cell, at) => (at === 0 ? cell.padEnd(30) : cell.padStart(9))).join(" ")}\n`);
};
print([`false deaths, ${seeds.length} seeds`, "off", "on", "fewer", ""]);
const grid = await lifeguardGrid(seeds, Number(values.jobs), (counts) => {
  const { cell, off, on } = counts;
  const holds = holdsTenfold(counts);
  const ratio = on === 0 ? "all" : `${(off / on).toFixed(1)}x`;
  print([cell, String(off), String(on), ratio, holds === null ? "shown" : holds ? "ok" : "MISS"]);
});
process.exitCode = grid.some((counts) => holdsTenfold(counts) === false) ? 1 : 0;
