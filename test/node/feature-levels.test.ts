import assert from "node:assert/strict";
import { test } from "node:test";
import { NEWEST_LEVEL, NODES_LEVEL } from "#node";
import { NODES, newestLevel } from "../../src/statemachine/features.ts";

test("nodes and new clusters go by the feature levels that the state machine knows", () => {
  assert.deepEqual([NODES_LEVEL, NEWEST_LEVEL], [NODES, newestLevel]);
});
