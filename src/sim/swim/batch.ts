import { ScenarioError } from "../scenario/words.ts";
import type { LaunchCore } from "./launch.ts";
import { optionsOf } from "./real-core.ts";
import { type Report, reportOf } from "./report.ts";
import { runSwim, type SwimRun } from "./run.ts";
import type { SwimScript } from "./scenario/script.ts";
import { failuresOf } from "./verdict.ts";

export interface BatchOptions {
  readonly seeds: readonly number[];
  readonly launch: LaunchCore;
  readonly onLine: ((line: string) => void) | null;
}

/** Runs one script once for every seed and judges the runs together. */
export function runBatch(script: SwimScript, { seeds, launch, onLine }: BatchOptions): Report {
  checkOptions(script);
  const runs: SwimRun[] = [];
  for (const seed of seeds) runs.push(runSwim(script, seed, { launch, onLine }));
  return reportOf(script, runs, failuresOf(script, runs));
}

/** A wrong option is a mistake in the file, at its line, not the failure of a run. */
function checkOptions({ profile, settings }: SwimScript): void {
  const all = optionsOf({ profile, settings: Object.fromEntries(settings.map(({ option, value }) => [option, value])) });
  if (!all.ok) throw new ScenarioError(settings[0]?.line ?? 1, 1, all.refusal.message);
}
