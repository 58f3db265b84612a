import { isAlias, isMap, isPair, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type Node } from "yaml";
import type { Finding, Problem } from "./problem.ts";

/** A parsed file that still knows where everything stood. */
export interface ConfigDocument {
  readonly value: unknown;
  readonly locate: (finding: Finding) => Problem;
}

export type Parsed =
  | { readonly ok: true; readonly document: ConfigDocument }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Enough for a thousand hosts; above it somebody has pointed us at the wrong file. */
export const MAX_FILE_BYTES = 262_144;
/** An alias may be used to avoid a repetition, not to make ten lines mean ten million. */
const MAX_ALIASES = 10;
const MAX_DEPTH = 32;
/** `<<` is a merge key in YAML 1.1 only; half of the parsers in the field would read the file differently. */
const FORBIDDEN_KEYS: ReadonlyMap<string, string> = new Map([
  ["__proto__", "this name is not allowed as a key"],
  ["constructor", "this name is not allowed as a key"],
  ["prototype", "this name is not allowed as a key"],
  ["<<", "merge keys are not supported"],
]);

/** `file` is for messages only. YAML 1.2 core schema: no merge keys, no custom tags, no duplicate keys, bounded aliases and depth. */
export function parseConfigDocument(file: string, text: string): Parsed {
  const lines = new LineCounter();
  let document: Document;
  try {
    document = parseDocument(text, {
      schema: "core",
      uniqueKeys: true,
      merge: false,
      resolveKnownTags: false,
      lineCounter: lines,
      prettyErrors: false,
    });
  } catch {
    return failed([whole(file, "nested too deeply to be a configuration")]);
  }
  const broken = [...document.errors, ...document.warnings].map(({ pos, message }): Problem => {
    const { line, col } = lines.linePos(pos[0]);
    return { file, path: "", line, column: col, message: `not valid YAML: ${message}`, hint: null };
  });
  if (broken.length > 0) return failed(broken);
  const forbidden = findForbidden(file, document, lines);
  if (forbidden.length > 0) return failed(forbidden);
  try {
    const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
    return { ok: true, document: { value, locate: (finding) => locate(file, document, lines, finding) } };
  } catch {
    return failed([whole(file, `more aliases than the ${MAX_ALIASES} that are allowed`)]);
  }
}

function failed(problems: readonly Problem[]): Parsed {
  return { ok: false, problems };
}

function whole(file: string, message: string): Problem {
  return { file, path: "", line: null, column: null, message, hint: null };
}

function findForbidden(file: string, document: Document, lines: LineCounter): readonly Problem[] {
  const problems: Problem[] = [];
  const report = (node: unknown, path: string, message: string): void => {
    const position = rangeStart(node);
    const { line, col } = lines.linePos(position ?? 0);
    problems.push({ file, path, line, column: col, message, hint: null });
  };
  visit(document, {
    Pair: (_, pair) => {
      if (!isScalar(pair.key) || typeof pair.key.value !== "string") {
        // Numbers as names (`hosts: {1: …}`) would silently become text; a key is written the way it is meant.
        report(pair.key, isScalar(pair.key) ? String(pair.key.value) : "", "a key must be text; put quotes around it");
        return;
      }
      const message = FORBIDDEN_KEYS.get(pair.key.value);
      if (message !== undefined) report(pair.key, pair.key.value, message);
    },
    Node: (_, node, ancestors) => {
      if (ancestors.length <= MAX_DEPTH * 2) return undefined;
      report(node, "", `nested deeper than ${MAX_DEPTH} levels`);
      return visit.BREAK;
    },
  });
  return problems;
}

/** The nearest place that exists: the value or key itself, else whatever it would have stood in. */
function locate(file: string, document: Document, lines: LineCounter, finding: Finding): Problem {
  const position = findPosition(document, finding);
  const place = position === null ? null : lines.linePos(position);
  const fromOutside = String(finding.path[0]).startsWith("RINGRIFT_");
  return {
    file: fromOutside ? "" : file,
    path: finding.path.map((part, i) => (typeof part === "number" ? `[${part}]` : i === 0 ? part : `.${part}`)).join(""),
    line: place?.line ?? null,
    column: place?.col ?? null,
    message: finding.message,
    hint: finding.hint ?? null,
  };
}

function findPosition(document: Document, finding: Finding): number | null {
  let node: unknown = document.contents;
  let position: number | null = null;
  for (const part of finding.path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === part);
      if (pair === undefined) return position;
      position = finding.atKey === true ? rangeStart(pair.key) : (rangeStart(pair.value) ?? rangeStart(pair.key));
      node = pair.value;
    } else if (isSeq(node)) {
      // `hosts` as a list: entries are named by their `name`.
      node = typeof part === "number" ? node.items[part] : node.items.find((item) => isMap(item) && item.get("name") === part);
      position = rangeStart(node) ?? position;
    } else return position;
  }
  return position;
}

function rangeStart(node: unknown): number | null {
  return (node as Node | null | undefined)?.range?.[0] ?? null;
}
