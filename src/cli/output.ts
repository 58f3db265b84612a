import { toJson } from "#codec";
import { UsageError } from "./command.ts";

export type OutputFormat = "table" | "json";

/** Options of every command that prints something. */
export const outputOptions = { output: { type: "string", short: "o" }, json: { type: "boolean" } } as const;

export const outputHelp = `  -o, --output table|json   how to print (default table); --json is the same as -o json`;

export interface OutputValues {
  readonly output?: string | undefined;
  readonly json?: boolean | undefined;
}

export function outputFormat({ output, json = false }: OutputValues): OutputFormat {
  if (output === "json" || (json && output === undefined)) return "json";
  if (json) throw new UsageError(`--json and -o ${output} contradict each other`);
  if (output === undefined || output === "table") return "table";
  throw new UsageError(`-o takes table or json, not "${output}"`);
}

/** Prints rows as a table with a header, or as JSON in the protocol's spelling (64-bit integers as strings). */
export function printRows<T>(
  format: OutputFormat,
  values: readonly T[],
  columns: Readonly<Record<string, (value: T) => string>>,
): void {
  if (format === "json") {
    printJson(values);
    return;
  }
  process.stdout.write(
    tableLines(values, columns)
      .map((line) => `${line}\n`)
      .join(""),
  );
}

/** The table's lines, the header first. */
export function tableLines<T>(values: readonly T[], columns: Readonly<Record<string, (value: T) => string>>): readonly string[] {
  const header = Object.keys(columns);
  const rows = values.map((value) => Object.values(columns).map((cell) => oneLine(cell(value))));
  const widths = header.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]!.length)));
  return [header, ...rows].map((cells) =>
    cells
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join("  ")
      .trimEnd(),
  );
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(toJson(value), null, 2)}\n`);
}

/** For how long something has been so, roughly. */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}

/** User text must not move the cursor or fake a row: control characters are shown escaped. */
export function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
