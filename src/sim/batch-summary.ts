import { sometimesOf } from "./counters.ts";
import type { RunResult } from "./run.ts";

export interface BatchSummary {
  readonly runs: number;
  readonly simulatedMs: number;
  readonly realMs: number;
  readonly events: number;
  readonly acknowledged: number;
  readonly counters: ReadonlyMap<string, number>;
}

export function emptySummary(): BatchSummary {
  return { runs: 0, simulatedMs: 0, realMs: 0, events: 0, acknowledged: 0, counters: new Map() };
}

export function addRun(summary: BatchSummary, result: RunResult): BatchSummary {
  const counters = new Map(summary.counters);
  for (const [name, times] of Object.entries(result.counters)) counters.set(name, (counters.get(name) ?? 0) + times);
  return {
    runs: summary.runs + 1,
    simulatedMs: summary.simulatedMs + result.simulatedMs,
    realMs: summary.realMs + result.realMs,
    events: summary.events + result.events,
    acknowledged: summary.acknowledged + result.acknowledged,
    counters,
  };
}

/** The rate is per core: real time is what the runs took, however many went on at once. */
export function printSummary(summary: BatchSummary, print: (line: string) => void): void {
  const { runs, simulatedMs, realMs, events, acknowledged, counters } = summary;
  const hours = (simulatedMs / 3_600_000).toFixed(2);
  const rate = Math.round(simulatedMs / Math.max(1, realMs));
  print(
    `${runs} runs, ${hours} simulated hours at ${rate} × real time, ${events} events, ${acknowledged} operations acknowledged`,
  );
  const row = (name: string, times: number): void => print(`  ${String(times).padStart(9)}  ${name}`);
  for (const [name, times] of [...counters].sort(([a], [b]) => (a < b ? -1 : 1))) row(name, times);
  print("sometimes:");
  for (const [name, times] of Object.entries(sometimesOf(Object.fromEntries(counters)))) row(name, times);
  const missing = unreached(summary);
  if (runs > 1 && missing.length > 0) print(`at zero: ${missing.join("; ")}`);
}

/** Sometimes-counters that no run of the batch has reached. */
export function unreached({ counters }: BatchSummary): readonly string[] {
  return Object.entries(sometimesOf(Object.fromEntries(counters)))
    .filter(([, times]) => times === 0)
    .map(([name]) => name);
}
