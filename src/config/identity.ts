import { dirname, join } from "node:path";
import { NodeId } from "#kernel";
import { isContainerId } from "#membership/core";
import type { Finding } from "./problem.ts";

/** Where a node's name may come from, in order of rank. All that are given must agree. */
export interface IdentitySources {
  readonly flag: string | null;
  /** RINGRIFT_NODE_ID. */
  readonly environment: string | null;
  /** The file `canonical_node_id` beside the configuration. */
  readonly canonicalFile: string | null;
  /** `node_id` in the configuration. */
  readonly configured: string | null;
}

export type Identity = { readonly ok: true; readonly nodeId: NodeId } | { readonly ok: false; readonly finding: Finding };

/** Beside the configuration, so that whoever starts the node finds both. */
export const canonicalIdFile = (configFile: string): string => join(dirname(configFile), "canonical_node_id");

const HOW =
  "set RINGRIFT_NODE_ID, or write the name into the file canonical_node_id beside the configuration (ringraft node init does), or set node_id in it";

/**
 * Containers once joined the cluster under their container ids because one source was read and the other was not; so a
 * missing name, a disagreement and a name that only looks like one all stop the start. The hostname is never a fallback.
 */
export function resolveIdentity(sources: IdentitySources): Identity {
  const ranked: readonly (readonly [source: string, id: string | null])[] = [
    ["--node-id", sources.flag],
    ["RINGRIFT_NODE_ID", sources.environment],
    ["the file canonical_node_id", sources.canonicalFile],
    ["node_id in the configuration", sources.configured],
  ];
  const given = ranked.flatMap(([source, id]) => (id === null ? [] : [[source, id] as const]));
  const [first] = given;
  if (first === undefined) return { ok: false, finding: { path: ["node_id"], message: "this node has no name", hint: HOW } };
  if (given.some(([, id]) => id !== first[1])) {
    const said = given.map(([source, id]) => `${source} says ${JSON.stringify(id)}`).join(", ");
    return {
      ok: false,
      finding: { path: ["node_id"], message: `the node's name is disputed: ${said}`, hint: "make them agree" },
    };
  }
  const wrong = whyNotNodeId(first[1]);
  if (wrong === null) return { ok: true, nodeId: NodeId(first[1]) };
  return { ok: false, finding: { path: ["node_id"], message: `${first[0]}: ${wrong}`, hint: HOW } };
}

/** Null when `id` may name a node. */
export function whyNotNodeId(id: string): string | null {
  const shown = JSON.stringify(id.slice(0, 80));
  if (!/^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/.test(id)) {
    return `${shown} cannot name a node: use 1 to 64 letters, digits, dots, dashes and underscores, beginning and ending with a letter or digit`;
  }
  if (isContainerId(id)) return `${shown} looks like a container id; a node's name must outlive its container`;
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(id)) return `${shown} is an address; a node's name must outlive its address`;
  return null;
}
