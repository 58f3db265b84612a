import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { explainProblems, loadConfig, type LoadRequest, type Loaded, type NodeConfig, type Problem } from "#config";

const directory = mkdtempSync(join(tmpdir(), "ringraft-config-"));
after(() => rmSync(directory, { recursive: true }));
let written = 0;

/** A folder of its own for every file, because `canonical_node_id` lies beside it. */
export function writeConfig(text: string, canonicalNodeId?: string): string {
  const folder = mkdtempSync(join(directory, `${written++}-`));
  if (canonicalNodeId !== undefined) writeFileSync(join(folder, "canonical_node_id"), canonicalNodeId);
  writeFileSync(join(folder, "hosts.yaml"), text);
  return join(folder, "hosts.yaml");
}

/** Three voters and a worker on one machine, with shifted ports. */
export const valid = `node_id: a
voters: [a, b, c]
timing: {profile: local}
hosts:
  a: {host: 127.0.0.1}
  b: {host: 127.0.0.1, ringraft: {ports: {http: 8780, peer: 8782, client: 8783}}}
  c: {host: 127.0.0.1, ringraft: {ports: {http: 8790, peer: 8792, client: 8793}}}
  w: {host: 127.0.0.1, ringraft: {ports: {http: 8800, peer: 8802, client: 8803}}}
`;

export function load(text: string, more: Partial<LoadRequest> & { readonly canonicalNodeId?: string } = {}): Loaded {
  const { canonicalNodeId, ...request } = more;
  return loadConfig({ file: writeConfig(text, canonicalNodeId), env: {}, ...request });
}

export function loaded(text: string, more: Parameters<typeof load>[1] = {}): NodeConfig {
  const result = load(text, more);
  assert.ok(result.ok, result.ok ? "" : explainProblems(result.problems));
  return result.config;
}

const explain = (problem: Problem): string =>
  explainProblems([{ ...problem, file: "" }])
    .trimEnd()
    .replace(/^:/, "");

/** The problems as an operator reads them, without the file's name: `line:column path: message`. */
export function refused(text: string, more: Parameters<typeof load>[1] = {}): readonly string[] {
  const result = load(text, more);
  assert.ok(!result.ok, "the configuration was accepted");
  return result.problems.map((problem) => explain(problem));
}

export function warned(text: string, more: Parameters<typeof load>[1] = {}): readonly string[] {
  const result = load(text, more);
  assert.ok(result.ok, result.ok ? "" : explainProblems(result.problems));
  return result.warnings.map((problem) => explain(problem));
}
