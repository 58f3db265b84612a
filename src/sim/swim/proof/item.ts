import type { Judgement } from "../verdict.ts";

/** One thing that the proof shows: a line with its limit and what was measured. */
export interface Line {
  readonly name: string;
  readonly expected: string;
  readonly found: string;
  /** Null: shown, not judged. */
  readonly holds: boolean | null;
}

/** A part of the proof, and what it takes: the short ones go first. */
export interface Item {
  readonly name: string;
  /** Members times simulated milliseconds, or what is worth as much. */
  readonly cost: number;
  readonly run: (jobs: number) => Promise<readonly Line[]>;
}

/** `runs`: how many there were. A miss names the seed that shows it. */
export function lineOf(name: string, { expected, found, holds, seed }: Judgement, runs: number): Line {
  const where = holds === false ? `, seed ${seed}` : "";
  return { name, expected, found: `${found} (${runs} ${runs === 1 ? "run" : "runs"}${where})`, holds };
}

/** As it is printed. */
export function shown({ name, expected, found, holds }: Line): string {
  return `${holds === null ? "shown" : holds ? "ok   " : "MISS "} ${name}: ${expected}: ${found}`;
}
