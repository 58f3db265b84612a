import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { NodeId } from "#kernel";
import { tableOf, told } from "./records.ts";

test("the table of docs/membership.md is what a node does, all 75 cells of it", () => {
  const page = readFileSync(new URL("../../../docs/membership.md", import.meta.url), "utf8");
  const rows = page.matchAll(/^\| `(\w+)` \| `(\w+)` \| `(\w+)` n \| `(\w+)` n \| `(\w+)` n\+1 \|$/gm);
  const cells = [...rows].flatMap(([, known, incoming, ...held]) => held.map((state, age) => ({ known, incoming, state, age })));
  assert.equal(cells.length, 75);
  for (const { known, incoming, state, age } of cells) {
    const table = tableOf(`${known}@5`, `${incoming}@${4 + age}`);
    assert.equal(told(table.get(NodeId("x"))), `${state}@1.${age === 2 ? 6 : 5}`, `${known}, then ${incoming} at ${4 + age}`);
  }
});
