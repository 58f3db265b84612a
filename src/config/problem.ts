/** Something about the configuration that stops the start (or, in a list of warnings, deserves a look). */
export interface Problem {
  /** The file as it was named by the caller; empty for what comes from the environment or the command line. */
  readonly file: string;
  /** Where, in the file's own spelling (`hosts.a.port`), or the name of an environment variable. Empty = the whole file. */
  readonly path: string;
  /** Counted from 1; null when the problem has no place in the file. */
  readonly line: number | null;
  readonly column: number | null;
  /** One sentence with the value and the rule. */
  readonly message: string;
  /** What to do about it; null when the message says it. */
  readonly hint: string | null;
}

/** A problem by its path alone; the document adds line and column. */
export interface Finding {
  readonly path: readonly (string | number)[];
  readonly message: string;
  readonly hint?: string | null;
  /** Point at the key, not at its value. */
  readonly atKey?: boolean;
}

/** Problems as text for a terminal, a line or two each, with file, line and column in the form that editors jump to. */
export function explainProblems(problems: readonly Problem[]): string {
  return problems.map(explain).join("");
}

function explain({ file, line, column, path, message, hint }: Problem): string {
  const place = line === null ? file : `${file}:${line}:${column ?? 1}`;
  const where = [place, path].filter((part) => part !== "").join(" ");
  return `${where === "" ? "" : `${where}: `}${message}\n${hint === null ? "" : `  ${hint}\n`}`;
}
