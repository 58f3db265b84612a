import { header, isHeader, isTableLine, type Line, readTable, substitute, type TableRow } from "../../scenario/layout.ts";
import { ScenarioError, splitStatements, Words } from "../../scenario/words.ts";
import { parseSetup, SETUP_WORDS, type SetupWord } from "./parse-setup.ts";
import { parseExpectation, parseStep } from "./parse-step.ts";
import type { Expectation, Setting, Step, SwimScenario, SwimScript } from "./script.ts";

/** What the command line says instead of the file. */
export interface ScriptOverrides {
  readonly nodes: number | null;
  readonly profile: string | null;
  readonly settings: readonly Setting[];
}

export const NO_OVERRIDES: ScriptOverrides = { nodes: null, profile: null, settings: [] };

/** A script while its lines are read. */
export type Draft = { -readonly [K in keyof SwimScript]: SwimScript[K] };

/** Reads a scenario file (docs/membership-simulator.md). Throws {@link ScenarioError} at the first word that means nothing. */
export function parseSwimScenario(text: string, overrides: ScriptOverrides = NO_OVERRIDES): SwimScenario {
  const lines = text.split("\n").map((each, i) => ({ line: i + 1, text: each }));
  const statements = lines.filter(({ text: each }) => !isHeader(each) && !isTableLine(each));
  const table = readTable(lines.filter(({ text: each }) => isTableLine(each)));
  const minutes = PROOF_MINUTES.exec(text)?.[1];
  return {
    sentence: header(lines, "holds"),
    source: header(lines, "source"),
    proofSeeds: Number(PROOF_SEEDS.exec(text)?.[1] ?? 1),
    proofProcessorMs: minutes === undefined ? null : Number(minutes) * 60_000,
    rows: table.map((row) => parseRow(statements, row, overrides)),
  };
}

const PROOF_SEEDS = /^# proof: (\d+) seeds?$/m;
const PROOF_MINUTES = /^# proof: under (\d+)m of processor time$/m;

function parseRow(lines: readonly Line[], row: TableRow, overrides: ScriptOverrides): SwimScript {
  const draft = emptyDraft(row.name, overrides);
  const steps: Step[] = [];
  const expectations: Expectation[] = [];
  for (const line of lines) {
    const { text, columns } = substitute(line, row.cells);
    for (const found of splitStatements(text, (at) => columns[at] ?? 1)) {
      const words = new Words(line.line, found, { nodes: new Set(), absent: new Set() });
      const known = { nodes: draft.nodes, groups: new Set(draft.groups.keys()) };
      const first = words.oneOf("statement", STATEMENTS);
      if (first === "at") steps.push(parseStep(words, known, draft.network.planes));
      else if (first === "expect") expectations.push(parseExpectation(words, known));
      else parseSetup(first, words, known, draft, overrides);
      words.end();
    }
  }
  if (draft.runMs === 0) throw new ScenarioError(1, 1, 'no "run" line: for how long?');
  if (expectations.length === 0 && !steps.some(({ action }) => action.kind === "see")) {
    throw new ScenarioError(1, 1, "the file, or a row of it, expects nothing: it would hold whatever happens");
  }
  const late = steps.find(({ toMs }) => toMs > draft.runMs);
  if (late !== undefined) throw new ScenarioError(late.line, 1, `"${late.text}" comes after the end of the run`);
  return { ...draft, settings: [...draft.settings, ...overrides.settings], steps, expectations };
}

const STATEMENTS: readonly (SetupWord | "at" | "expect")[] = [...SETUP_WORDS, "at", "expect"];

function emptyDraft(name: string, overrides: ScriptOverrides): Draft {
  return {
    name,
    nodes: overrides.nodes ?? 36,
    profile: overrides.profile ?? "mesh",
    settings: [],
    network: {
      delay: { kind: "uniform", perLink: false, fromMs: 10, toMs: 40 },
      lossChance: 0,
      duplicateChance: 0,
      streams: "delayed",
      planes: ["public"],
    },
    groups: new Map(),
    absent: [],
    seeds: [{ kind: "nodes", from: 0, to: 2 }],
    nats: [],
    labels: [],
    keys: [],
    announcements: [],
    start: "joining",
    settleMs: 30_000,
    runMs: 0,
    steps: [],
    expectations: [],
  };
}
