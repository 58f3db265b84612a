import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

const wrong = [
  ["main.ts", "--jobs", "0"],
  ["main.ts", "--no-such-option"],
  ["lifeguard-main.ts", "--seeds", "five"],
  ["large-main.ts", "--nodes", "1e99"],
  ["large-main.ts", "--seed=-1"],
] as const;

for (const [script, ...args] of wrong) {
  test(`proof/${script} ${args.join(" ")} names the option, shows the usage and runs nothing`, () => {
    const path = new URL(`../../../src/sim/swim/proof/${script}`, import.meta.url).pathname;
    const { status, stdout, stderr } = spawnSync(process.execPath, [path, ...args], { encoding: "utf8", timeout: 60_000 });
    assert.equal(status, 64);
    assert.equal(stdout, "");
    assert.match(stderr, new RegExp(args[0].split("=")[0]!));
    assert.match(stderr, /npm run sim:swim:/);
  });
}
