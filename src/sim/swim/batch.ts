import { scriptOptions } from "./real-core.ts";
import { type Report, reportOf } from "./report.ts";
import { type RunPorts, runSwim } from "./run.ts";
import type { SwimScript } from "./scenario/script.ts";
import { type RunSummary, summaryOf } from "./summary.ts";

export interface BatchOptions extends RunPorts {
  readonly seeds: readonly number[];
}

/** Runs one script once for every seed and judges the runs together. */
export function runBatch(script: SwimScript, { seeds, ...ports }: BatchOptions): Report {
  // A wrong option is a mistake in the file, at its line, not the failure of a run.
  scriptOptions(script);
  return reportOf(
    script,
    seeds.map((seed) => runOne(script, seed, ports)),
  );
}

export function runOne(script: SwimScript, seed: number, ports: RunPorts): RunSummary {
  const before = process.cpuUsage();
  const run = runSwim(script, seed, ports);
  // Of this process alone, whatever else the machine does.
  const { user, system } = process.cpuUsage(before);
  return summaryOf(script, run, (user + system) / 1_000);
}
