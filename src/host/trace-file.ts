import { createWriteStream, openSync } from "node:fs";
import { exitCodes, type NodeId } from "#kernel";
import { tracingProbe, type VoterProbe } from "#node";
import { StartError } from "./start-error.ts";

/**
 * Writes every transition of this voter's core to `path`, behind what is there: `ringraft trace verify` judges it. For tests
 * and for the hunt for a bug: it costs several times the processor time of the transitions themselves.
 */
export function traceFile(path: string, node: NodeId): VoterProbe {
  let descriptor: number;
  try {
    descriptor = openSync(path, "a", 0o600);
  } catch (error) {
    const hint = "Name a file that can be written, or leave --trace-file out.";
    throw new StartError(exitCodes.io, `--trace-file ${path} cannot be opened: ${(error as Error).message}`, hint);
  }
  const stream = createWriteStream(path, { fd: descriptor });
  // The life before may have been killed in the middle of a line.
  stream.write("\n");
  return tracingProbe(node, (line) => stream.write(`${line}\n`));
}
