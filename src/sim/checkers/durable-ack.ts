import { type LogIndex, NO_INDEX, type NodeId } from "#kernel";
import type { RaftStatus } from "#raft";
import type { Operation } from "../history.ts";
import { type DiskFault, type Observer, type WorldView, losesData } from "../observer.ts";
import type { CheckerReport } from "./checker.ts";
import type { NodeLogs } from "./node-logs.ts";
import { missingQuorum } from "./quorum.ts";

/**
 * What is acknowledged is on the platters of a quorum of voters of the configuration in force: at the moment a leader calls
 * it committed, and again when a client hears OK. A missing fsync shows here at once, not after a lucky crash.
 *
 * Only the newest index of each advance is looked up: a durable log has no holes.
 */
export class DurableAck implements Observer {
  readonly #view: WorldView;
  readonly #logs: NodeLogs;
  readonly #report: CheckerReport;
  /** The highest index that a quorum was seen to hold, with its proof. */
  #proven: LogIndex = NO_INDEX;
  /** What the world itself destroyed had been durable: such a disk counts as a holder. */
  readonly #hurt = new Set<NodeId>();

  constructor(view: WorldView, logs: NodeLogs, report: CheckerReport) {
    this.#view = view;
    this.#logs = logs;
    this.#report = report;
  }

  started(_node: NodeId, _life: number, { commitIndex }: RaftStatus): void {
    // A snapshot on disk holds committed entries only.
    if (commitIndex > this.#proven) this.#proven = commitIndex;
  }

  diskFault(node: NodeId, fault: DiskFault): void {
    if (losesData(fault)) this.#hurt.add(node);
  }

  stepped(node: NodeId, _input: unknown, { role, commitIndex, configuration }: RaftStatus): void {
    if (role !== "leader" || commitIndex <= this.#proven) return;
    this.#proven = commitIndex;
    const term = this.#logs.termAt(node, commitIndex);
    const holds = (voter: NodeId) => {
      if (this.#hurt.has(voter)) return true;
      const durable = this.#view.durable.termAt(voter, commitIndex);
      return durable === "snapshot" || (durable !== null && durable === (term ?? durable));
    };
    const missing = missingQuorum(configuration, holds);
    if (missing !== null) this.#report("durable-ack", `${node} commits index ${commitIndex}, durable only on ${missing}`);
  }

  returned({ request, outcome }: Operation): void {
    if (outcome?.kind !== "ok" || request.kind !== "write" || outcome.index <= this.#proven) return;
    this.#report(
      "durable-ack",
      `${outcome.node} acknowledged index ${outcome.index}; no leader has committed beyond ${this.#proven}`,
    );
  }
}
