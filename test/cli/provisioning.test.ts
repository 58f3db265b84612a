import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { assertRefused, run, treeOf } from "../e2e/refusals.ts";

const scratch = mkdtempSync(join(tmpdir(), "ringraft-provision-"));
after(() => rmSync(scratch, { recursive: true }));
let folders = 0;

const cluster = `voters: [a, b, c]
timing: {profile: mesh}
hosts:
  a: {host: 127.0.0.1}
  b: {host: 127.0.0.1, ringraft: {ports: {http: 8780, peer: 8782, client: 8783}}}
  c: {host: 127.0.0.1, ringraft: {ports: {http: 8790, peer: 8792, client: 8793}}}
`;

function configured(text = cluster): { readonly folder: string; readonly file: string; readonly idFile: string } {
  const folder = join(scratch, String(folders++));
  mkdirSync(folder);
  writeFileSync(join(folder, "hosts.yaml"), text);
  return { folder, file: join(folder, "hosts.yaml"), idFile: join(folder, "canonical_node_id") };
}

const unnamed = { RINGRIFT_NODE_ID: "" };

test("`ringraft node init` writes the name that every later start reads, once", async () => {
  const { folder, file, idFile } = configured();
  const first = await run(["node", "init", "b", "--config", file], unnamed);
  assert.deepEqual([first.code, first.stdout], [0, `${idFile} now names this node b\n`]);
  assert.equal(readFileSync(idFile, "utf8"), "b\n");
  assert.equal(statSync(idFile).mode & 0o777, 0o644);
  const before = treeOf(folder);
  const second = await run(["node", "init", "--config", file], unnamed);
  assert.deepEqual([second.code, second.stdout], [0, `${idFile} already names this node b; nothing was changed\n`]);
  assert.deepEqual(treeOf(folder), before);
});

test("`ringraft node init` takes the name from the environment of a container that has it", async () => {
  const { file, idFile } = configured();
  assert.equal((await run(["node", "init", "--config", file], { RINGRIFT_NODE_ID: "c" })).code, 0);
  assert.equal(readFileSync(idFile, "utf8"), "c\n");
});

test("I5: no name, a container id, a disputed name and one that is not under hosts are refused, and nothing is written", async () => {
  const { folder, file } = configured();
  const before = treeOf(folder);
  const init = (name: readonly string[], env: NodeJS.ProcessEnv = unnamed) =>
    run(["node", "init", ...name, "--config", file], env);
  assertRefused(await init([]), 78, /this node has no name/, /RINGRIFT_NODE_ID.*canonical_node_id.*node_id in it/);
  assertRefused(await init(["2d9de0d97a72"]), 78, /looks like a container id/);
  assertRefused(await init(["b"], { RINGRIFT_NODE_ID: "c" }), 78, /disputed: --node-id says "b", RINGRIFT_NODE_ID says "c"/);
  assertRefused(await init(["bb"]), 78, /this node's id "bb" is not under hosts/);
  assertRefused(await run(["node", "init", "b"]), 2, /--config FILE is missing/);
  assert.deepEqual(treeOf(folder), before);
});

test("a machine is not renamed by running `ringraft node init` again", async () => {
  const { folder, file } = configured();
  assert.equal((await run(["node", "init", "b", "--config", file], unnamed)).code, 0);
  const before = treeOf(folder);
  assertRefused(
    await run(["node", "init", "c", "--config", file], unnamed),
    78,
    /--node-id says "c", the file canonical_node_id says "b"/,
  );
  assert.deepEqual(treeOf(folder), before);
});

test("`ringraft swim explain` prints what a profile means, for people and for programs", async () => {
  const text = await run(["swim", "explain"]);
  assert.equal(text.code, 0);
  assert.match(text.stdout, /^profile +mesh \(hash [0-9a-f]{8}\)$/m);
  assert.match(text.stdout, /^and dead everywhere +p50 6\.46 s, p99 9\.39 s$/m);
  const json = await run(["swim", "explain", "--profile", "lan", "--nodes", "100", "--json"]);
  const explained = JSON.parse(json.stdout) as {
    options: { period: number };
    swim: { members: number; suspicion_min_ms: number };
  };
  assert.deepEqual([explained.options.period, explained.swim.members, explained.swim.suspicion_min_ms], [500, 100, 4_000]);
});

test("`ringraft swim explain --config` shows a file's overrides and counts its hosts, and refuses what cannot work", async () => {
  const own = await run(["swim", "explain", "--config", configured(`${cluster}membership: {swim: {period: 1s}}\n`).file]);
  assert.match(own.stdout, /^profile +mesh, with its own period/m);
  assert.match(own.stdout, /^members +3$/m);
  const adr = `${cluster}membership: {swim: {gossip_interval_ms: 500, ping_timeout_ms: 1000}}\n`;
  assertRefused(
    await run(["swim", "explain", "--config", configured(adr).file]),
    78,
    /ping_timeout_ms 1 s must be at most half of gossip_interval_ms 500 ms/,
  );
  assertRefused(await run(["swim", "explain", "--profile", "wan"]), 2, /--profile takes local, lan, mesh, legacy, not "wan"/);
  assertRefused(await run(["swim", "explain", "--nodes", "1"]), 2, /--nodes takes a whole number from 2/);
});
