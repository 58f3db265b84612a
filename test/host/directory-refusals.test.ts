import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeId } from "#kernel";
import type { Log } from "#ports";
import { DirectoryRefusals } from "../../src/host/directory-refusals.ts";
import type { StartError } from "../../src/host/start-error.ts";

const [n1, n2, n3, n4] = ["n1", "n2", "n3", "n4"].map(NodeId) as [NodeId, NodeId, NodeId, NodeId];

function observed(): { readonly refusals: DirectoryRefusals; readonly ends: string[]; readonly errors: string[] } {
  const ends: string[] = [];
  const errors: string[] = [];
  const quiet = (): void => {};
  const log: Log = { debug: quiet, info: quiet, warn: quiet, error: (message) => errors.push(message), child: () => log };
  return { refusals: new DirectoryRefusals(log, (error: StartError) => ends.push(error.message)), ends, errors };
}

test("a majority that comes about because a voter was removed counts at the next try, though its refusals are known and logged", () => {
  const { refusals, ends, errors } = observed();
  const four = [n1, n2, n3, n4];
  for (const by of [n2, n3, n2, n3]) refusals.heard(by, "wiped", "another directory", four);
  assert.deepEqual([ends, errors.length], [[], 2], "two of four are no majority");
  refusals.heard(n2, "wiped", "another directory", [n1, n2, n3]);
  assert.deepEqual([ends, errors.length], [["n2, n3 refuse this node's data directory: another directory"], 2]);
});

test("who refuses and is no voter any more neither ends this node nor stands in its health", () => {
  const { refusals, ends } = observed();
  refusals.heard(n2, "wiped", "another directory", [n1, n2, n3, n4]);
  refusals.heard(n3, "cloned", "an old copy", [n1, n3, n4]);
  assert.deepEqual(ends, []);
  assert.deepEqual(refusals.refusing([n1, n3, n4]), ["n3 (cloned)"]);
  refusals.heard(n3, null, "", [n1, n3, n4]);
  assert.deepEqual(refusals.refusing([n1, n3, n4]), []);
});
