import { type LogIndex, NO_INDEX, type NodeId } from "#kernel";
import type { Entry, RaftStatus } from "#raft";
import type { Observer } from "../observer.ts";
import type { CheckerReport } from "./checker.ts";
import type { NodeLogs } from "./node-logs.ts";
import type { Replay } from "./replay.ts";

/**
 * §5.4.3: every node applies every index once, in order, only after a leader has committed it, and the same entry as all
 * others; and then has the same state. The model's state stands for all the others'.
 */
export class StateMachineSafety implements Observer {
  readonly #logs: NodeLogs;
  readonly #replay: Replay;
  readonly #report: CheckerReport;
  readonly #delivered = new Map<NodeId, LogIndex>();

  constructor(logs: NodeLogs, replay: Replay, report: CheckerReport) {
    this.#logs = logs;
    this.#replay = replay;
    this.#report = report;
  }

  started(node: NodeId, _life: number, { appliedIndex }: RaftStatus): void {
    this.#delivered.set(node, appliedIndex);
  }

  committed(node: NodeId, entries: readonly Entry[]): void {
    for (const { index, term } of entries) {
      const last = this.#delivered.get(node) ?? NO_INDEX;
      this.#delivered.set(node, index);
      const committed = this.#logs.committedTerm(index);
      if (index !== last + 1) this.#report("state-machine-safety", `${node} applies index ${index} after ${last}`);
      else if (committed === undefined)
        this.#report("state-machine-safety", `${node} applies index ${index}, which no leader has committed`);
      else if (committed !== null && committed !== term) {
        this.#report(
          "state-machine-safety",
          `${node} applies index ${index} of term ${term}; committed is the one of term ${committed}`,
        );
      }
    }
  }

  applied(node: NodeId, index: LogIndex, digest: () => string): void {
    this.#compare(node, index, digest);
  }

  restored(node: NodeId, index: LogIndex, digest: () => string): void {
    this.#delivered.set(node, index);
    this.#compare(node, index, digest);
  }

  #compare(node: NodeId, index: LogIndex, digest: () => string): void {
    const expected = this.#replay.at(index)?.digest;
    if (expected === undefined) return;
    const actual = digest();
    if (actual === expected) return;
    this.#report("state-machine-safety", `the state of ${node} after index ${index} is ${actual}, the log makes it ${expected}`);
  }
}
