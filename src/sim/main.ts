import { execFileSync, fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type BatchSummary, addRun, emptySummary, printSummary, unreached } from "./batch-summary.ts";
import { type CheckerName, checkerNames } from "./checkers/checker.ts";
import { type RunResult, runSeed } from "./run.ts";
import { shrink } from "./shrink.ts";
import { type FaultKind, type RunOverrides, faultKinds, swarm } from "./swarm.ts";
import { traceTo } from "./trace.ts";

const usage = `npm run sim -- --seed N [--json] [--trace] [--shrink]      one run
npm run sim -- --seeds COUNT [--from N] [--jobs J]         many runs; ends with 1 at the first failure
  --minutes M              simulated minutes of a run (default 5)
  --voters N               as many voters, whatever the seed says
  --faults a,b             only these kinds, of those that the seed has on; "" for none
  --clients N              as many clients
  --without a,b            what these checkers report does not count
  --require-all-counters   ends with 1 when a sometimes-counter stayed at zero`;

const EXIT_USAGE = 64;
/** A run makes much garbage that dies young: with twice V8's usual room, fewer of its collections copy what is still in use. Worth a few per cent. */
const YOUNG_GENERATION = "--max-semi-space-size=32";

interface Arguments {
  readonly seed: number | null;
  readonly seeds: number | null;
  readonly from: number;
  readonly jobs: number;
  readonly json: boolean;
  readonly trace: boolean;
  readonly shrink: boolean;
  readonly requireAllCounters: boolean;
  readonly overrides: RunOverrides;
}

await main();

async function main(): Promise<void> {
  // Whoever reads along may have read enough (`| head`).
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit();
  });
  const args = process.argv.slice(2);
  if (args.includes("--help") || args.includes("-h")) return void process.stdout.write(`${usage}\n`);
  const asked = readArguments(args);
  if (typeof asked === "string") {
    process.stderr.write(`${asked}\n\n${usage}\n`);
    process.exit(EXIT_USAGE);
  }
  process.exitCode = asked.seeds === null ? await one(asked) : await many(asked, asked.seeds);
}

async function one(asked: Arguments): Promise<number> {
  const seed = asked.seed!;
  if (asked.json) {
    // Sets, maps and infinities of the configuration have no place in JSON of their own.
    const plain = (_key: string, value: unknown): unknown =>
      value instanceof Set || value instanceof Map ? [...(value as Iterable<unknown>)] : value;
    process.stdout.write(`${JSON.stringify(swarm(seed, asked.overrides), plain, 2)}\n`);
    return 0;
  }
  const overrides = asked.shrink
    ? await shrink(seed, asked.overrides, (line) => process.stdout.write(`${line}\n`))
    : asked.overrides;
  const looking = asked.trace ? traceTo((line) => process.stdout.write(`${line}\n`)) : {};
  const result = await runSeed(seed, { overrides, ...looking });
  const summary = addRun(emptySummary(), result);
  if (result.failure !== null) process.stdout.write(`${failureLine(result, overrides)}\n`);
  printSummary(summary, (line) => process.stdout.write(`${line}\n`));
  return result.failure === null ? 0 : 1;
}

async function many(asked: Arguments, count: number): Promise<number> {
  const queue = [...regressionSeeds(), ...Array.from({ length: count }, (_, at) => asked.from + at)];
  let summary = emptySummary();
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  let failed = false;
  const take = (): number | null => (failed ? null : (queue.shift() ?? null));
  const onResult = (result: RunResult): void => {
    summary = addRun(summary, result);
    if (result.failure === null || failed) return;
    failed = true;
    print(failureLine(result, asked.overrides));
  };
  await Promise.all(Array.from({ length: asked.jobs }, () => worker(take, asked.overrides, onResult)));
  printSummary(summary, print);
  return failed || (asked.requireAllCounters && reportUnreached(summary, print)) ? 1 : 0;
}

