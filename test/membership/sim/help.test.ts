import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

test("the simulator's --help tells its options and is no error; an unknown option is one", () => {
  const main = join(import.meta.dirname, "../../../src/sim/swim/main.ts");
  const run = (option: string) => spawnSync(process.execPath, [main, option], { encoding: "utf8" });
  const help = run("--help");
  assert.deepEqual([help.status, help.stderr], [0, ""]);
  assert.match(help.stdout, /^npm run sim:swim -- .*\n(?: {2}--\w.*\n)+Exit: /);
  const wrong = run("--hlep");
  assert.deepEqual([wrong.status, wrong.stdout], [64, ""]);
});
