import { hostname, userInfo } from "node:os";
import type { Client, NodeList, OperatorOptions } from "#client";
import { NodeId, type Incarnation } from "#kernel";
import { removalBarrier } from "#membership/core";
import { type ClusterNode, NEWEST_LEVEL } from "#statemachine";
import { type Command, parse, UsageError } from "../command.ts";
import { connectionHelp, connectionOptions, withClient } from "../connection.ts";
import { outputFormat, printJson, printRows } from "../output.ts";

const commonHelp = connectionHelp.replace("Options:\n", "");
const changeHelp = `Options:
      --reason TEXT         why, for whoever reads \`node list\`
${commonHelp}
Exit code 4 when the change is refused: the message says what stands against it.`;

export const nodeList: Command = {
  name: "node list",
  summary: "What the cluster has agreed on about its nodes: up, down, cordoned, draining, what they hold",
  usage: "[--stale] [-e HOST:PORT] [-o table|json]",
  details: `Nodes that have a session, or about which something is recorded. \`ringraft members\` tells instead how one node sees the others.

Options:
      --stale               ask any voter; works without a leader
${commonHelp}`,
  run: async (args) => {
    const { values } = parse(args, { ...connectionOptions, stale: { type: "boolean" } }, []);
    const format = outputFormat(values);
    const mode = values.stale === true ? "stale" : "linearizable";
    const list = await withClient(values, (client) => client.nodes.list({ mode }));
    if (format === "json") printJson(list);
    else printTable(list);
    return 0;
  },
};

export const nodeCordon = change(
  "node cordon",
  "Give a node no new work; what it has, it finishes",
  "Works for a node that has not started yet, too. `node uncordon` takes it back.",
  (client, node, options) => client.nodes.setScheduling(node, "CORDONED", options),
);

export const nodeDrain = change(
  "node drain",
  "Give a node no new work, so that it becomes empty",
  "Nothing is taken from it: it is empty when `node list` shows 0 claims. `node uncordon` takes it back.",
  (client, node, options) => client.nodes.setScheduling(node, "DRAINING", options),
);

export const nodeUncordon = change(
  "node uncordon",
  "Let a cordoned or draining node work again",
  "What `node cordon` and `node drain` asked for is over.",
  (client, node, options) => client.nodes.setScheduling(node, "OPEN", options),
);

export const nodeReadmit = change(
  "node readmit",
  "Take a `node forget` back: the node may open sessions again",
  "What was said of the node before stays without effect.",
  (client, node, options) => client.nodes.readmit(node, options),
);

export const nodeForget: Command = {
  name: "node forget",
  summary: "A node is gone for good: it opens no session until it is readmitted",
  usage: "NODE [--incarnation E.C] [--reason TEXT] [-e HOST:PORT] [-o table|json]",
  details: `Stop the node first: while it has sessions this is refused.

Options:
      --incarnation E.C     the newest one seen, as \`ringraft members\` shows it; default: what the cluster has recorded
${changeHelp.replace("Options:\n", "")}`,
  run: async (args) => {
    const { values, positionals } = parse(args, { ...changeOptions, incarnation: { type: "string" } }, ["NODE"]);
    const format = outputFormat(values);
    const node = nodeId(positionals[0]!);
    const seen = values.incarnation === undefined ? null : incarnationFrom(values.incarnation);
    const forgotten = await withClient(values, async (client) => {
      const known = seen ?? (await knownIncarnation(client, node));
      return await client.nodes.forget(node, removalBarrier(known), operatorOptions(values.reason));
    });
    printNode(format, forgotten);
    return 0;
  },
};

export const clusterUpgrade: Command = {
  name: "cluster upgrade",
  summary: "Switch on what this version does beyond older ones, once every voter runs it",
  usage: "[-e HOST:PORT]",
  details: `A voter of an older version cannot follow from then on, and there is no way back. May be repeated.

Options:
${commonHelp}`,
  run: async (args) => {
    const { values } = parse(args, connectionOptions, []);
    const format = outputFormat(values);
    await withClient(values, (client) => client.cluster.raiseFeatureLevel(NEWEST_LEVEL));
    if (format === "json") printJson({ featureLevel: NEWEST_LEVEL });
    else process.stdout.write(`feature level ${NEWEST_LEVEL}\n`);
    return 0;
  },
};

const changeOptions = { ...connectionOptions, reason: { type: "string" } } as const;

function change(
  name: string,
  summary: string,
  details: string,
  make: (client: Client, node: NodeId, options: OperatorOptions) => Promise<ClusterNode>,
): Command {
  return {
    name,
    summary,
    usage: "NODE [--reason TEXT] [-e HOST:PORT] [-o table|json]",
    details: `${details}\n\n${changeHelp}`,
    run: async (args) => {
      const { values, positionals } = parse(args, changeOptions, ["NODE"]);
      const format = outputFormat(values);
      const node = nodeId(positionals[0]!);
      printNode(format, await withClient(values, (client) => make(client, node, operatorOptions(values.reason))));
      return 0;
    },
  };
}

/** Whom others find named beside the change. */
function operatorOptions(reason: string | undefined): OperatorOptions {
  return { by: `${userInfo().username}@${hostname()}`, ...(reason === undefined ? {} : { reason }) };
}

async function knownIncarnation(client: Client, nodeId: NodeId): Promise<Incarnation> {
  const { nodes } = await client.nodes.list();
  return nodes.find(({ node }) => node.nodeId === nodeId)?.node.incarnation ?? { epoch: 0, counter: 0 };
}

function incarnationFrom(text: string): Incarnation {
  const [, epoch, counter] = /^(\d{1,10})\.(\d{1,10})$/.exec(text) ?? [];
  const incarnation = { epoch: Number(epoch), counter: Number(counter) };
  if (incarnation.epoch <= 0xffff_ffff && incarnation.counter <= 0xffff_ffff) return incarnation;
  throw new UsageError(`--incarnation takes EPOCH.COUNTER such as 7.3, not "${text}"`);
}

function nodeId(text: string): NodeId {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return NodeId(text);
  throw new UsageError(`"${text}" is not a node id`);
}

function printNode(format: ReturnType<typeof outputFormat>, node: ClusterNode): void {
  if (format === "json") printJson(node);
  else process.stdout.write(`${node.nodeId} is ${stateOf(node)}\n`);
}

function printTable({ nodes, partition, featureLevel }: NodeList): void {
  printRows("table", nodes, {
    NODE: ({ node }) => node.nodeId,
    STATE: ({ node }) => stateOf(node),
    SINCE: ({ node }) => (node.sinceWallMs === 0 ? "-" : new Date(node.sinceWallMs).toISOString()),
    SESSIONS: ({ sessions }) => String(sessions),
    CLAIMS: ({ claims }) => String(claims),
    EVENT: ({ node }) => node.lastEvent?.name ?? "-",
    BY: ({ node }) => node.lastEvent?.by || node.lastEvent?.observedBy.join(",") || "-",
    REASON: ({ node }) => node.lastEvent?.reason ?? "",
  });
  if (partition?.state === "SUSPECTED") process.stdout.write(`the network looks cut; lost: ${partition.lost.join(", ")}\n`);
  if (featureLevel < NEWEST_LEVEL) {
    process.stdout.write(`feature level ${featureLevel}: nodes are not recorded yet, see \`ringraft cluster upgrade --help\`\n`);
  }
}

function stateOf({ state, scheduling }: ClusterNode): string {
  return scheduling === "OPEN" ? state.toLowerCase() : `${state.toLowerCase()}, ${scheduling.toLowerCase()}`;
}
