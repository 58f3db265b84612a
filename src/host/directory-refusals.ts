import { exitCodes, type NodeId } from "#kernel";
import type { Log } from "#ports";
import { type DirectoryFault, isShutOut } from "#storage";
import { StartError } from "./start-error.ts";

/**
 * Which voters refuse this node because of its data directory. One may be wrong: that is an alarm. A majority can decide
 * without this node, and shall not be held up by its tries: then the process ends (exit 78), and a restart cures nothing.
 */
export class DirectoryRefusals {
  readonly #refusedBy = new Map<NodeId, DirectoryFault>();
  readonly #log: Log;
  readonly #end: (error: StartError) => void;

  constructor(log: Log, end: (error: StartError) => void) {
    this.#log = log;
    this.#end = end;
  }

  /** `fault` null: it accepts this node. A refusal is repeated with every try, and weighed anew: the voters may have changed. */
  heard(by: NodeId, fault: DirectoryFault | null, why: string, voters: readonly NodeId[]): void {
    if (fault === null) {
      this.#refusedBy.delete(by);
      return;
    }
    if (this.#refusedBy.get(by) !== fault) {
      this.#refusedBy.set(by, fault);
      this.#log.error("a voter refuses this node's data directory", { by, fault, why });
    }
    const refusing = voters.filter((voter) => this.#refusedBy.has(voter));
    if (isShutOut(new Set(refusing), voters)) this.#end(shutOut(refusing, fault, why));
  }

  /** Who of the voters refuses, and why, for people. */
  refusing(voters: readonly NodeId[]): readonly string[] {
    return [...this.#refusedBy].filter(([by]) => voters.includes(by)).map(([by, fault]) => `${by} (${fault})`);
  }
}

/** What a node says that a majority of the voters refuses. */
export function shutOut(by: readonly NodeId[], fault: DirectoryFault, why: string): StartError {
  const hint =
    fault === "wiped"
      ? "Its data directory was emptied or replaced, so it has forgotten its votes. Rejoin as a new member: " +
        "`ringraft member remove`, then `ringraft member add` with an empty data directory; or put the old directory back unchanged."
      : "Find the other process or the newer directory of this name, and stop or remove the copy. Never start an older copy.";
  return new StartError(exitCodes.config, `${by.join(", ")} refuse this node's data directory: ${why}`, hint);
}
