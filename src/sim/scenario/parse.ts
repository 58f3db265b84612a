import type { NodeId } from "#kernel";
import { nearest } from "./nearest.ts";
import type { Members, Row, Script, Statement } from "./script.ts";
import { VERB_NAMES, type VerbName, VERBS } from "./verbs.ts";
import { type Roster, ScenarioError, splitStatements, Words } from "./words.ts";

/**
 * Reads a scenario file. Throws {@link ScenarioError} at the first word that means nothing.
 *
 * ```
 * holds: …      what must hold, one sentence      source: …    where the scenario comes from
 * each | a | b  optional table; every row is one run of the lines below, with {a} and {b} replaced
 * …             one statement a line (or several, separated by ";")
 * trace:        optional; the rest of the file is the golden trace
 * ```
 */
export function parseScenario(text: string): Script {
  const lines = text.split("\n");
  const traceAt = lines.findIndex((line) => line.trimEnd() === "trace:");
  const body = (traceAt < 0 ? lines : lines.slice(0, traceAt)).map((text, i) => ({ line: i + 1, text }));
  const sentence = header(body, "holds");
  const source = header(body, "source");
  const rest = body.filter(({ text }) => !HEADER.test(text));
  const table = readTable(rest.filter(({ text }) => isTableLine(text)));
  const statements = rest.filter(({ text }) => !isTableLine(text));
  const rows = table.map((row) => parseRow(statements, row));
  if (!rows.every((row) => row.statements.some((statement) => statement.action.kind === "expect"))) {
    throw new ScenarioError(1, 1, 'the file, or a row of it, has no "expect": it would hold whatever happens');
  }
  const trace = traceAt < 0 ? null : { line: traceAt + 1, lines: withoutTrailingBlank(lines.slice(traceAt + 1)) };
  return { sentence, source, rows, trace };
}

interface Line {
  readonly line: number;
  readonly text: string;
}

interface TableRow {
  readonly cells: ReadonlyMap<string, string>;
  readonly name: string;
}

const HEADER = /^(holds|source):\s*(.*)$/;

function header(lines: readonly Line[], name: string): string {
  for (const { text } of lines) {
    const match = HEADER.exec(text);
    if (match?.[1] === name && match[2] !== "") return match[2]!.trim();
  }
  throw new ScenarioError(1, 1, `the line "${name}: …" is missing`);
}

function isTableLine(text: string): boolean {
  return /^\s*(each\s*)?\|/.test(text);
}

function readTable(lines: readonly Line[]): readonly TableRow[] {
  const [first, ...rows] = lines;
  if (first === undefined) return [{ cells: new Map(), name: "" }];
  if (!first.text.trimStart().startsWith("each")) throw new ScenarioError(first.line, 1, 'a table begins with "each |"');
  const names = cellsOf(first.text);
  if (rows.length === 0) throw new ScenarioError(first.line, 1, "the table has no rows");
  return rows.map(({ line, text }) => {
    const cells = cellsOf(text);
    if (cells.length !== names.length) {
      throw new ScenarioError(line, 1, `the row has ${cells.length} cells, the table has ${names.length} columns`);
    }
    return {
      cells: new Map(names.map((name, i) => [name, cells[i]!])),
      name: names.map((name, i) => `${name}=${cells[i]!}`).join(" "),
    };
  });
}

function cellsOf(text: string): readonly string[] {
  const cells = text.split("|").slice(1);
  if (cells.at(-1)?.trim() === "") cells.pop();
  return cells.map((cell) => cell.trim());
}

function parseRow(lines: readonly Line[], row: TableRow): Row {
  const roster: Roster = { nodes: new Set(), absent: new Set() };
  const statements: Statement[] = [];
  for (const line of lines) {
    const { text, columns } = substitute(line, row.cells);
    for (const found of splitStatements(text, (at) => columns[at] ?? 1)) {
      statements.push(parseStatement(new Words(line.line, found, roster)));
    }
  }
  return { name: row.name, members: membersOf(statements), statements };
}

/** Fills in the row's cells and remembers for every letter the column of the file it came from. */
function substitute(
  { line, text }: Line,
  cells: TableRow["cells"],
): { readonly text: string; readonly columns: readonly number[] } {
  let out = "";
  const columns: number[] = [];
  const add = (piece: string, columnAt: (i: number) => number): void => {
    for (let i = 0; i < piece.length; i++) columns.push(columnAt(i));
    out += piece;
  };
  let end = 0;
  for (const match of text.matchAll(/\{([\w ]+)\}/g)) {
    const value = cells.get(match[1]!);
    if (value === undefined) {
      const near = nearest(match[1]!, [...cells.keys()]);
      throw new ScenarioError(
        line,
        match.index + 1,
        `no column "${match[1]}"${near === null ? "" : `, did you mean "${near}"?`}`,
      );
    }
    const start = end;
    add(text.slice(end, match.index), (i) => start + i + 1);
    add(value, () => match.index + 1);
    end = match.index + match[0].length;
  }
  add(text.slice(end), (i) => end + i + 1);
  return { text: out, columns };
}

function parseStatement(words: Words): Statement {
  const { line, column, text } = words;
  const verb = words.oneOf<VerbName>("verb", VERB_NAMES);
  const action = VERBS[verb](words);
  words.end();
  return { line, column, text, action };
}

function membersOf(statements: readonly Statement[]): Members {
  const named = (kind: VerbName): readonly NodeId[] | null => {
    const [found, again] = statements.filter(({ action }) => action.kind === kind);
    if (again !== undefined)
      throw new ScenarioError(again.line, again.column, `a second "${kind}" line: name all of them in one`);
    return found !== undefined && "nodes" in found.action ? (found.action.nodes ?? []) : null;
  };
  const voters = named("voters");
  if (voters === null) throw new ScenarioError(statements[0]?.line ?? 1, 1, 'no "voters" line: who is there?');
  return {
    voters,
    outgoing: named("outgoing"),
    learners: named("learners") ?? [],
    outside: named("outside") ?? [],
    absent: named("absent") ?? [],
  };
}

function withoutTrailingBlank(lines: readonly string[]): readonly string[] {
  let end = lines.length;
  while (end > 0 && lines[end - 1] === "") end--;
  return lines.slice(0, end);
}
