import { join } from "node:path";

/** A cluster on 127.0.0.1, described by one ordinary configuration file. */
export interface DevLayout {
  readonly folder: string;
  readonly configFile: string;
  readonly logFolder: string;
  /** Games and models of the example pipeline. */
  readonly pipelineFolder: string;
  readonly nodes: readonly DevNode[];
  readonly endpoints: readonly string[];
}

export interface DevNode {
  readonly name: string;
  readonly role: "voter" | "worker";
  readonly ports: { readonly http: number; readonly gossip: number; readonly peer: number; readonly client: number };
}

/** How a kind of work is run; becomes a `worker.handlers` entry. */
export interface DevHandler {
  readonly kind: string;
  readonly command: readonly string[];
  readonly timeoutSeconds: number;
}

export interface DevOptions {
  readonly handlers: readonly DevHandler[];
  /** Where handlers run. */
  readonly workingFolder: string;
  /** More lines for the `worker` section, such as `ttl: 3s`. */
  readonly workerSettings: readonly string[];
  readonly queue: string;
  /** The nodes watch each other by SWIM under this key; absent: no detector runs. */
  readonly gossipKeyFile?: string;
}

const PORTS_PER_NODE = 10;

export function devLayout(
  folder: string,
  basePort: number,
  size: { readonly voters: number; readonly workers: number },
): DevLayout {
  const nodes = [...named("voter", size.voters), ...named("worker", size.workers)].map(({ name, role }, at): DevNode => {
    const first = basePort + at * PORTS_PER_NODE;
    return { name, role, ports: { http: first, gossip: first + 1, peer: first + 2, client: first + 3 } };
  });
  return {
    folder,
    configFile: join(folder, "cluster.yaml"),
    logFolder: join(folder, "logs"),
    pipelineFolder: join(folder, "data"),
    nodes,
    endpoints: nodes.filter((node) => node.role === "voter").map((node) => `127.0.0.1:${node.ports.client}`),
  };
}

/** The text of the configuration file. JSON strings are YAML strings, so quoting is JSON's. */
export function devConfig(layout: DevLayout, options: DevOptions): string {
  const { handlers, workingFolder, workerSettings, queue, gossipKeyFile } = options;
  const quote = JSON.stringify;
  const gossip = ({ ports }: DevNode): readonly string[] =>
    gossipKeyFile === undefined ? [] : ["      membership:", `        bind: "127.0.0.1:${ports.gossip}"`];
  const host = (node: DevNode): readonly string[] => [
    `  ${node.name}:`,
    "    host: 127.0.0.1",
    "    ringraft:",
    `      data_dir: ${quote(join(layout.folder, node.name))}`,
    ...gossip(node),
    "      ports:",
    `        http: ${node.ports.http}`,
    `        peer: ${node.ports.peer}`,
    `        client: ${node.ports.client}`,
  ];
  const handler = (one: DevHandler): readonly string[] => [
    `    ${quote(one.kind)}:`,
    `      command: [${one.command.map((word) => quote(word)).join(", ")}]`,
    `      working_directory: ${quote(workingFolder)}`,
    "      nice: 10",
    `      timeout: ${one.timeoutSeconds}s`,
    "      environment:",
    `        RINGRAFT_DATA: ${quote(layout.pipelineFolder)}`,
  ];
  return [
    "# Written by `ringraft dev`; the nodes it starts are ordinary `ringraft serve` processes.",
    "hosts:",
    ...layout.nodes.flatMap(host),
    "voters:",
    ...layout.nodes.filter((node) => node.role === "voter").map((node) => `  - ${node.name}`),
    "timing:",
    "  profile: local",
    "listen:",
    "  address: 127.0.0.1",
    ...(gossipKeyFile === undefined ? [] : ["membership:", `  key_file: ${quote(gossipKeyFile)}`]),
    "worker:",
    `  queues: [${queue}]`,
    ...workerSettings.map((line) => `  ${line}`),
    ...(handlers.length === 0 ? [] : ["  handlers:", ...handlers.flatMap(handler)]),
    "",
  ].join("\n");
}

function named(role: DevNode["role"], count: number): readonly { readonly name: string; readonly role: DevNode["role"] }[] {
  return Array.from({ length: count }, (_, at) => ({ name: `${role}-${at + 1}`, role }));
}
