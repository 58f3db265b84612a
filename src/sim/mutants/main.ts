import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Mutant, plant, readCatalogue } from "./mutant.ts";

/**
 * `npm run sim:mutants -- [ID…] [--seeds 200] [--jobs 2]`: plants each bug of the catalogue in a copy of the project and runs
 * the simulator on it until a checker finds it. Exit 1 when one survives, or is found by a checker that it does not name.
 */
const root = fileURLToPath(new URL("../../../", import.meta.url));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seeds: { type: "string", default: "200" }, jobs: { type: "string", default: "2" } },
});
const catalogue = readCatalogue();
const unknown = positionals.filter((id) => !catalogue.some((mutant) => mutant.id === id));
if (unknown.length > 0) {
  console.error(`unknown mutant ${unknown.join(", ")}; there are ${catalogue.map(({ id }) => id).join(" ")}`);
  process.exit(64);
}
const chosen = positionals.length === 0 ? catalogue : catalogue.filter(({ id }) => positionals.includes(id));
const startedMs = Date.now();
const waiting = [...chosen];
const survivors: string[] = [];
await Promise.all(Array.from({ length: Number(values.jobs) }, work));
const minutes = ((Date.now() - startedMs) / 60_000).toFixed(1);
console.log(`${chosen.length - survivors.length} of ${chosen.length} mutants killed in ${minutes} minutes`);
if (survivors.length > 0) {
  console.error(`not killed as named: ${survivors.join(", ")}`);
  process.exitCode = 1;
}

async function work(): Promise<void> {
  for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
    const began = Date.now();
    const verdict = await hunt(mutant);
    const seconds = ((Date.now() - began) / 1000).toFixed(0);
    console.log(`${mutant.id.padEnd(4)} ${verdict.text.padEnd(60)} ${seconds.padStart(4)} s  ${mutant.bug}`);
    if (!verdict.killed) survivors.push(mutant.id);
  }
}

async function hunt(mutant: Mutant): Promise<{ readonly killed: boolean; readonly text: string }> {
  const copy = mkdtempSync(join(tmpdir(), `ringraft-${mutant.id}-`));
  try {
    cpSync(join(root, "src"), join(copy, "src"), { recursive: true });
    for (const file of ["package.json", "tsconfig.json"]) cpSync(join(root, file), join(copy, file));
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
    for (const edit of mutant.edits) {
      const path = join(copy, edit.file);
      writeFileSync(path, plant(mutant, edit, readFileSync(path, "utf8")));
    }
    const output = await simulate(copy);
    const [, seed, checker] = /FAIL seed=(\S+) .*?check=(\S+)/.exec(output) ?? [];
    if (checker === undefined && !output.includes("simulated hours")) throw new Error(`the simulator did not run:\n${output}`);
    if (checker === undefined) return { killed: false, text: `SURVIVED ${values.seeds} seeds` };
    const named = mutant.killedBy.includes(checker);
    return { killed: named, text: `${named ? "killed by" : "NOT NAMED:"} ${checker} at seed ${seed}` };
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** Everything that the simulator says; it stops at the first failure. */
function simulate(directory: string): Promise<string> {
  const args = ["src/sim/main.ts", "--seeds", values.seeds, "--from", "1", "--jobs", "1"];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: directory, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.on("error", reject);
    child.on("close", () => resolve(output));
  });
}
