import { METRIC_NAMES, METRICS } from "./metrics.ts";
import { statisticOf } from "./percentiles.ts";
import type { SwimRun } from "./run.ts";
import type { SwimScript } from "./scenario/script.ts";
import { type Failure, numbersOf, samplesFor, show } from "./verdict.ts";

/** What all runs of one script gave, by metric; null where there was nothing to measure. Durations are milliseconds. */
export interface Report {
  readonly row: string;
  readonly nodes: number;
  readonly profile: string;
  readonly runs: number;
  readonly metrics: Readonly<Record<string, Summary | null>>;
  readonly failures: readonly Failure[];
  /** Expectations of a percentile or a mean for which the runs gave too few numbers. */
  readonly unjudged: readonly string[];
  readonly simulatedMs: number;
  readonly events: number;
  /** Of the first run: a seed and a commit give the same one on every machine. */
  readonly fingerprint: string;
}

/** Over all samples of all runs; for a metric that is one number a run, over the runs. */
export interface Summary {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
  readonly mean: number;
  readonly total: number;
}

export function reportOf(script: SwimScript, runs: readonly SwimRun[], failures: readonly Failure[]): Report {
  const whole = { of: null, fromMs: null, toMs: null };
  const metrics = METRIC_NAMES.map((metric) => {
    const numbers = runs.flatMap((run) => numbersOf({ metric, ...whole }, run, script.runMs));
    return [metric, summaryOf(numbers)] as const;
  });
  return {
    row: script.name,
    nodes: script.nodes,
    profile: script.profile,
    runs: runs.length,
    metrics: Object.fromEntries(metrics),
    failures,
    unjudged: script.expectations.flatMap(({ metric, statistic, text }) => {
      const count = metrics.find(([name]) => name === metric)?.[1]?.count ?? 0;
      return count > 0 && count < samplesFor(statistic) ? [text] : [];
    }),
    simulatedMs: runs.reduce((total, run) => total + run.simulatedMs, 0),
    events: runs.reduce((total, run) => total + run.events, 0),
    fingerprint: runs[0]?.fingerprint ?? "",
  };
}

export function printReport(report: Report, tookMs: number, print: (line: string) => void): void {
  const { nodes, profile, runs, row, simulatedMs, events, fingerprint } = report;
  const took = `${(tookMs / 1_000).toFixed(1)} s of processor time`;
  print(`${row === "" ? "" : `${row}: `}${nodes} nodes, profile ${profile}, ${runs} ${runs === 1 ? "run" : "runs"}`);
  print(`  ${(simulatedMs / 3_600_000).toFixed(2)} simulated hours, ${events} events in ${took}, fingerprint ${fingerprint}`);
  for (const metric of METRIC_NAMES) {
    const summary = report.metrics[metric];
    if (summary == null) continue;
    const { kind, unit } = METRICS[metric];
    const text = (value: number): string => show(value, unit);
    print(
      kind === "count" || kind === "events"
        ? `  ${metric.padEnd(30)} total ${text(summary.total)}, most in a run ${text(summary.max)}`
        : kind === "traffic"
          ? `  ${metric.padEnd(30)} mean ${text(summary.mean)}, most in a run ${text(summary.max)}`
          : `  ${metric.padEnd(30)} p50 ${text(summary.p50)} p90 ${text(summary.p90)} p99 ${text(summary.p99)} max ${text(summary.max)} (${summary.count})`,
    );
  }
  for (const text of report.unjudged) print(`  not judged, too few numbers (more --seeds): ${text}`);
}

function summaryOf(numbers: readonly number[]): Summary | null {
  if (numbers.length === 0) return null;
  const of = (statistic: Parameters<typeof statisticOf>[0]): number => statisticOf(statistic, numbers)!;
  return {
    count: numbers.length,
    p50: of("p50"),
    p90: of("p90"),
    p99: of("p99"),
    max: of("max"),
    mean: of("mean"),
    total: of("total"),
  };
}
