import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkerNames } from "../checkers/checker.ts";
import { type Mutant, plant } from "./mutant.ts";

export interface HuntOptions {
  /** Random seeds, after the pinned one. */
  readonly seeds: number;
  /** Simulated, of each run. */
  readonly minutes: number;
}

export type Verdict =
  | { readonly kind: "killed" | "not named"; readonly checker: string; readonly seed: number }
  | { readonly kind: "survived" };

/**
 * Runs the simulator on a copy of the project that has the bug, until a checker finds it. Only what the named checkers report
 * counts: others would stop a run before these have seen the harm. Throws when the simulator did not run at all.
 */
export async function hunt(mutant: Mutant, { seeds, minutes }: HuntOptions): Promise<Verdict> {
  const copy = mkdtempSync(join(tmpdir(), `ringraft-${mutant.id}-`));
  copies.add(copy);
  try {
    plantIn(copy, mutant);
    const without = checkerNames.filter((name) => !mutant.killedBy.includes(name)).join(",");
    const run = async (...which: readonly string[]): Promise<Verdict> =>
      verdictOf(mutant, await simulate(copy, [...which, "--minutes", `${minutes}`, "--without", without]));
    const pinned = mutant.seed === null ? survived : await run("--seed", `${mutant.seed}`);
    return pinned.kind !== "survived" || seeds === 0 ? pinned : await run("--seeds", `${seeds}`, "--from", "1", "--jobs", "1");
  } finally {
    rmSync(copy, { recursive: true, force: true });
    copies.delete(copy);
  }
}

/** For the end of the process, at any time: no simulator goes on, and no copy stays behind. */
export function stopHunting(): void {
  for (const child of children) child.kill("SIGKILL");
  for (const copy of copies) rmSync(copy, { recursive: true, force: true });
}

const survived: Verdict = { kind: "survived" };
const root = fileURLToPath(new URL("../../../", import.meta.url));
const copies = new Set<string>();
const children = new Set<ChildProcess>();

function plantIn(copy: string, mutant: Mutant): void {
  cpSync(join(root, "src"), join(copy, "src"), { recursive: true });
  for (const file of ["package.json", "tsconfig.json"]) cpSync(join(root, file), join(copy, file));
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  for (const edit of mutant.edits) {
    const path = join(copy, edit.file);
    writeFileSync(path, plant(mutant, edit, readFileSync(path, "utf8")));
  }
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

function verdictOf(mutant: Mutant, { code, output }: Ended): Verdict {
  if (code === 0) return survived;
  const [, seed, checker] = /^FAIL seed=(\d+) .*?check=(\S+)/m.exec(output) ?? [];
  if (checker === undefined) throw new Error(`the simulator did not run on mutant ${mutant.id}:\n${output}`);
  return { kind: mutant.killedBy.includes(checker) ? "killed" : "not named", checker, seed: Number(seed) };
}

/** How the simulator ended, and all that it said. */
function simulate(directory: string, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["src/sim/main.ts", ...args], { cwd: directory, stdio: ["ignore", "pipe", "pipe"] });
    children.add(child);
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code) => {
      children.delete(child);
      resolve({ code, output });
    });
  });
}
