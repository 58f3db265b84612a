import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { catalogue, type MetricDefinition } from "#observe";

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly action: string };
}

const root = resolve(import.meta.dirname, "..", "..");
const file = parse(readFileSync(join(root, "config/alerts.yaml"), "utf8")) as {
  readonly groups: readonly { readonly rules: readonly Rule[] }[];
};
const rules = file.groups.flatMap((group) => group.rules);

test("config/alerts.yaml asks only for series that exist, and a gauge is not asked for its rate", () => {
  const pulse = ["ringrift_pulse_stale_seconds", { type: "gauge" }] as const;
  const series = new Map<string, MetricDefinition["type"]>();
  for (const [name, { type }] of [...Object.entries(catalogue), pulse]) {
    if (type !== "histogram") series.set(name, type);
    else for (const suffix of ["_bucket", "_sum", "_count"]) series.set(name + suffix, "counter");
  }
  for (const { alert, expr } of rules) {
    const names = [...expr.matchAll(/\b(?:ringrift|nodejs|process)_\w+/g)].map(([name]) => name);
    assert.ok(names.length > 0, alert);
    for (const name of names) {
      assert.ok(series.has(name), `${alert}: ${name} does not exist`);
      const isRate = new RegExp(`(?:rate|increase)\\(${name}\\[`).test(expr);
      assert.equal(isRate, series.get(name) === "counter", `${alert}: ${name} is a ${series.get(name)}`);
    }
  }
});

test("every alert has a name of its own, says how bad it is and what to do, and the pages that it names are there", () => {
  assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
  for (const { alert, labels, annotations } of rules) {
    assert.ok(["critical", "warning"].includes(labels.severity), alert);
    assert.ok(annotations.summary.length > 0 && annotations.action.length > 0, alert);
    for (const [page] of annotations.action.matchAll(/docs\/[\w./-]+\.md/g)) {
      assert.ok(existsSync(join(root, page)), `${alert}: ${page}`);
    }
  }
});
