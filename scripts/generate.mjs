// Regenerates src/gen from proto/ (`npm run generate`). `--check` fails when the committed output differs.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";

const scratch = mkdtempSync(join(tmpdir(), "ringraft-gen-"));
const fresh = join(scratch, "src", "gen");
try {
  execFileSync("buf", ["generate", "--output", scratch], { stdio: "inherit" });
  // The generated JavaScript is CommonJS in a package of ES modules.
  writeFileSync(join(fresh, "package.json"), '{ "type": "commonjs" }\n');
  const stale = differing(fresh, "src/gen");
  if (!process.argv.includes("--check")) {
    for (const name of stale) rmSync(join("src/gen", name), { force: true });
    cpSync(fresh, "src/gen", { recursive: true });
  } else if (stale.length > 0) {
    console.error(`src/gen is stale, run "npm run generate": ${stale.join(", ")}`);
    process.exitCode = 1;
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

function differing(left, right) {
  const names = new Set([...files(left), ...files(right)]);
  return [...names].filter((name) => read(join(left, name)) !== read(join(right, name)));
}

function files(root) {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
