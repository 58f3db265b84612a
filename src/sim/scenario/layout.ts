import { nearest } from "./nearest.ts";
import { ScenarioError } from "./words.ts";

/** One line of the file, counted from 1. */
export interface Line {
  readonly line: number;
  readonly text: string;
}

/** One row of the table: what stands in each column, and the row's name (`loss=3% k=3`). */
export interface TableRow {
  readonly cells: ReadonlyMap<string, string>;
  readonly name: string;
}

/** What stands behind `name:`; a file without it is refused. */
export function header(lines: readonly Line[], name: string): string {
  for (const { text } of lines) {
    const match = HEADER.exec(text);
    if (match?.[1] === name && match[2] !== "") return match[2]!.trim();
  }
  throw new ScenarioError(1, 1, `the line "${name}: …" is missing`);
}

export function isHeader(text: string): boolean {
  return HEADER.test(text);
}

export function isTableLine(text: string): boolean {
  return /^\s*(each\s*)?\|/.test(text);
}

/** The table `each | a | b` and its rows; without one, a single row without columns. */
export function readTable(lines: readonly Line[]): readonly TableRow[] {
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

/** Fills in the row's cells and remembers for every letter the column of the file it came from. */
export function substitute(
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

const HEADER = /^(holds|source):\s*(.*)$/;
