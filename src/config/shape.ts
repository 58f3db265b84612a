import { z } from "zod";
import type { Finding } from "./problem.ts";
import { fileShape, hostKeys, show, type FileShape } from "./schema.ts";
import { nearest } from "./suggest.ts";

export interface Shaped {
  /** Null when `findings` is not empty. */
  readonly shape: FileShape | null;
  readonly findings: readonly Finding[];
  readonly warnings: readonly Finding[];
}

/** Checks types and keys. What is ours is strict; what belongs to other readers of the same inventory is only pointed out. */
export function checkShape(value: unknown): Shaped {
  if (!isRecord(value)) {
    return { shape: null, warnings: [], findings: [{ path: [], message: `the file must hold sections, got ${show(value)}` }] };
  }
  const named = nameHosts(value["hosts"]);
  if (named.findings.length > 0) return { shape: null, warnings: [], findings: named.findings };
  const document = named.hosts === null ? value : { ...value, hosts: named.hosts };
  const foreign = foreignSections(document);
  const parsed = fileShape.safeParse(document);
  const findings = [...foreign.findings, ...(parsed.error?.issues ?? []).flatMap((issue) => fromIssue(issue, document))];
  const warnings = [...foreign.warnings, ...foreignHostKeys(document["hosts"])];
  return { shape: parsed.success && findings.length === 0 ? parsed.data : null, findings, warnings };
}

/** `hosts` may be a map (sync runbook) or a list with `name` (connectivity runbook); from here on it is a map. */
function nameHosts(hosts: unknown): {
  readonly hosts: Record<string, unknown> | null;
  readonly findings: readonly Finding[];
} {
  if (!Array.isArray(hosts)) return { hosts: null, findings: [] };
  const findings: Finding[] = [];
  const named = new Map<string, unknown>();
  for (const [i, entry] of hosts.entries()) {
    const name: unknown = isRecord(entry) ? entry["name"] : undefined;
    const path = ["hosts", i, "name"];
    if (typeof name !== "string" || name === "") findings.push({ path, message: "every host of a list needs a name" });
    else if (named.has(name)) findings.push({ path, message: `the node id ${show(name)} stands twice under hosts` });
    else named.set(name, entry);
  }
  return { hosts: Object.fromEntries(named), findings };
}

function foreignSections(document: Readonly<Record<string, unknown>>): {
  readonly findings: readonly Finding[];
  readonly warnings: readonly Finding[];
} {
  const findings: Finding[] = [];
  const left: string[] = [];
  for (const key of Object.keys(document).filter((name) => !(name in fileShape.shape))) {
    const meant = nearest(key, Object.keys(fileShape.shape)) ?? nearestInside(key);
    if (meant === null) left.push(key);
    else findings.push(unknownKey([key], meant));
  }
  if (left.length === 0) return { findings, warnings: [] };
  const message = `not read by ringraft and left to other programs: ${left.join(", ")}`;
  return { findings, warnings: [{ path: [left[0] ?? ""], message, atKey: true }] };
}

/** A key of one of our sections that slipped to the left margin; only long names, short ones are words of everybody. */
function nearestInside(key: string): string | null {
  if (key.length < 8) return null;
  for (const section of Object.keys(fileShape.shape)) {
    const meant = nearest(key, keysAt([section]));
    if (meant !== null && section !== "hosts") return `${section}.${meant}`;
  }
  return null;
}

function foreignHostKeys(hosts: unknown): readonly Finding[] {
  if (!isRecord(hosts)) return [];
  const firstSeen = new Map<string, string>();
  for (const [name, entry] of Object.entries(hosts)) {
    for (const key of isRecord(entry) ? Object.keys(entry) : []) {
      if (!hostKeys.includes(key) && !firstSeen.has(key)) firstSeen.set(key, name);
    }
  }
  const [first] = firstSeen;
  if (first === undefined) return [];
  const meant = [...firstSeen.keys()].flatMap((key) => {
    const near = nearest(key, hostKeys);
    return near === null ? [] : [`did you mean ${near} instead of ${key}?`];
  });
  return [
    {
      path: ["hosts", first[1], first[0]],
      message: `keys of hosts that ringraft does not read: ${[...firstSeen.keys()].join(", ")}`,
      hint: meant.length === 0 ? null : meant.join(" "),
      atKey: true,
    },
  ];
}

function fromIssue(issue: z.core.$ZodIssue, document: unknown): readonly Finding[] {
  const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
  const value = valueAt(document, path);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => unknownKey([...path, key], nearest(key, keysAt(path))));
    case "invalid_type": {
      const message = value === undefined ? "is missing" : `must be ${withArticle(issue.expected)}, got ${show(value)}`;
      return [{ path, message }];
    }
    case "invalid_value": {
      const allowed = issue.values.map(String);
      const meant = typeof value === "string" ? nearest(value, allowed) : null;
      const message = `${show(value)} must be one of ${allowed.join(", ")}`;
      return [{ path, message, hint: meant === null ? null : `did you mean ${meant}?` }];
    }
    case "invalid_key":
      return [{ path, message: `the name ${issue.issues[0]?.message ?? issue.message}`, atKey: true }];
    default:
      return [{ path, message: issue.message }];
  }
}

/** ADR-013's parameters that are no key here, with what stands in their place. */
const replaced: ReadonlyMap<string, string> = new Map([
  ["suspicion_timeout_ms", "it follows from period, suspicion_multiplier and the number of members: see ringraft swim explain"],
  ["bind_port", "write it into membership.bind, as address:port"],
]);

function unknownKey(path: readonly (string | number)[], meant: string | null): Finding {
  const key = path.at(-1);
  const instead = path[0] === "membership" ? replaced.get(String(key)) : undefined;
  if (instead !== undefined) return { path, message: `unknown key ${String(key)}`, hint: instead, atKey: true };
  const known = meant === null ? keysAt(path.slice(0, -1)) : [];
  const hint = meant !== null ? `did you mean ${meant}?` : known.length > 0 ? `known here: ${known.join(", ")}` : null;
  return { path, message: `unknown key ${String(key)}`, hint, atKey: true };
}

/** The keys that the schema knows in the section at `path`. */
function keysAt(path: readonly (string | number)[]): readonly string[] {
  let schema: unknown = fileShape;
  for (const part of path) {
    schema = unwrap(schema);
    if (schema instanceof z.ZodObject) schema = schema.shape[part];
    else if (schema instanceof z.ZodRecord) schema = schema.valueType;
    else if (schema instanceof z.ZodArray) schema = schema.element;
    else return [];
  }
  schema = unwrap(schema);
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

function unwrap(schema: unknown): unknown {
  return schema instanceof z.ZodOptional ? schema.unwrap() : schema;
}

function valueAt(document: unknown, path: readonly (string | number)[]): unknown {
  let value: unknown = document;
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string | number, unknown>)[part];
  }
  return value;
}

function withArticle(expected: string): string {
  const word = { record: "section", object: "section", array: "list", string: "text" }[expected] ?? expected;
  return word === "text" ? word : `a ${word}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
