import type { NodeId } from "#kernel";
import { buildNodeConfig, type Overrides } from "./build.ts";
import { parseConfigDocument, type ConfigDocument } from "./document.ts";
import { checkTlsFiles, readSmallFile } from "./files.ts";
import { canonicalIdFile, type Identity, resolveIdentity, whyNotNodeId } from "./identity.ts";
import { checkGossipKey, checkModes, type Environment } from "./modes.ts";
import type { Finding, Problem } from "./problem.ts";
import { checkCluster, checkHost, checkNode } from "./relations.ts";
import type { FileShape } from "./schema.ts";
import { checkShape } from "./shape.ts";
import type { MembershipConfig, NodeConfig, Timing } from "./types.ts";

export interface LoadRequest {
  readonly file: string;
  readonly env: Environment;
  /** Command-line flags; they win over the file, except that names of the node must agree. */
  readonly overrides?: Overrides;
}

export type Loaded =
  | { readonly ok: true; readonly config: NodeConfig; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Reads the cluster's file and returns the configuration of this one node, or every problem at once, each with its place.
 * Reads files only: a refused configuration has changed nothing.
 */
export function loadConfig(request: LoadRequest): Loaded {
  const file = readClusterFile(request);
  if (!file.ok) return file;
  const { document, shape, warnings } = file;
  const identity = identityIn(file, request);
  if (!identity.ok) return { ok: false, problems: [document.locate(identity.finding)] };
  const node = checkNode(shape, identity.nodeId, file.membershipMode);
  if (node.findings.length > 0) return { ok: false, problems: node.findings.map(document.locate) };
  const config = buildNodeConfig(request.file, shape, identity.nodeId, file.membershipMode, request.overrides ?? {});
  const tls = checkTlsFiles(config.tls);
  if (tls.length > 0) return { ok: false, problems: tls.map(document.locate) };
  return { ok: true, config, warnings: [...warnings, ...node.warnings.map(document.locate)] };
}

export type NamedNode =
  | {
      readonly ok: true;
      readonly nodeId: NodeId;
      /** Where the name belongs, and whether it stands there already. */
      readonly canonicalFile: string;
      readonly written: boolean;
    }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Which node this machine is, by the same rules as a start: all sources that are given agree, and the name stands under
 * `hosts`. For provisioning (`ringraft node init`), so nothing else that a start needs has to be there yet.
 */
export function nameNode(request: LoadRequest): NamedNode {
  const file = readClusterFile(request);
  if (!file.ok) return file;
  const { document, shape } = file;
  const identity = identityIn(file, request);
  if (!identity.ok) return { ok: false, problems: [document.locate(identity.finding)] };
  const { nodeId } = identity;
  const unknown = checkHost(shape, nodeId);
  if (unknown !== null) return { ok: false, problems: [document.locate(unknown)] };
  return { ok: true, nodeId, canonicalFile: canonicalIdFile(request.file), written: file.canonicalNodeId !== null };
}

export type Validated =
  | { readonly ok: true; readonly nodes: readonly NodeConfig[]; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Checks the file for every node in it, on a machine that may be none of them (`ringraft config validate`). Files that only
 * exist on the nodes, such as keys, are not looked for.
 */
export function validateConfig(request: LoadRequest): Validated {
  const file = readClusterFile(request);
  if (!file.ok) return file;
  const { document, shape } = file;
  const ids = Object.keys(shape.hosts) as NodeId[];
  const checked = ids.map((id) => checkNode(shape, id, file.membershipMode));
  const problems = checked.flatMap((node) => node.findings.map(document.locate));
  if (problems.length > 0) return { ok: false, problems };
  return {
    ok: true,
    nodes: ids.map((id) => buildNodeConfig(request.file, shape, id, file.membershipMode, request.overrides ?? {})),
    warnings: [...file.warnings, ...checked.flatMap((node) => node.warnings.map(document.locate))],
  };
}

export type LoadedMembership =
  | { readonly ok: true; readonly membership: MembershipConfig; readonly members: number; readonly profile: Timing["profile"] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * The membership section alone, with profile and defaults put in, as `ringraft swim explain` shows it. Unlike a start it needs
 * no gossip key.
 */
export function loadMembership(file: string): LoadedMembership {
  const read = readShape(file);
  if (!read.ok) return read;
  const { document, shape } = read;
  const { findings } = checkCluster(shape);
  if (findings.length > 0) return { ok: false, problems: findings.map(document.locate) };
  const first = Object.keys(shape.hosts)[0] as NodeId;
  const { membership, timing } = buildNodeConfig(file, shape, first, "none", {});
  return { ok: true, membership, members: Object.keys(shape.hosts).length, profile: timing.profile };
}

type ClusterFile =
  | {
      readonly ok: true;
      readonly document: ConfigDocument;
      readonly shape: FileShape;
      readonly canonicalNodeId: string | null;
      readonly membershipMode: NodeConfig["modes"]["membership"];
      readonly warnings: readonly Problem[];
    }
  | { readonly ok: false; readonly problems: readonly Problem[] };

function identityIn(file: Extract<ClusterFile, { readonly ok: true }>, request: LoadRequest): Identity {
  return resolveIdentity({
    flag: request.overrides?.nodeId ?? null,
    environment: request.env["RINGRIFT_NODE_ID"]?.trim() || null,
    canonicalFile: file.canonicalNodeId,
    configured: file.shape.node_id ?? null,
  });
}

/** The steps that no node's name can change: read, parse, shapes, then the relations within the cluster. */
function readClusterFile(request: LoadRequest): ClusterFile {
  const canonicalFile = canonicalIdFile(request.file);
  const canonical = readSmallFile(canonicalFile);
  if (!canonical.ok && !canonical.missing) return { ok: false, problems: [unreadable(canonicalFile, canonical.why)] };
  const read = readShape(request.file);
  if (!read.ok) return read;
  const { document, shape, warnings } = read;

  const env = withoutEmpty(request.env);
  const modes = checkModes(env, shape);
  const cluster = checkCluster(shape);
  const wrong: readonly Finding[] = [...checkClusterId(shape), ...modes.findings, ...cluster.findings];
  const broken = wrong.length > 0 ? wrong : checkGossipKey(modes.membership, shape);
  if (broken.length > 0) return { ok: false, problems: broken.map(document.locate) };
  return {
    ok: true,
    document,
    shape,
    canonicalNodeId: canonical.ok ? canonical.text.trim() : null,
    membershipMode: modes.membership,
    warnings: [...warnings, ...modes.warnings.map(document.locate), ...cluster.warnings.map(document.locate)],
  };
}

type ShapedFile =
  | { readonly ok: true; readonly document: ConfigDocument; readonly shape: FileShape; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

function readShape(file: string): ShapedFile {
  const source = readSmallFile(file);
  if (!source.ok) return { ok: false, problems: [unreadable(file, source.why)] };
  const parsed = parseConfigDocument(file, source.text);
  if (!parsed.ok) return parsed;
  const { document } = parsed;
  const { shape, findings, warnings } = checkShape(document.value);
  if (shape === null) return { ok: false, problems: findings.map(document.locate) };
  return { ok: true, document, shape, warnings: warnings.map(document.locate) };
}

function checkClusterId(shape: FileShape): readonly Finding[] {
  const id = shape.cluster?.id;
  if (id === undefined || whyNotNodeId(id) === null || /^[0-9a-f-]{8,64}$/.test(id)) return [];
  return [
    { path: ["cluster", "id"], message: `${JSON.stringify(id)} cannot name a cluster: use letters, digits, dots and dashes` },
  ];
}

function unreadable(file: string, why: string): Problem {
  return { file, path: "", line: null, column: null, message: why, hint: null };
}

/** `RINGRIFT_X=` in a unit file means "not set". */
function withoutEmpty(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ""));
}
