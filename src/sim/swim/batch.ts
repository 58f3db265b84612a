import type { LaunchCore } from "./launch.ts";
import { scriptOptions } from "./real-core.ts";
import { type Report, reportOf } from "./report.ts";
import { runSwim } from "./run.ts";
import type { SwimScript } from "./scenario/script.ts";
import { type RunSummary, summaryOf } from "./summary.ts";

export interface BatchOptions {
  readonly seeds: readonly number[];
  readonly launch: LaunchCore;
  readonly onLine: ((line: string) => void) | null;
}

/** Runs one script once for every seed and judges the runs together. */
export function runBatch(script: SwimScript, { seeds, launch, onLine }: BatchOptions): Report {
  // A wrong option is a mistake in the file, at its line, not the failure of a run.
  scriptOptions(script);
  return reportOf(
    script,
    seeds.map((seed) => runOne(script, seed, { launch, onLine })),
  );
}

export function runOne(script: SwimScript, seed: number, ports: Pick<BatchOptions, "launch" | "onLine">): RunSummary {
  const before = process.cpuUsage();
  const run = runSwim(script, seed, ports);
  // Of this process alone, whatever else the machine does.
  const { user, system } = process.cpuUsage(before);
  return summaryOf(script, run, (user + system) / 1_000);
}
