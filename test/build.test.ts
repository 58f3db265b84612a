import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";

const root = resolve(import.meta.dirname, "..");

test("the packed package installs and runs without the sources", { timeout: 120_000 }, () => {
  const scratch = mkdtempSync(join(tmpdir(), "ringraft-pack-"));
  try {
    // Built in a copy, so that the checkout's own dist/ is neither needed nor touched.
    for (const name of [
      "src",
      "examples",
      "bin",
      "proto",
      "config",
      "scripts",
      "package.json",
      "tsconfig.json",
      "tsconfig.build.json",
    ]) {
      cpSync(join(root, name), join(scratch, name), { recursive: true });
    }
    symlinkSync(join(root, "node_modules"), join(scratch, "node_modules"));
    execFileSync("node", ["scripts/build.mjs"], { cwd: scratch, stdio: "pipe" });
    const [packed] = JSON.parse(
      execFileSync("npm", ["pack", "--json", "--ignore-scripts"], { cwd: scratch, stdio: "pipe" }).toString(),
    ) as {
      filename: string;
      files: { path: string }[];
    }[];
    assert.deepEqual(
      packed!.files.filter(({ path }) => path.startsWith("src/") || path.startsWith("test/")),
      [],
    );

    const installed = join(scratch, "installed");
    execFileSync("mkdir", [installed]);
    execFileSync("tar", ["-xzf", packed!.filename, "-C", installed], { cwd: scratch });
    // Its dependencies, as an install would place them, without asking a registry.
    symlinkSync(join(root, "node_modules"), join(installed, "package", "node_modules"));
    const launcher = join(installed, "package", "bin", "ringraft.js");
    const version = spawnSync(process.execPath, [launcher, "--version"], { encoding: "utf8" });
    const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    assert.deepEqual([version.stdout, version.stderr, version.status], [`ringraft ${manifest.version}\n`, "", 0]);
    const missing = spawnSync(process.execPath, [launcher, "config", "validate", "nowhere.yaml"], { encoding: "utf8" });
    assert.equal(missing.status, 78, missing.stderr);
    assert.match(missing.stderr, /nowhere\.yaml/);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
});
