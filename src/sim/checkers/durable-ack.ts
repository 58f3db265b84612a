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
 *
 * What the world destroys is no voter's fault; to go on as if nothing were missing is. A voter that comes up on a damaged log
 * with less than it durably held of what is committed must be suspect.
 */
export class DurableAck implements Observer {
  readonly #view: WorldView;
  readonly #logs: NodeLogs;
  readonly #report: CheckerReport;
  /** The highest index that a quorum was seen to hold, with its proof. */
  #proven: LogIndex = NO_INDEX;
  /** What the world itself destroyed had been durable: such a disk counts as a holder. */
  readonly #hurt = new Set<NodeId>();
  /** The newest committed index that was on a node's platter when it died, whatever became of it since. */
  readonly #held = new Map<NodeId, LogIndex>();

  constructor(view: WorldView, logs: NodeLogs, report: CheckerReport) {
    this.#view = view;
    this.#logs = logs;
    this.#report = report;
  }

  started(node: NodeId, _life: number, { commitIndex, lastIndex, suspect }: RaftStatus): void {
    // A snapshot on disk holds committed entries only.
    if (commitIndex > this.#proven) this.#proven = commitIndex;
    const held = this.#held.get(node) ?? NO_INDEX;
    if (lastIndex >= held || suspect) return;
    this.#report("durable-ack", `${node} held index ${held} durably, comes up with ${lastIndex}, and is no suspect`);
  }

  stopped(node: NodeId): void {
    this.#held.set(node, this.#newestHeld(node));
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

  /** Of what is committed: no leader can have it cut off. Never less than at an earlier death. */
  #newestHeld(node: NodeId): LogIndex {
    const known = this.#held.get(node) ?? NO_INDEX;
    for (let index = this.#logs.committedIndex; index > known; index = (index - 1) as LogIndex) {
      const durable = this.#view.durable.termAt(node, index);
      if (durable === "snapshot" || (durable !== null && durable === this.#logs.committedTerm(index))) return index;
    }
    return known;
  }
}
