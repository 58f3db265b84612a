// `npm test`: every check that a change must pass, cheap ones first, the suites last. Arguments name test files to run instead.
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";

const files = process.argv.slice(2);
/** @type {[name: string, command: string, args: string[]][]} */
const checks = [
  ["the lock file installs", "npm", ["ci", "--dry-run", "--ignore-scripts", "--no-audit", "--no-fund"]],
  ["generated code is fresh", "node", ["scripts/generate.mjs", "--check"]],
  ["proto style", "buf", ["lint"]],
  ["types", "tsc", ["--noEmit"]],
  ["types of the pure rooms", "tsc", ["--noEmit", "-p", "tsconfig.pure.json"]],
  ["lint", "oxlint", ["--type-aware", "--deny-warnings"]],
  ["format", "oxfmt", ["--check", "."]],
  ["dead code", "knip", ["--no-progress"]],
];

if (files.length === 0) {
  for (const [name, command, args] of checks) {
    const started = performance.now();
    const result = spawnSync(command, args, { encoding: "utf8", env: process.env });
    console.log(`${result.status === 0 ? "ok  " : "FAIL"} ${name} (${Math.round(performance.now() - started)} ms)`);
    if (result.status !== 0) {
      console.log(result.stdout + result.stderr);
      process.exit(1);
    }
  }
}

// Real-process tests come last and alone: they judge counts, but a crowded machine makes them slow.
const all = globSync("test/**/*.test.ts").toSorted();
const unit = all.filter((path) => !path.startsWith("test/e2e/"));
const processes = all.filter((path) => path.startsWith("test/e2e/"));
const suites =
  files.length > 0
    ? [[files, 2]]
    : [
        [unit, 2],
        [processes, 1],
      ];
let failed = false;
for (const [paths, concurrency] of suites) {
  if (paths.length === 0) continue;
  const run = spawnSync(
    "node",
    ["--test", "--test-timeout=400000", `--test-concurrency=${concurrency}`, "--test-reporter=spec", ...paths],
    {
      stdio: "inherit",
    },
  );
  if (run.status !== 0) failed = true;
}
process.exit(failed ? 1 : 0);
