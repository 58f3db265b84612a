import { invariant } from "#kernel";
import { catalogue, type MetricDefinition, type MetricName } from "./catalogue.ts";

export interface Counter {
  add(amount?: number): void;
  /** For totals that are counted elsewhere. */
  set(total: number): void;
}
export interface Gauge {
  set(value: number): void;
}
export interface Histogram {
  observe(value: number): void;
}

/** Label values are names given by users (queues, models): the tail beyond this is summed under `other`. */
export const MAX_SERIES = 500;

/**
 * Counters, gauges and histograms as Prometheus text 0.0.4. Handles are taken once and kept: counting is then an addition,
 * without a lookup or an allocation. Small enough to own; prom-client would be the largest dependency of a node.
 */
export class Registry {
  readonly #families = new Map<MetricName, Map<string, Series>>();

  counter(name: MetricName, ...labels: readonly string[]): Counter {
    const { values } = this.#series(name, "counter", labels);
    return {
      add: (amount = 1) => void (values[0] = (values[0] ?? 0) + amount),
      set: (total) => void (values[0] = total),
    };
  }

  gauge(name: MetricName, ...labels: readonly string[]): Gauge {
    const { values } = this.#series(name, "gauge", labels);
    return { set: (value) => void (values[0] = value) };
  }

  histogram(name: MetricName, ...labels: readonly string[]): Histogram {
    const { values } = this.#series(name, "histogram", labels);
    const buckets = bucketsOf(name);
    return {
      observe: (value) => {
        let i = 0;
        while (i < buckets.length && value > (buckets[i] ?? 0)) i++;
        values[i] = (values[i] ?? 0) + 1;
        values[buckets.length + 1] = (values[buckets.length + 1] ?? 0) + value;
      },
    };
  }

  /** Forgets all series of a family, before what is there now is set anew: a queue that is gone leaves no ghost. */
  clear(name: MetricName): void {
    this.#families.delete(name);
  }

  render(): string {
    let text = "";
    for (const [name, definition] of Object.entries(catalogue) as [MetricName, MetricDefinition][]) {
      const family = this.#families.get(name);
      if (family === undefined) continue;
      text += `# HELP ${name} ${definition.help}\n# TYPE ${name} ${definition.type}\n`;
      for (const series of family.values()) text += renderSeries(name, definition, series);
    }
    return text;
  }

  #series(name: MetricName, type: MetricDefinition["type"], labels: readonly string[]): Series {
    const definition: MetricDefinition = catalogue[name];
    const expected = definition.labels?.length ?? 0;
    invariant(definition.type === type, `${name} is a ${definition.type}, not a ${type}`);
    invariant(labels.length === expected, `${name} has ${expected} labels, got ${labels.length}`);
    let family = this.#families.get(name);
    if (family === undefined) this.#families.set(name, (family = new Map<string, Series>()));
    const known = family.get(keyOf(labels));
    if (known !== undefined) return known;
    const kept = family.size < MAX_SERIES ? labels : labels.map(() => "other");
    const existing = family.get(keyOf(kept));
    if (existing !== undefined) return existing;
    // Gauges and counters: one value. Histograms: a count per bucket, one for +Inf, then the sum.
    const series: Series = { labels: kept, values: new Float64Array(type === "histogram" ? bucketsOf(name).length + 2 : 1) };
    family.set(keyOf(kept), series);
    return series;
  }
}

interface Series {
  readonly labels: readonly string[];
  readonly values: Float64Array;
}

function bucketsOf(name: MetricName): readonly number[] {
  const { buckets }: MetricDefinition = catalogue[name];
  return buckets ?? [];
}

function keyOf(labels: readonly string[]): string {
  return labels.length === 1 ? (labels[0] ?? "") : JSON.stringify(labels);
}

function renderSeries(name: MetricName, definition: MetricDefinition, { labels, values }: Series): string {
  const pairs = (definition.labels ?? []).map((label, i) => `${label}="${escape(labels[i] ?? "")}"`);
  const named = (suffix: string, more: readonly string[], value: number): string => {
    const all = [...pairs, ...more];
    return `${name}${suffix}${all.length === 0 ? "" : `{${all.join(",")}}`} ${value}\n`;
  };
  if (definition.type !== "histogram") return named("", [], values[0] ?? 0);
  const bounds = [...(definition.buckets ?? []).map(String), "+Inf"];
  let count = 0;
  let text = "";
  for (const [i, bound] of bounds.entries()) {
    count += values[i] ?? 0;
    text += named("_bucket", [`le="${bound}"`], count);
  }
  return text + named("_sum", [], values[bounds.length] ?? 0) + named("_count", [], count);
}

function escape(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
