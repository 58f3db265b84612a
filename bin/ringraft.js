#!/usr/bin/env node
// The launcher. Plain JavaScript that an older Node can parse: where the system's Node is older than 24, it hands over to the
// one that `npm ci` placed in node_modules (registry package `node`).
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import * as module from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const built = join(root, "dist", "src", "cli", "main.js");
const source = join(root, "src", "cli", "main.ts");

if (Number(process.versions.node.split(".")[0]) >= 24) {
  module.enableCompileCache();
  await import(pathToFileURL(existsSync(source) ? source : built).href);
} else {
  const newer = join(root, "node_modules", "node", "bin", "node");
  if (!existsSync(newer)) {
    console.error(`ringraft needs Node 24 or newer; this is ${process.version}. Run "npm ci" here, or install Node 24.`);
    process.exit(78);
  }
  const child = spawn(newer, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  // A signal to this process alone (a supervisor's SIGTERM) must reach the one that does the work.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code) => process.exit(code ?? 1));
}
