import { assertNever } from "#kernel";
import { METRICS } from "./metrics.ts";
import { statisticOf } from "./percentiles.ts";
import type { Comparison, Expectation, Statistic, SwimScript } from "./scenario/script.ts";
import { NO_LINE } from "./run.ts";
import type { RunSummary } from "./summary.ts";

/** What all runs of a script say to one of its expectations. */
export interface Judgement {
  readonly line: number;
  readonly expected: string;
  /** With its unit; "nothing" where there was nothing to measure. */
  readonly found: string;
  /** Null: too few numbers for a percentile or a mean. */
  readonly holds: boolean | null;
  /** Of the run that shows it best. */
  readonly seed: number;
}

/** What was to be seen at moments of the script, and its expectations. */
export function judgementsOf(script: SwimScript, runs: readonly RunSummary[]): readonly Judgement[] {
  return [
    ...sightsOf(script, runs),
    ...script.expectations.map((expectation, at) =>
      judge(
        expectation,
        runs.map(({ seed, asked }) => ({ seed, numbers: asked[at]! })),
      ),
    ),
  ];
}

/** One for every line that looks, and one for a cluster that did not come together: then nothing else means anything. */
function sightsOf(script: SwimScript, runs: readonly RunSummary[]): readonly Judgement[] {
  const faults = runs.flatMap(({ seed, faults: found }) => found.map((fault) => ({ ...fault, seed })));
  const apart = faults.filter(({ line }) => line === NO_LINE).slice(0, 1);
  const looks = script.steps.filter(({ action }) => action.kind === "see");
  return [
    ...apart.map(({ problem, seed }) => ({ line: 1, expected: "a cluster", found: problem, holds: false, seed })),
    ...looks.map(({ line, text }): Judgement => {
      const fault = faults.find((each) => each.line === line);
      const seed = fault?.seed ?? runs[0]!.seed;
      return { line, expected: text, found: fault?.problem ?? "seen", holds: fault === undefined, seed };
    }),
  ];
}

interface Answer {
  readonly seed: number;
  readonly numbers: readonly number[];
}

function judge(expectation: Expectation, answers: readonly Answer[]): Judgement {
  const { line, text, metric, statistic, comparison, value } = expectation;
  const unit = statistic === "count" ? "number" : METRICS[metric].unit;
  const worst = extreme(answers, expectation);
  const judged = (found: number | null, holdsIt: boolean | null): Judgement => ({
    line,
    expected: text,
    found: found === null ? "nothing" : show(found, unit),
    holds: holdsIt,
    seed: worst.seed,
  });
  if (statistic === null) return judged(worst.value, worst.value !== null && holds(worst.value, comparison, value));
  const numbers = answers.flatMap((each) => each.numbers);
  const found = statisticOf(statistic, numbers);
  if (numbers.length > 0 && numbers.length < samplesFor(statistic)) return judged(found, null);
  return judged(found, found !== null && holds(found, comparison, value));
}

/** Below so many numbers a percentile or a mean is chance: it is shown, and not judged. */
function samplesFor(statistic: Statistic): number {
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

/** The number furthest on the wrong side, and whose it is. What is to be equal is wrong on both. */
function extreme(
  answers: readonly Answer[],
  { comparison, value }: Pick<Expectation, "comparison" | "value">,
): { readonly seed: number; readonly value: number | null } {
  const wrongness = (number: number): number => {
    if (comparison === "=") return Math.abs(number - value);
    return comparison === ">" || comparison === ">=" ? -number : number;
  };
  let worst: { readonly seed: number; readonly value: number | null } = { seed: answers[0]!.seed, value: null };
  for (const { seed, numbers } of answers) {
    for (const number of numbers) {
      if (worst.value === null || wrongness(number) > wrongness(worst.value)) worst = { seed, value: number };
    }
  }
  return worst;
}
