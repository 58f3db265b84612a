import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { explainProblems, nameNode } from "#config";
import { exitCodes, type NodeId } from "#kernel";
import type { ConfigurationRequest } from "./configuration.ts";
import { StartError } from "./start-error.ts";

export interface InitialisedNode {
  readonly nodeId: NodeId;
  readonly file: string;
  /** False: the same name stood there already. */
  readonly written: boolean;
}

/**
 * Writes this machine's name beside the configuration, so that every start finds it whatever its environment says. Throws
 * {@link StartError} (exit 78) when the name is none, is disputed by another source, or is not under `hosts`.
 */
export async function initialiseNode({ file, env, nodeId }: ConfigurationRequest): Promise<InitialisedNode> {
  const named = nameNode({ file, env, overrides: nodeId === undefined ? {} : { nodeId } });
  if (!named.ok) throw new StartError(exitCodes.config, explainProblems(named.problems).trimEnd());
  if (!named.written) await writeName(named.canonicalFile, `${named.nodeId}\n`);
  return { nodeId: named.nodeId, file: named.canonicalFile, written: !named.written };
}

/** After a crash there is the whole name or none. Readable for everybody, as the configuration beside it is. */
async function writeName(path: string, text: string): Promise<void> {
  const draft = `${path}.tmp`;
  try {
    const file = await open(draft, "w", 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
    const folder = await open(dirname(path), "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    throw new StartError(exitCodes.io, `${path} cannot be written: ${(error as Error).message}`, null, { cause: error });
  }
}
