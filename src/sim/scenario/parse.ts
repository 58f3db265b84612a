import type { NodeId } from "#kernel";
import { header, isHeader, isTableLine, type Line, readTable, substitute, type TableRow } from "./layout.ts";
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
  const rest = body.filter(({ text }) => !isHeader(text));
  const table = readTable(rest.filter(({ text }) => isTableLine(text)));
  const statements = rest.filter(({ text }) => !isTableLine(text));
  const rows = table.map((row) => parseRow(statements, row));
  if (!rows.every((row) => row.statements.some((statement) => statement.action.kind === "expect"))) {
    throw new ScenarioError(1, 1, 'the file, or a row of it, has no "expect": it would hold whatever happens');
  }
  const trace = traceAt < 0 ? null : { line: traceAt + 1, lines: withoutTrailingBlank(lines.slice(traceAt + 1)) };
  return { sentence, source, rows, trace };
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
