import { parseArgs } from "node:util";
import { type Verdict, hunt, stopHunting } from "./hunt.ts";
import { type Mutant, pinSeed, readCatalogue } from "./mutant.ts";

const usage = `npm run sim:mutants -- [ID…]     plants each bug of the catalogue, or these, in a copy of the project and runs the simulator on it
  --seeds COUNT   so many random seeds, after the pinned one (default 200); 0: the pinned one alone
  --minutes M     simulated minutes of a run (default 5, as everywhere: the same seeds without a bug are the control)
  --jobs J        so many at a time (default 2)
  --pin           writes the seed that killed a bug into its file
Ends with 1 when a bug survives: only the checkers that its file names may kill it.`;

const EXIT_USAGE = 64;
const EXIT_INTERRUPTED = 130;

interface Arguments {
  readonly mutants: readonly Mutant[];
  readonly seeds: number;
  readonly minutes: number;
  readonly jobs: number;
  readonly pin: boolean;
}

await main();

async function main(): Promise<void> {
  const asked = readArguments(process.argv.slice(2));
  if (typeof asked === "string") {
    process.stderr.write(`${asked}\n\n${usage}\n`);
    process.exit(EXIT_USAGE);
  }
  if (asked === null) return void process.stdout.write(`${usage}\n`);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      stopHunting();
      process.exit(EXIT_INTERRUPTED);
    });
  }
  const startedMs = Date.now();
  const survivors = await huntAll(asked);
  const minutes = ((Date.now() - startedMs) / 60_000).toFixed(1);
  const { length } = asked.mutants;
  process.stdout.write(`${length - survivors.length} of ${length} mutants killed in ${minutes} minutes\n`);
  if (survivors.length === 0) return;
  process.stderr.write(`not killed: ${survivors.join(", ")}\n`);
  process.exitCode = 1;
}

async function huntAll({ mutants, jobs, pin, ...options }: Arguments): Promise<readonly string[]> {
  const waiting = [...mutants];
  const survivors: string[] = [];
  const work = async (): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const startedMs = Date.now();
      const verdict = await hunt(mutant, options);
      const seconds = ((Date.now() - startedMs) / 1_000).toFixed(0);
      process.stdout.write(`${mutant.id.padEnd(4)} ${tell(verdict).padEnd(48)} ${seconds.padStart(4)} s  ${mutant.bug}\n`);
      if (verdict.kind !== "killed") survivors.push(mutant.id);
      else if (pin && verdict.seed !== mutant.seed) pinSeed(mutant, verdict.seed);
    }
  };
  try {
    await Promise.all(Array.from({ length: jobs }, work));
  } finally {
    stopHunting();
  }
  return survivors;
}

function tell(verdict: Verdict): string {
  if (verdict.kind === "survived") return "SURVIVED";
  return `${verdict.kind === "killed" ? "killed by" : "NOT NAMED:"} ${verdict.checker} at seed ${verdict.seed}`;
}

/** The arguments, what is wrong with them, or null when help is wanted. */
function readArguments(args: readonly string[]): Arguments | string | null {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { seeds: text, minutes: text, jobs: text, pin: flag, help: flag },
    });
    if (values.help === true) return null;
    const number = (name: "seeds" | "minutes" | "jobs", standard: number, least: number): number => {
      const value = Number(values[name] ?? standard);
      if (Number.isFinite(value) && value >= least && (name === "minutes" || Number.isSafeInteger(value))) return value;
      throw new Error(`--${name} ${values[name]}: a number from ${least} is wanted`);
    };
    const catalogue = readCatalogue();
    const unknown = positionals.filter((id) => !catalogue.some((mutant) => mutant.id === id));
    if (unknown.length > 0) return `unknown mutant ${unknown.join(", ")}; there are ${catalogue.map(({ id }) => id).join(" ")}`;
    return {
      mutants: positionals.length === 0 ? catalogue : catalogue.filter(({ id }) => positionals.includes(id)),
      seeds: number("seeds", 200, 0),
      minutes: number("minutes", 5, 0.1),
      jobs: number("jobs", 2, 1),
      pin: values.pin === true,
    };
  } catch (error) {
    return (error as Error).message;
  }
}