/** One child process works off seeds until there are none. */
function worker(take: () => number | null, overrides: RunOverrides, onResult: (result: RunResult) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL("worker.ts", import.meta.url)), [JSON.stringify(overrides)], {
      serialization: "advanced",
      execArgv: [...process.execArgv, YOUNG_GENERATION],
    });
    const next = (): void => {
      const seed = take();
      if (seed === null) child.disconnect();
      else child.send(seed);
    };
    child.on("message", (result) => {
      onResult(result as RunResult);
      next();
    });
    child.on("error", reject);
    child.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`))));
    next();
  });
}

function failureLine({ seed, failure }: RunResult, overrides: RunOverrides): string {
  const { checker, problem, atMs } = failure!;
  const flags = [
    overrides.minutes === undefined ? "" : ` --minutes ${overrides.minutes}`,
    overrides.voters === undefined ? "" : ` --voters ${overrides.voters}`,
    overrides.faults === undefined ? "" : ` --faults "${overrides.faults.join(",")}"`,
    overrides.clients === undefined ? "" : ` --clients ${overrides.clients}`,
    overrides.without === undefined ? "" : ` --without ${overrides.without.join(",")}`,
  ].join("");
  const at = `t=${(atMs / 1_000).toFixed(1)}s`;
  return `FAIL seed=${seed} commit=${commit()} node=${process.version} check=${checker} ${at}  replay: npm run sim -- --seed ${seed}${flags} --trace\n     ${problem}`;
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "unknown";
  }
}

function reportUnreached(summary: BatchSummary, print: (line: string) => void): boolean {
  const missing = unreached(summary);
  if (missing.length > 0) print(`never reached: ${missing.join("; ")}`);
  return missing.length > 0;
}

/** Seeds that once found a bug. A seed says less and less as the code changes; what it found has a test of its own. */
function regressionSeeds(): readonly number[] {
  const text = readFileSync(new URL("regressions.jsonl", import.meta.url), "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as { readonly seed: number }).seed);
}

/** The arguments, or what is wrong with them. */
function readArguments(args: readonly string[]): Arguments | string {
  let values: Readonly<Record<string, string | boolean | undefined>>;
  try {
    const text = { type: "string" } as const;
    const flag = { type: "boolean" } as const;
    const options = {
      seed: text,
      seeds: text,
      from: text,
      jobs: text,
      minutes: text,
      voters: text,
      faults: text,
      clients: text,
      without: text,
      json: flag,
      trace: flag,
      shrink: flag,
      "require-all-counters": flag,
    };
    ({ values } = parseArgs({ args: [...args], options, strict: true }));
  } catch (error) {
    return (error as Error).message;
  }
  const problems: string[] = [];
  const number = (name: string, least: number, whole = true): number | null => {
    const given = values[name];
    if (given === undefined) return null;
    const value = Number(given);
    if (Number.isFinite(value) && value >= least && (!whole || Number.isSafeInteger(value))) return value;
    problems.push(`--${name} ${String(given)}: ${whole ? "a whole number" : "a number"} from ${least} is wanted`);
    return null;
  };
  const [seed, seeds] = [number("seed", 0), number("seeds", 1)];
  const [from, jobs] = [number("from", 0), number("jobs", 1)];
  const [minutes, voters, clients] = [number("minutes", 0.1, false), number("voters", 1), number("clients", 1)];
  const namesOf = <T extends string>(name: string, known: readonly T[]): readonly T[] | null => {
    const given = values[name];
    if (typeof given !== "string") return null;
    const names = given.split(",").filter((each) => each !== "");
    for (const each of names) {
      if (!(known as readonly string[]).includes(each)) problems.push(`--${name} ${each}: known are ${known.join(", ")}`);
    }
    return names as T[];
  };
  const faults = namesOf<FaultKind>("faults", faultKinds);
  const without = namesOf<CheckerName>("without", checkerNames);
  if (problems.length === 0 && (seed === null) === (seeds === null)) problems.push("either --seed or --seeds is wanted");
  if (problems.length > 0) return problems.join("\n");
  return {
    seed,
    seeds,
    from: from ?? 1,
    jobs: jobs ?? 1,
    json: values["json"] === true,
    trace: values["trace"] === true,
    shrink: values["shrink"] === true,
    requireAllCounters: values["require-all-counters"] === true,
    overrides: {
      ...(minutes === null ? {} : { minutes }),
      ...(voters === null ? {} : { voters }),
      ...(clients === null ? {} : { clients }),
      ...(faults === null ? {} : { faults }),
      ...(without === null ? {} : { without }),
    },
  };
}
