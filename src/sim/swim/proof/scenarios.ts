import { readdirSync, readFileSync } from "node:fs";
import { runOnWorkers } from "../workers.ts";
import { NO_OVERRIDES, parseSwimScenario } from "../scenario/parse.ts";
import type { SwimScenario } from "../scenario/script.ts";
import { type Item, type Line, lineOf } from "./item.ts";

/** Every scenario file of a folder, with as many seeds as it asks for. */
export function scenariosIn(folder: URL): readonly Item[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".swim"))
    .map((file) => scenarioItem(file.slice(0, -".swim".length), readFileSync(new URL(file, folder), "utf8")));
}

export function scenarioItem(name: string, text: string): Item {
  const scenario = parseSwimScenario(text);
  return { name, cost: costOf(scenario), run: (jobs) => runScenario(name, text, scenario, jobs) };
}

async function runScenario(name: string, text: string, scenario: SwimScenario, jobs: number): Promise<readonly Line[]> {
  const lines: Line[] = [];
  const seeds = Array.from({ length: scenario.proofSeeds }, (_, at) => at + 1);
  for (const [row, script] of scenario.rows.entries()) {
    const task = { text, overrides: NO_OVERRIDES, row, seal: false };
    const report = await runOnWorkers(script, task, { seeds, jobs });
    const rowName = script.name === "" ? name : `${name} (${script.name})`;
    lines.push(...report.judgements.map((judgement) => lineOf(rowName, judgement, report.runs)));
    const limitMs = scenario.proofProcessorMs;
    if (limitMs === null) continue;
    const tookMs = report.tookMs / report.runs;
    lines.push({
      name: rowName,
      expected: `processor time of a run <= ${limitMs / 1_000}s`,
      found: `${(tookMs / 1_000).toFixed(0)}s`,
      holds: tookMs <= limitMs,
    });
  }
  return lines;
}

function costOf({ rows, proofSeeds }: SwimScenario): number {
  return rows.reduce((cost, { nodes, settleMs, runMs }) => cost + nodes * (settleMs + runMs) * proofSeeds, 0);
}
