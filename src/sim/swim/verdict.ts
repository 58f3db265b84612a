import { assertNever } from "#kernel";
import { METRICS, type MetricOf } from "./metrics.ts";
import { statisticOf } from "./percentiles.ts";
import type { SwimRun } from "./run.ts";
import type { Comparison, Expectation, Statistic, SwimScript } from "./scenario/script.ts";

/** An expectation that does not hold, and the run that shows it best. */
export interface Failure {
  readonly line: number;
  readonly expected: string;
  readonly found: string;
  readonly seed: number;
}

/** Everything that the runs of one script do not hold. */
export function failuresOf(script: SwimScript, runs: readonly SwimRun[]): readonly Failure[] {
  const seen = runs.flatMap(({ seed, faults }) =>
    faults.slice(0, 1).map(({ line, problem }) => ({ line, expected: sightAt(script, line), found: problem, seed })),
  );
  return [...seen.slice(0, 1), ...script.expectations.flatMap((expectation) => judge(expectation, script, runs) ?? [])];
}

/** What a single run says to an expectation: its samples in the window, or its one number. */
export function numbersOf({ metric, of, fromMs, toMs }: Asked, { measures, asked }: SwimRun, runMs: number): readonly number[] {
  const { kind } = METRICS[metric];
  const isWithin = (atMs: number): boolean => atMs >= (fromMs ?? 0) && atMs <= (toMs ?? Number.POSITIVE_INFINITY);
  switch (kind) {
    case "samples": {
      const samples = measures.samples[metric as MetricOf<"samples">];
      return samples.filter(({ atMs }) => isWithin(atMs)).map(({ value }) => value);
    }
    case "events":
      return [measures.events[metric as MetricOf<"events">].filter(isWithin).length];
    case "count":
      return [measures.counts[metric as MetricOf<"count">]];
    case "traffic": {
      const nodes = of === null ? null : asked.get(of)!;
      return [measures.traffic.perNodeMinute(metric as MetricOf<"traffic">, nodes, fromMs ?? 0, toMs ?? runMs)];
    }
    default:
      return assertNever(kind, "kind of metric");
  }
}

export type Asked = Pick<Expectation, "metric" | "of" | "fromMs" | "toMs">;

function judge(expectation: Expectation, { runMs }: SwimScript, runs: readonly SwimRun[]): Failure | null {
  const { line, text, metric, statistic, comparison, value } = expectation;
  const perRun = runs.map((run) => ({ seed: run.seed, numbers: numbersOf(expectation, run, runMs) }));
  const { unit } = METRICS[metric];
  if (statistic === null) {
    const worst = perRun.find(({ numbers }) => !holds(numbers[0]!, comparison, value));
    return worst === undefined
      ? null
      : { line, expected: text, found: `${metric} is ${show(worst.numbers[0]!, unit)}`, seed: worst.seed };
  }
  const numbers = perRun.flatMap((each) => each.numbers);
  if (numbers.length > 0 && numbers.length < samplesFor(statistic)) return null;
  const found = statisticOf(statistic, numbers);
  if (found !== null && holds(found, comparison, value)) return null;
  return {
    line,
    expected: text,
    found: found === null ? `no ${metric} was measured` : `${metric} ${statistic} is ${show(found, unit)}`,
    seed: extremeSeed(perRun, comparison),
  };
}

/** Below so many numbers a percentile or a mean is chance: it is shown, and not judged. */
export function samplesFor(statistic: Statistic | null): number {
  switch (statistic) {
    case "p50":
    case "mean":
      return 20;
    case "p90":
      return 50;
    case "p99":
      return 100;
    default:
      return 0;
  }
}

export function show(value: number, unit: "ms" | "number"): string {
  return unit === "ms" ? `${(value / 1_000).toFixed(2)}s` : String(Math.round(value * 100) / 100);
}

function holds(found: number, comparison: Comparison, value: number): boolean {
  switch (comparison) {
    case "=":
      return found === value;
    case "<":
      return found < value;
    case "<=":
      return found <= value;
    case ">":
      return found > value;
    case ">=":
      return found >= value;
    default:
      return assertNever(comparison, "comparison");
  }
}

/** The run with the number furthest on the wrong side. */
function extremeSeed(
  perRun: readonly { readonly seed: number; readonly numbers: readonly number[] }[],
  comparison: Comparison,
): number {
  const sign = comparison === ">" || comparison === ">=" ? -1 : 1;
  let worst = { seed: perRun[0]!.seed, value: Number.NEGATIVE_INFINITY };
  for (const { seed, numbers } of perRun) {
    for (const number of numbers) if (sign * number > worst.value) worst = { seed, value: sign * number };
  }
  return worst.seed;
}

function sightAt(script: SwimScript, line: number): string {
  return script.steps.find((step) => step.line === line)?.text ?? "a cluster that comes together";
}
