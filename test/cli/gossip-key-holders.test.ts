import assert from "node:assert/strict";
import { test } from "node:test";
import { holdersOf, isByOwnWord, type KeyView, leftTo, usesOf, whyNot } from "../../src/cli/gossip-keys/holders.ts";

const [OLD, NEW] = ["aaaaaaaa", "bbbbbbbb"];

type Row = readonly [nodeId: string, incarnation: string, keys: readonly string[], state?: string];

function view(nodeId: string, ...rows: readonly Row[]): KeyView {
  return {
    nodeId,
    members: rows.map(([id, incarnation, keys, state = "alive"]) => ({ nodeId: id, incarnation, keys, state })),
  };
}

test("a node's own word holds; what others say of those who cannot be asked is taken from the newest of them", () => {
  const holders = holdersOf([
    view("a", ["a", "1.0", [OLD]], ["b", "9.9", [OLD]], ["nat", "2.9", [OLD]], ["gone", "1.0", [OLD], "dead"]),
    view("b", ["b", "1.0", [OLD, NEW]], ["a", "1.1", [NEW]], ["nat", "2.10", [OLD, NEW], "suspect"]),
  ]);
  assert.deepEqual(holders, [
    { nodeId: "a", state: "alive", keys: [OLD], toldBy: "a" },
    { nodeId: "b", state: "alive", keys: [OLD, NEW], toldBy: "b" },
    { nodeId: "nat", state: "suspect", keys: [OLD, NEW], toldBy: "b" },
  ]);
  assert.deepEqual(usesOf(holders), [
    { key: OLD, usedBy: ["a", "b", "nat"], installedAt: ["a", "b", "nat"], missingAt: [] },
    { key: NEW, usedBy: [], installedAt: ["b", "nat"], missingAt: ["a"] },
  ]);
});

test("no key is used before everybody has it, and none removed before nobody seals with it; who does not tell counts against both", () => {
  const holders = (...keys: readonly (readonly string[])[]) =>
    holdersOf([view("a", ...keys.map((of, at): Row => [String.fromCharCode(97 + at), "1.0", of]))]);
  assert.equal(whyNot("use", NEW, holders([OLD, NEW], [OLD], [])), `key ${NEW} is not installed at b, c`);
  assert.equal(whyNot("use", NEW, holders([OLD, NEW], [NEW])), null);
  assert.equal(whyNot("remove", OLD, holders([NEW, OLD], [OLD, NEW], [])), `key ${OLD} is still used by b, c`);
  assert.equal(whyNot("remove", OLD, holders([NEW, OLD], [NEW])), null);
  assert.deepEqual(leftTo("install", NEW, holders([OLD], [OLD, NEW])), ["a"]);
  assert.deepEqual(leftTo("use", NEW, holders([OLD, NEW], [NEW, OLD])), ["a"]);
  assert.deepEqual(leftTo("remove", OLD, holders([NEW, OLD], [NEW], [])), ["a", "c"]);
});

test("a node's own word does not change by waiting; what others tell of it may only be old", () => {
  const holders = holdersOf([view("a", ["a", "1.0", [NEW]], ["nat", "1.0", [OLD]])]);
  assert.equal(isByOwnWord(["nat"], holders), false);
  assert.equal(isByOwnWord(["nat", "a"], holders), true);
});
