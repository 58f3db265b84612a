import { explainProblems, type NodeConfig, validateConfig } from "#config";
import { ExitError, exitCodes } from "#kernel";
import { UsageError } from "./command.ts";

/** The status port of one node. */
export interface Door {
  /** As the configuration calls the node; null where only an address was given. */
  readonly nodeId: string | null;
  readonly base: string;
}

/** Options of every command that asks several nodes over their status ports. */
export const doorsOptions = { http: { type: "string", multiple: true }, config: { type: "string" } } as const;

export const doorsHelp = `      --http URL|HOST:PORT  a node's HTTP port, may repeat (default: $RINGRIFT_HTTP, else 127.0.0.1:8770)
      --config FILE         the cluster's configuration file: all of its hosts are asked, unless --http names some`;

export interface DoorValues {
  readonly http?: string[] | undefined;
  readonly config?: string | undefined;
}

export function doorsOf({ http = [] }: DoorValues, config: NodeConfig | null): readonly Door[] {
  if (http.length > 0) return http.map(named);
  if (config !== null) {
    return [...config.hosts.values()].map(({ name, address, ports }) => ({
      nodeId: name,
      base: `http://${address.includes(":") ? `[${address}]` : address}:${ports.http}`,
    }));
  }
  return [named(process.env["RINGRIFT_HTTP"] ?? "127.0.0.1:8770")];
}

/** The file as any node of it reads it; which one does not matter to whoever looks at all of them. Throws ExitError (78). */
export function clusterConfig(file: string | undefined): NodeConfig | null {
  if (file === undefined) return null;
  const read = validateConfig({ file, env: process.env });
  if (!read.ok) throw new ExitError(exitCodes.config, explainProblems(read.problems).trimEnd());
  return read.nodes[0] ?? null;
}

function named(base: string): Door {
  if (base === "") throw new UsageError("--http: an empty address");
  return { nodeId: null, base };
}
