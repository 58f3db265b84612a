import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReadId } from "#raft";
// The inside of the room: who shares a barrier is not visible through its door.
import { ReadBarriers } from "../../src/consensus/raft/read-barriers.ts";

function asking(isShared: boolean): { readonly barriers: ReadBarriers; readonly asked: ReadId[] } {
  const asked: ReadId[] = [];
  return { barriers: new ReadBarriers((readId) => asked.push(readId), isShared), asked };
}

test("the callers of one turn share a barrier, and one of the next turn gets its own", () => {
  const { barriers, asked } = asking(true);
  assert.equal(barriers.join(), barriers.join());
  barriers.seal();
  void barriers.join();
  assert.equal(asked.length, 2);
});

test("where a lease may answer, each caller asks with a clock reading of its own: the process may have been paused between two", () => {
  const { barriers, asked } = asking(false);
  assert.notEqual(barriers.join(), barriers.join());
  assert.equal(asked.length, 2);
});
