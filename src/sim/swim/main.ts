import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { ScenarioError } from "../scenario/words.ts";
import { runBatch } from "./batch.ts";
import { countOf, EXIT_USAGE, runScript } from "./command-line.ts";
import { realCore } from "./real-core.ts";
import { printReport, type Report } from "./report.ts";
import { parseSwimScenario, type ScriptOverrides } from "./scenario/parse.ts";
import type { Setting, SwimScenario } from "./scenario/script.ts";
import { SINGLE_CRASH } from "./single-crash.ts";
import { runOnWorkers } from "./workers.ts";

const USAGE = `npm run sim:swim -- [--scenario FILE]... [--seeds COUNT] [--json]      without a file: a single crash
  --nodes N          as many nodes, whatever the file says
  --profile NAME     local, lan, mesh or legacy
  --set KEY=VALUE    an option of the detector, by the configuration's name: --set period=750ms --set buddy=off
  --seeds COUNT      as many runs (default 1), from --from N (default 1)
  --seed N           the run of this seed alone
  --jobs J           in J processes (default 1)
  --seal             AES-256-GCM instead of a checksum: slower, and the same in every other way
  --trace            one line for everything that a member reports
  --json             the report as JSON
  --help             this text
Exit: 0 everything holds, 1 something does not, 64 the command line or a file is wrong. docs/membership-simulator.md explains files.`;

interface Arguments {
  readonly files: readonly string[];
  readonly seeds: readonly number[];
  readonly jobs: number;
  readonly overrides: ScriptOverrides;
  readonly seal: boolean;
  readonly trace: boolean;
  readonly json: boolean;
  /** What leads to the same runs, apart from file and seed. */
  readonly replay: string;
}

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    print(USAGE);
    return 0;
  }
  return runScript(USAGE, () => readArguments(args), runAll);
}

async function runAll(asked: Arguments): Promise<number> {
  if (asked.files.length === 0) return runText(null, SINGLE_CRASH, asked);
  let worst = 0;
  for (const file of asked.files) worst = Math.max(worst, await runFile(file, asked));
  return worst;
}

async function runFile(file: string, asked: Arguments): Promise<number> {
  // npm runs scripts in the package's folder; names are meant from where the command was typed.
  const path = resolve(process.env["INIT_CWD"] ?? process.cwd(), file);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    process.stderr.write(`${file}: ${(error as Error).message}\n`);
    return EXIT_USAGE;
  }
  return runText(file, text, asked);
}

async function runText(file: string | null, text: string, asked: Arguments): Promise<number> {
  const { overrides, seal, seeds, jobs, trace } = asked;
  try {
    const scenario = parseSwimScenario(text, overrides);
    const reports: Report[] = [];
    for (const [row, script] of scenario.rows.entries()) {
      const report =
        jobs === 1
          ? runBatch(script, { seeds, launch: realCore(seal), onLine: trace ? print : null })
          : await runOnWorkers(script, { text, overrides, row, seal }, { seeds, jobs });
      if (!asked.json) printReport(report, print);
      reports.push(report);
    }
    if (asked.json) print(JSON.stringify({ file, holds: scenario.sentence, source: scenario.source, rows: reports }, null, 2));
    else conclude(file, scenario, reports, asked);
    return reports.some(({ failures }) => failures.length > 0) ? 1 : 0;
  } catch (error) {
    if (!(error instanceof ScenarioError)) throw error;
    process.stderr.write(`${file ?? "single crash"}:${error.line}:${error.column}: ${error.message}\n`);
    return EXIT_USAGE;
  }
}

function conclude(file: string | null, { sentence }: SwimScenario, reports: readonly Report[], asked: Arguments): void {
  const name = file ?? "single crash";
  const from = file === null ? "" : ` --scenario ${file}`;
  for (const { row, failures } of reports) {
    for (const { line, expected, found, seed } of failures) {
      print(`FAIL ${name}:${line}${row === "" ? "" : ` ${row}`} seed=${seed} ${expected}\n     found: ${found}`);
      print(`     replay: npm run sim:swim --${from}${asked.replay} --seed ${seed} --trace`);
    }
  }
  if (reports.every(({ failures }) => failures.length === 0)) print(`ok   ${name}: ${sentence}`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Throws where they are wrong. */
function readArguments(args: readonly string[]): Arguments {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const many = { type: "string", multiple: true } as const;
  const { values } = parseArgs({
    args: [...args],
    strict: true,
    options: {
      scenario: many,
      set: many,
      nodes: text,
      profile: text,
      seeds: text,
      seed: text,
      from: text,
      jobs: text,
      seal: flag,
      trace: flag,
      json: flag,
    },
  });
  const settings = values.set ?? [];
  const jobs = countOf("jobs", values.jobs ?? "1", 1);
  if (jobs > 1 && values.trace) throw new TypeError("--trace follows one run after the other: leave --jobs away");
  const [count, first] = [countOf("seeds", values.seeds ?? "1", 1), countOf("from", values.from ?? "1", 0)];
  const replay = [
    values.nodes === undefined ? "" : ` --nodes ${values.nodes}`,
    values.profile === undefined ? "" : ` --profile ${values.profile}`,
    ...settings.map((each) => ` --set ${each}`),
    values.seal ? " --seal" : "",
  ];
  return {
    files: values.scenario ?? [],
    seeds: values.seed === undefined ? Array.from({ length: count }, (_, i) => first + i) : [countOf("seed", values.seed, 0)],
    overrides: {
      nodes: values.nodes === undefined ? null : countOf("nodes", values.nodes, 1),
      profile: values.profile ?? null,
      settings: settings.map(settingOf),
    },
    jobs,
    seal: values.seal,
    trace: values.trace,
    json: values.json,
    replay: replay.join(""),
  };
}

function settingOf(given: string): Setting {
  const match = /^(\w+)=(?:(on|off)|(\d+(?:\.\d+)?)(ms|s|m|h)?)$/.exec(given);
  if (match === null) throw new TypeError(`--set ${given}: KEY=VALUE is wanted, such as period=750ms or buddy=off`);
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
  const value = match[2] === undefined ? Number(match[3]) * (units[match[4] ?? "ms"] ?? 1) : match[2] === "on";
  return { line: 1, option: match[1]!, value, of: [{ kind: "all" }] };
}
