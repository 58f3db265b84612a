import assert from "node:assert/strict";
import { readFileSync, globSync } from "node:fs";
import { test } from "node:test";
import { addRun, emptySummary, unreached } from "../../src/sim/batch-summary.ts";
import { sometimesOf, sometimesSources } from "../../src/sim/counters.ts";
import { runSeed } from "#sim";

/** By path: the room's door shows whole runs only. */
const root = new URL("../../", import.meta.url);

test("every sometimes-counter counts something that is still in the code", () => {
  const code = globSync("src/**/*.ts", { cwd: root })
    .filter((path) => path !== "src/sim/counters.ts")
    .map((path) => readFileSync(new URL(path, root), "utf8"))
    .join("\n");
  const counters = readFileSync(new URL("src/sim/counters.ts", root), "utf8");
  for (const [name, sources] of Object.entries<readonly string[]>(sometimesSources)) {
    for (const source of sources) {
      const [kind, ...rest] = source.split(": ");
      const what = rest.join(": ");
      const isThere =
        kind === "seen"
          ? counters.includes(`#saw("${what}")`)
          : kind === "mark" || kind === "transfer" || kind === "fault" || kind === "warning" || kind === "error"
            ? code.includes(`"${what}"`)
            : kind === "directory refused" || kind === "process ended"
              ? code.includes(`"${what}"`) && code.includes(`\`${kind}: `)
              : code.includes(`"${source}"`);
      assert.ok(isThere, `${name} waits for "${source}", which nothing counts`);
    }
  }
});

test("a counter adds up its sources, and what nothing has reached is named", () => {
  const counted = sometimesOf({ "disk: write failed": 2, "disk: read failed": 3 });
  assert.equal(counted["EIO hit"], 5);
  assert.equal(counted["read by lease"], 0);
});

test("the counters of a batch are those of its runs together", async () => {
  const run = await runSeed(1, { overrides: { minutes: 0.5 } });
  const once = addRun(emptySummary(), run);
  const twice = addRun(once, run);
  for (const [name, times] of Object.entries(run.counters)) assert.equal(twice.counters.get(name), 2 * times);
  assert.deepEqual(unreached(twice), unreached(once));
});
