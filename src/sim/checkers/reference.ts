import type { LogIndex, NodeId } from "#kernel";
import type { ObservedInput } from "#node";
import type { RaftStatus, Ready } from "#raft";
import type { Observer, RecoveredLog } from "../observer.ts";
import { ReferenceMachine } from "../reference/machine.ts";
import type { CheckerReport } from "./checker.ts";

/** Every transition of every node is one that the rules of Raft allow. One machine for each life of a process. */
export class Reference implements Observer {
  readonly #report: CheckerReport;
  readonly #machines = new Map<NodeId, ReferenceMachine>();

  constructor(report: CheckerReport) {
    this.#report = report;
  }

  started(node: NodeId, _life: number, state: RaftStatus, recovered: RecoveredLog): void {
    const { baseIndex, lastIndex, commitIndex, configuration } = state;
    const committedConfiguration = recovered.configurationAt(commitIndex);
    const terms = Array.from({ length: lastIndex - baseIndex + 1 }, (_, at) => recovered.termAt((baseIndex + at) as LogIndex));
    this.#machines.set(node, new ReferenceMachine(node, { state, configuration, committedConfiguration, terms }));
  }

  stepped(node: NodeId, input: ObservedInput, status: RaftStatus): void {
    this.#judge(node, this.#machines.get(node)?.stepped(input, status, status.configuration) ?? null);
  }

  drained(node: NodeId, ready: Ready, status: RaftStatus): void {
    this.#judge(node, this.#machines.get(node)?.drained(ready, status, status.configuration) ?? null);
  }

  #judge(node: NodeId, broken: string | null): void {
    if (broken !== null) this.#report("reference", `${node}: ${broken}`);
  }
}
