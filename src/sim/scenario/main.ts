import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseScenario } from "./parse.ts";
import { runScenario, type ScenarioResult } from "./run.ts";
import type { Script } from "./script.ts";
import { ScenarioError } from "./words.ts";

const USAGE = `usage: npm run scenario -- FILE... [--rewrite] [--trace]
  --rewrite  write the golden trace of every file that has a "trace:" line and whose expectations hold
  --trace    print all that happened
docs/scenarios.md explains the format.`;

process.exitCode = main(process.argv.slice(2));

/** 0: everything holds; 1: something does not, or a file cannot be read as a scenario; 64: usage. */
function main(args: readonly string[]): number {
  const options = args.filter((arg) => arg.startsWith("-"));
  const files = args.filter((arg) => !arg.startsWith("-"));
  if (options.includes("--help")) {
    console.log(USAGE);
    return 0;
  }
  const unknown = options.find((option) => option !== "--rewrite" && option !== "--trace");
  if (unknown !== undefined || files.length === 0) {
    console.error(unknown === undefined ? "no file given" : `unknown option ${unknown}`);
    console.error(USAGE);
    return 64;
  }
  // npm runs scripts in the package's folder; names are meant from where the command was typed.
  const from = process.env["INIT_CWD"] ?? process.cwd();
  const failed = files.filter(
    (file) => !runFile(file, resolve(from, file), options.includes("--rewrite"), options.includes("--trace")),
  );
  if (files.length > 1) console.log(`${files.length - failed.length} of ${files.length} scenarios hold`);
  return failed.length === 0 ? 0 : 1;
}

function runFile(name: string, path: string, rewrite: boolean, printTrace: boolean): boolean {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    console.error(`${name}: ${(error as Error).message}`);
    return false;
  }
  try {
    const script = parseScenario(text);
    const result = runScenario(script, !rewrite);
    report(name, script, result, printTrace);
    if (rewrite && result.failure === null && script.trace !== null) writeTrace(path, text, script.trace.line, result.trace);
    return result.failure === null;
  } catch (error) {
    if (!(error instanceof ScenarioError)) throw error;
    console.error(`${name}:${error.line}:${error.column}: ${error.message}`);
    return false;
  }
}

function report(name: string, script: Script, { failure, trace, expectations }: ScenarioResult, printTrace: boolean): void {
  if (failure !== null || printTrace) console.log(trace.join("\n"));
  if (failure === null) {
    const rows = script.rows.length === 1 ? "" : `, ${script.rows.length} rows`;
    console.log(`ok   ${name}: ${script.sentence} (${expectations} expectations${rows})`);
    return;
  }
  console.log(`FAIL ${name}: ${script.sentence}`);
  if (failure.row !== "") console.log(`row ${failure.row}`);
  console.log(`${name}:${failure.line}:${failure.column}: ${failure.message}`);
}

function writeTrace(path: string, text: string, traceLine: number, trace: readonly string[]): void {
  const kept = text.split("\n").slice(0, traceLine);
  writeFileSync(path, `${[...kept, ...trace].join("\n")}\n`);
}
