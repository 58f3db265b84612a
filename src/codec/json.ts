export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * A domain value in the protocol's JSON spelling, for HTTP and the CLI: snake_case keys; revision, index, term, token,
 * sequence and incarnation as strings, because jq and JavaScript round integers beyond 2^53; times in ms as numbers; null kept.
 * The keys of labels, tags, metrics, aliases and counts are the user's own and stay as they are.
 */
export function toJson(value: unknown): Json {
  if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value === "object") return objectToJson(value as Readonly<Record<string, unknown>>);
  return null;
}

/** `fencingToken` → `fencing_token`. */
export function protocolName(key: string): string {
  let name = protocolNames.get(key);
  if (name === undefined) {
    name = key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    // The keys are those of our own types: the table ends where they end.
    if (protocolNames.size < 1_000) protocolNames.set(key, name);
  }
  return name;
}

const protocolNames = new Map<string, string>([["gpuModels", "gpu_model"]]);

const userKeyed: ReadonlySet<string> = new Set(["labels", "tags", "metrics", "aliases", "counts"]);

const stringNumbers: ReadonlySet<string> = new Set([
  "revision",
  "createRevision",
  "modRevision",
  "fromRevision",
  "minRevision",
  "expectedAliasRevision",
  "fencingToken",
  "lastToken",
  "term",
  "index",
  "commitIndex",
  "appliedIndex",
  "configurationIndex",
  "lastIndex",
  "matchIndex",
  "nextIndex",
  "sequence",
  "firstUnackedSequence",
  "incarnation",
]);

function objectToJson(value: Readonly<Record<string, unknown>>): Json {
  const json: Record<string, Json> = {};
  for (const key in value) {
    const inner = value[key];
    if (inner === undefined) continue;
    if (typeof inner === "number" && stringNumbers.has(key)) json[protocolName(key)] = String(inner);
    else if (userKeyed.has(key) && isRecord(inner)) json[key] = userMap(inner);
    else if (key === "deadlineMs" && "ttlMs" in value) json["session_deadline_ms"] = toJson(inner);
    else json[protocolName(key)] = toJson(inner);
  }
  return json;
}

function userMap(map: Readonly<Record<string, unknown>>): Json {
  const json: Record<string, Json> = {};
  for (const key in map) json[key] = toJson(map[key]);
  return json;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
