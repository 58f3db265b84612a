import { assertNever } from "#kernel";
import type { Statistic } from "./scenario/script.ts";

/** A statistic of numbers in any order; the percentiles are of the nearest rank. Null where there are none. */
export function statisticOf(statistic: Statistic, numbers: readonly number[]): number | null {
  if (statistic === "count") return numbers.length;
  if (statistic === "total") return sum(numbers);
  if (numbers.length === 0) return null;
  switch (statistic) {
    case "mean":
      return sum(numbers) / numbers.length;
    case "min":
      return numbers.reduce((least, each) => Math.min(least, each));
    case "max":
      return numbers.reduce((most, each) => Math.max(most, each));
    case "p50":
      return percentile(numbers, 0.5);
    case "p90":
      return percentile(numbers, 0.9);
    case "p99":
      return percentile(numbers, 0.99);
    default:
      return assertNever(statistic, "statistic");
  }
}

function percentile(numbers: readonly number[], share: number): number {
  const sorted = Float64Array.from(numbers).toSorted();
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
