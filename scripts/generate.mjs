// Regenerates src/gen from proto/ (npm run generate). `--check` fails when the committed output differs.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";

const check = process.argv.includes("--check");
const out = check ? mkdtempSync(join(tmpdir(), "ringraft-gen-")) : "src/gen";
if (!check) rmSync(out, { recursive: true, force: true });
const template = readFileSync("buf.gen.yaml", "utf8").replace("out: src/gen", `out: ${out}`);
execFileSync("node_modules/.bin/buf", ["generate", "--template", JSON.stringify(toTemplate(template))], { stdio: "inherit" });
// The generated JavaScript is CommonJS in a package of ES modules.
writeFileSync(join(out, "package.json"), '{ "type": "commonjs" }\n');
if (check) {
  const differing = compare(out, "src/gen");
  rmSync(out, { recursive: true, force: true });
  if (differing.length > 0) {
    console.error(`src/gen is stale, run "npm run generate": ${differing.join(", ")}`);
    process.exit(1);
  }
}

function toTemplate(text) {
  const opt = /opt: \[([^\]]*)\]/
    .exec(text)[1]
    .split(",")
    .map((word) => word.trim());
  return { version: "v2", plugins: [{ local: "node_modules/.bin/protoc-gen-ts", out, opt }] };
}

function compare(left, right) {
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
