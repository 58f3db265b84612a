import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { z } from "zod";
import { profiles } from "#config";
import { formatDuration } from "../../src/config/quantities.ts";
import { fileShape } from "../../src/config/schema.ts";

// Through the inside on purpose: the page is held to the schema itself.

const page = readFileSync(new URL("../../docs/operations/configuration.md", import.meta.url), "utf8");

/** Under a host's own section only these are spelt out; tls and worker repeat the cluster's. */
const repeated = /^hosts\.<name>\.ringraft\.(?:tls|worker)\./;
/** These are a table of docs/membership.md. */
const knobs = /^membership\.(?:swim|http_poll)\./;

test("docs/operations/configuration.md lists exactly the keys that exist", () => {
  const documented = [...page.matchAll(/^\| `([a-z_.<>]+)` \|/gm)].flatMap(([, key]) => (key === undefined ? [] : [key]));
  const sections = ["hosts.<name>.ringraft.tls", "hosts.<name>.ringraft.worker", "membership.swim", "membership.http_poll"];
  const existing = keysOf(fileShape, "").filter((key) => !repeated.test(key) && !knobs.test(key));
  assert.deepEqual(documented.filter((key) => !(key in profiles) && !sections.includes(key)).toSorted(), existing.toSorted());
});

test("docs/operations/configuration.md shows the numbers of every profile", () => {
  for (const [name, profile] of Object.entries(profiles)) {
    const row = new RegExp(`^\\| \`${name}\` \\| .+$`, "m").exec(page)?.[0] ?? "";
    assert.deepEqual(row.split(" | ").slice(2).join(" | "), `${Object.values(profile).map(formatDuration).join(" | ")} |`);
  }
});

function keysOf(schema: unknown, path: string): readonly string[] {
  if (schema instanceof z.ZodOptional) return keysOf(schema.unwrap(), path);
  if (schema instanceof z.ZodObject) {
    return Object.entries(schema.shape).flatMap(([key, value]) => keysOf(value, path === "" ? key : `${path}.${key}`));
  }
  if (!(schema instanceof z.ZodRecord) || !(unwrap(schema.valueType) instanceof z.ZodObject)) return [path];
  return keysOf(schema.valueType, `${path}.${path === "hosts" ? "<name>" : "<kind>"}`);
}

function unwrap(schema: unknown): unknown {
  return schema instanceof z.ZodOptional ? schema.unwrap() : schema;
}
