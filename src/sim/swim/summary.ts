import { assertNever } from "#kernel";
import { METRIC_NAMES, type MetricName, METRICS, type MetricOf } from "./metrics.ts";
import type { RunFault, SwimRun } from "./run.ts";
import type { Expectation, SwimScript } from "./scenario/script.ts";

/** What is left of a run once it has been measured: plain numbers, few enough that thousands of runs can be kept and sent. */
export interface RunSummary {
  readonly seed: number;
  readonly faults: readonly RunFault[];
  /** What each expectation of the script asked for, in their order: samples in its window, or one number. */
  readonly asked: readonly (readonly number[])[];
  /** The same of every metric, over the whole run. */
  readonly metrics: Readonly<Record<MetricName, readonly number[]>>;
  readonly fingerprint: string;
  readonly simulatedMs: number;
  readonly events: number;
  /** Of processor time, of the process that ran it. */
  readonly tookMs: number;
}

const WHOLE = { of: null, fromMs: null, toMs: null };

export function summaryOf(script: SwimScript, run: SwimRun, tookMs: number): RunSummary {
  const { seed, faults, fingerprint, simulatedMs, events } = run;
  const metrics = METRIC_NAMES.map((metric) => [metric, numbersOf({ metric, ...WHOLE }, run, script.runMs)] as const);
  return {
    seed,
    faults,
    asked: script.expectations.map((expectation) => numbersOf(expectation, run, script.runMs)),
    metrics: Object.fromEntries(metrics) as RunSummary["metrics"],
    fingerprint,
    simulatedMs,
    events,
    tookMs,
  };
}

function numbersOf(
  { metric, of, fromMs, toMs }: Pick<Expectation, "metric" | "of" | "fromMs" | "toMs">,
  { measures, asked }: SwimRun,
  runMs: number,
): readonly number[] {
  const { kind } = METRICS[metric];
  const nodes = of === null ? null : asked.get(of)!;
  const isWithin = (atMs: number): boolean => atMs >= (fromMs ?? 0) && atMs <= (toMs ?? Number.POSITIVE_INFINITY);
  switch (kind) {
    case "samples": {
      const samples = measures.samples[metric as MetricOf<"samples">];
      const isMeant = (member: number | null): boolean => nodes === null || (member !== null && nodes.includes(member));
      return samples.filter((sample) => isWithin(sample.atMs) && isMeant(sample.of)).map(({ value }) => value);
    }
    case "events":
      return [measures.events[metric as MetricOf<"events">].filter(isWithin).length];
    case "count":
      return [measures.counts[metric as MetricOf<"count">]];
    case "traffic": {
      return [measures.traffic.perNodeMinute(metric as MetricOf<"traffic">, nodes, fromMs ?? 0, toMs ?? runMs)];
    }
    default:
      return assertNever(kind, "kind of metric");
  }
}
