import assert from "node:assert/strict";
import { test } from "node:test";
import { runBatch } from "../../../src/sim/swim/batch.ts";
import { LARGE } from "../../../src/sim/swim/proof/large.ts";
import { holdsTenfold } from "../../../src/sim/swim/proof/lifeguard.ts";
import { realCore } from "../../../src/sim/swim/real-core.ts";
import type { Report } from "../../../src/sim/swim/report.ts";
import { NO_OVERRIDES, parseSwimScenario } from "../../../src/sim/swim/scenario/parse.ts";
import { runOnWorkers } from "../../../src/sim/swim/workers.ts";

const TEXT = `holds: x
source: y
each | killed
     | n3
     | n4
nodes 5
settle 5s
at 0s kill {killed}
run 30s
expect undetected = 0
expect known-everywhere max <= 1ms
expect known-everywhere p99 <= 40s
expect crashes = 1
`;

test("a row that is run in two processes gives the report that one process gives", async () => {
  const script = parseSwimScenario(TEXT).rows[1]!;
  const seeds = [1, 2, 3];
  const here = runBatch(script, { seeds, launch: realCore(false), onLine: null });
  const there = await runOnWorkers(script, { text: TEXT, overrides: NO_OVERRIDES, row: 1, seal: false }, { seeds, jobs: 2 });
  const timeless = (report: Report) => ({ ...report, tookMs: 0 });
  assert.deepEqual(timeless(there), timeless(here));
});

test("each expectation is judged: it holds, it does not and a seed shows it, or there are too few numbers", () => {
  const { judgements, failures } = runBatch(parseSwimScenario(TEXT).rows[0]!, {
    seeds: [1, 2],
    launch: realCore(false),
    onLine: null,
  });
  assert.deepEqual(
    judgements.map(({ holds }) => holds),
    [true, false, null, true],
  );
  assert.equal(failures[0]?.expected, "expect known-everywhere max <= 1ms");
  assert.match(failures[0].found, /^\d+\.\d\ds$/);
});

test("a tenth of the false deaths is wanted where there are twenty without Lifeguard; fewer say nothing", () => {
  const holds = (off: number, on: number): boolean | null => holdsTenfold({ cell: "", off, on });
  assert.deepEqual([holds(20, 2), holds(20, 3), holds(19, 0), holds(9_455, 0)], [true, false, null, true]);
});

test("the run of 10,000 members is rehearsed with fewer, and tells of every second that has passed", () => {
  const [script] = parseSwimScenario(LARGE, { ...NO_OVERRIDES, nodes: 40 }).rows;
  const seconds: number[] = [];
  const run = (onSecond?: (simulatedMs: number) => void): Report =>
    runBatch(script!, { seeds: [1], launch: realCore(false), onLine: null, ...(onSecond === undefined ? {} : { onSecond }) });
  const told = run((simulatedMs) => void seconds.push(simulatedMs));
  assert.deepEqual(told.failures, []);
  assert.deepEqual(
    seconds,
    Array.from({ length: 140 }, (_, at) => (at + 1) * 1_000),
  );
  assert.equal(told.fingerprint, run().fingerprint);
});
