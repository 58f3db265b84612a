import { METRIC_NAMES, type MetricName, METRICS } from "./metrics.ts";
import { statisticOf } from "./percentiles.ts";
import type { SwimScript } from "./scenario/script.ts";
import type { RunSummary } from "./summary.ts";
import { type Judgement, judgementsOf, show } from "./verdict.ts";

/** What all runs of one script gave, by metric; null where there was nothing to measure. Durations are milliseconds. */
export interface Report {
  readonly row: string;
  readonly nodes: number;
  readonly profile: string;
  readonly runs: number;
  readonly metrics: Readonly<Record<MetricName, Statistics | null>>;
  /** Every expectation, held or not. */
  readonly judgements: readonly Judgement[];
  readonly failures: readonly Judgement[];
  /** Expectations of a percentile or a mean for which the runs gave too few numbers. */
  readonly unjudged: readonly string[];
  readonly simulatedMs: number;
  readonly events: number;
  /** Processor time of the runs, of all processes together. */
  readonly tookMs: number;
  /** Of the first run: a seed and a commit give the same one on every machine. */
  readonly fingerprint: string;
}

/** Over all samples of all runs; for a metric that is one number a run, over the runs. */
export interface Statistics {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
  readonly mean: number;
  readonly total: number;
}

/** `runs` in any order. */
export function reportOf(script: SwimScript, runs: readonly RunSummary[]): Report {
  const inOrder = runs.toSorted((a, b) => a.seed - b.seed);
  const judgements = judgementsOf(script, inOrder);
  const metrics = METRIC_NAMES.map((metric) => [metric, statisticsOf(inOrder.flatMap((run) => run.metrics[metric]))] as const);
  return {
    row: script.name,
    nodes: script.nodes,
    profile: script.profile,
    runs: runs.length,
    metrics: Object.fromEntries(metrics) as Report["metrics"],
    judgements,
    failures: judgements.filter(({ holds }) => holds === false),
    unjudged: judgements.filter(({ holds }) => holds === null).map(({ expected }) => expected),
    simulatedMs: runs.reduce((total, run) => total + run.simulatedMs, 0),
    events: runs.reduce((total, run) => total + run.events, 0),
    tookMs: runs.reduce((total, run) => total + run.tookMs, 0),
    fingerprint: inOrder[0]?.fingerprint ?? "",
  };
}

export function printReport(report: Report, print: (line: string) => void): void {
  const { nodes, profile, runs, row, simulatedMs, events, fingerprint, tookMs } = report;
  const took = `${(tookMs / 1_000).toFixed(1)} s of processor time`;
  print(`${row === "" ? "" : `${row}: `}${nodes} nodes, profile ${profile}, ${runs} ${runs === 1 ? "run" : "runs"}`);
  print(`  ${(simulatedMs / 3_600_000).toFixed(2)} simulated hours, ${events} events in ${took}, fingerprint ${fingerprint}`);
  for (const metric of METRIC_NAMES) {
    const statistics = report.metrics[metric];
    if (statistics === null) continue;
    const { kind, unit } = METRICS[metric];
    const { total, mean, max, p50, p90, p99, count } = statistics;
    const text = (value: number): string => show(value, unit);
    print(
      kind === "count" || kind === "events"
        ? `  ${metric.padEnd(36)} total ${text(total)}, most in a run ${text(max)}`
        : kind === "traffic"
          ? `  ${metric.padEnd(36)} mean ${text(mean)}, most in a run ${text(max)}`
          : `  ${metric.padEnd(36)} p50 ${text(p50)} p90 ${text(p90)} p99 ${text(p99)} max ${text(max)} (${count})`,
    );
  }
  for (const text of report.unjudged) print(`  not judged, too few numbers (more --seeds): ${text}`);
}

function statisticsOf(numbers: readonly number[]): Statistics | null {
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
