import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { runBatch } from "../../../src/sim/swim/batch.ts";
import { realCore } from "../../../src/sim/swim/real-core.ts";
import { METRIC_NAMES } from "../../../src/sim/swim/metrics.ts";
import { statisticOf } from "../../../src/sim/swim/percentiles.ts";
import { parseSwimScenario } from "../../../src/sim/swim/scenario/parse.ts";
import type { SwimScript } from "../../../src/sim/swim/scenario/script.ts";
import { ScenarioError } from "../../../src/sim/scenario/words.ts";

test("a scenario is read word for word", () => {
  const [script] = parseSwimScenario(`holds: A sentence.
source: here
nodes 9                        # a comment
group sick random 2
delay per-link lognormal 25ms 0.5
loss 3%
nat n8 n9 mapping 30s
run 10m
at 1s..2s every 60s times 5 restart n1..n3 sick down 3s..8s losing state by-half moved
expect known-everywhere p99 <= 10s from 1m to 9m
`).rows;
  const { network, nats, steps, expectations, runMs } = script!;
  assert.deepEqual(network.delay, { kind: "lognormal", perLink: true, medianMs: 25, sigma: 0.5 });
  assert.equal(network.lossChance, 0.03);
  assert.equal(runMs, 600_000);
  assert.deepEqual(nats[0], {
    of: [
      { kind: "nodes", from: 7, to: 7 },
      { kind: "nodes", from: 8, to: 8 },
    ],
    mappingMs: 30_000,
    endpointDependent: true,
  });
  const [{ action, fromMs, toMs, everyMs, times }] = steps as [SwimScript["steps"][0]];
  assert.deepEqual([fromMs, toMs, everyMs, times], [1_000, 2_000, 60_000, 5]);
  assert.deepEqual(action, {
    kind: "restart",
    of: [
      { kind: "nodes", from: 0, to: 2 },
      { kind: "group", name: "sick" },
    ],
    down: { fromMs: 3_000, toMs: 8_000 },
    state: "lost by half",
    moved: true,
  });
  const { metric, statistic, comparison, value, fromMs: windowFrom, toMs: windowTo } = expectations[0]!;
  assert.deepEqual(
    [metric, statistic, comparison, value, windowFrom, windowTo],
    ["known-everywhere", "p99", "<=", 10_000, 60_000, 540_000],
  );
});

test("a table runs the file once for every row", () => {
  const { rows } = parseSwimScenario(`holds: x\nsource: y\neach | loss\n | 1%\n | 5%\nloss {loss}\nrun 1s\nexpect flaps = 0\n`);
  assert.deepEqual(
    rows.map(({ name, network }) => [name, network.lossChance]),
    [
      ["loss=1%", 0.01],
      ["loss=5%", 0.05],
    ],
  );
});

test("networks that are announced, and keys that a start brings along", () => {
  const [script] = parseSwimScenario(`holds: x
source: y
# proof: 200 seeds
nodes 9
planes mesh public
announces public for n9
run 1m
at 1s announce n9 on public mesh
at 2s start n8 losing state with-keys k2 k1
expect flaps = 0
`).rows;
  const n = (node: number) => [{ kind: "nodes", from: node - 1, to: node - 1 }];
  assert.deepEqual(script!.announcements, [{ planes: ["public"], of: n(9) }]);
  assert.deepEqual(
    script!.steps.map(({ action }) => action),
    [
      { kind: "announce", of: n(9), planes: ["public", "mesh"] },
      { kind: "start", of: n(8), state: "lost", moved: false, keys: ["k2", "k1"] },
    ],
  );
});

test("what the command line says stands instead of what the file says", () => {
  const overrides = { nodes: 5, profile: "lan", settings: [] };
  const [script] = parseSwimScenario("holds: x\nsource: y\nnodes 9\nprofile mesh\nrun 1s\nexpect flaps = 0\n", overrides).rows;
  assert.deepEqual([script!.nodes, script!.profile], [5, "lan"]);
});

for (const [line, column, message] of [
  ["at 0s kil n1", 7, 'unknown action "kil", did you mean "kill"?'],
  ["at 0s kill n10", 12, "n10: the nodes are n1 to n9"],
  ["at 5m kill n1", 1, '"at 5m kill n1" comes after the end of the run'],
  ["at soon kill n1", 4, 'expected when (a duration such as 750ms, 7s, 10m or 24h), got "soon"'],
  ["loss 3", 6, 'expected loss (a share such as 3%), got "3"'],
  ["expect known-everywhere <= 7s", 25, "expected a statistic of known-everywhere"],
  ["expect false-deaths p99 = 0", 25, "false-deaths is one number a run"],
  ["expect known-everwhere p50 <= 7s", 8, 'did you mean "known-everywhere"?'],
  ["delay uniform 40ms 10ms", 24, "the longest delay is shorter than the shortest"],
  ["group n3 random 2", 10, 'a group cannot be called "n3"'],
  ["at 0s drop mesh n1", 12, 'unknown network (or udp) "mesh"'],
  ["start cold", 7, 'unknown way to start "cold"'],
  ["start warm; absent n9", 22, "whoever is absent would be held alive"],
  ["absent n9; start warm", 22, "whoever is absent would be held alive"],
] as const) {
  test(`a mistake is found where it stands: ${line}`, () => {
    assert.throws(
      () => parseSwimScenario(`holds: x\nsource: y\nnodes 9\n${line}\nrun 1m\nexpect flaps = 0\n`),
      (error: unknown) => {
        assert.ok(error instanceof ScenarioError);
        assert.ok(error.message.includes(message), error.message);
        assert.deepEqual([error.line, error.column], [4, column]);
        return true;
      },
    );
  });
}

test("a file that expects nothing is refused", () => {
  assert.throws(() => parseSwimScenario("holds: x\nsource: y\nrun 1m\n"), /expects nothing/);
});

test("an option that does not exist, or that breaks a relation, is a mistake of its line", () => {
  const wrong = (line: string): (() => void) => {
    const [script] = parseSwimScenario(`holds: x\nsource: y\n${line}\nrun 1m\nexpect flaps = 0\n`).rows;
    return () => void runBatch(script!, { seeds: [1], launch: realCore(false), onLine: null });
  };
  assert.throws(wrong("set perod 1s"), /there is no option "perod"/);
  assert.throws(wrong("set probe_timeout 700ms"), /probe_timeout 700 ms must be at most half of period 750 ms/);
});

test("the page about scenario files has an example that can be read, and names every metric", () => {
  const page = readFileSync(new URL("../../../docs/membership-simulator.md", import.meta.url), "utf8");
  const example = /```swim\n([\s\S]*?)```/.exec(page)![1]!;
  assert.equal(parseSwimScenario(example).rows.length, 1);
  assert.deepEqual(
    METRIC_NAMES.filter((name) => !page.includes(`| \`${name}\` |`)),
    [],
  );
});

test("percentiles are of the nearest rank", () => {
  const numbers = Array.from({ length: 100 }, (_, i) => 100 - i);
  assert.deepEqual(
    (["p50", "p90", "p99", "max", "min", "mean", "total", "count"] as const).map((each) => statisticOf(each, numbers)),
    [50, 90, 99, 100, 1, 50.5, 5_050, 100],
  );
  assert.equal(statisticOf("p99", [3]), 3);
  assert.equal(statisticOf("p99", []), null);
});
