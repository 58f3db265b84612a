import type { LogIndex, NodeId, Term } from "#kernel";
import { membersOf, type RaftStatus } from "#raft";
import type { Operation } from "../history.ts";
import type { Observer, WorldView } from "../observer.ts";
import type { CheckerReport } from "./checker.ts";
import type { Replay } from "./replay.ts";

/**
 * Once the faults are over: a leader within ten election timeouts, then no further term; at the end every operation has been
 * answered, every item is finished, every lock is free, and all nodes that are up have kept pace.
 */
export class Liveness implements Observer {
  readonly #view: WorldView;
  readonly #replay: Replay;
  readonly #report: CheckerReport;
  readonly #keepsLeader: boolean;
  readonly #open = new Set<Operation>();
  /** What was committed when, newest last: renewals never rest, so nobody stands at the very last index. */
  readonly #commits: { readonly atMs: number; readonly index: LogIndex }[] = [];
  #healedMs: number | null = null;
  /** Of a leader whose lead was confirmed by a commit of its own term. */
  #ledTerm: Term | null = null;
  #settledTerm: Term | null = null;
  #settledLeader: NodeId | null = null;

  constructor(view: WorldView, replay: Replay, report: CheckerReport, keepsLeader = true) {
    this.#view = view;
    this.#replay = replay;
    this.#report = report;
    this.#keepsLeader = keepsLeader;
  }

  invoked(operation: Operation): void {
    this.#open.add(operation);
  }

  returned(operation: Operation): void {
    this.#open.delete(operation);
  }

  healed(): void {
    this.#healedMs = this.#view.nowMs;
  }

  /** Those that were down when the faults ended come back a little later; the time counts from the last of them. */
  started(): void {
    if (this.#healedMs !== null && this.#settledTerm === null) this.#healedMs = this.#view.nowMs;
  }

  stepped(node: NodeId, _input: unknown, { role, term, ownTermCommitted, commitIndex }: RaftStatus): void {
    if (this.#healedMs === null) return;
    const last = this.#commits.at(-1);
    if (role === "leader" && (last === undefined || this.#view.nowMs >= last.atMs + this.#view.electionMs)) {
      this.#commits.push({ atMs: this.#view.nowMs, index: commitIndex });
    }
    if (role === "leader" && ownTermCommitted && term > (this.#ledTerm ?? -1)) this.#ledTerm = term;
    if (role === "leader" && term === this.#settledTerm) this.#settledLeader = node;
    if (this.#keepsLeader && this.#settledTerm !== null && term > this.#settledTerm) {
      if (this.#isLeaderRemoved()) return this.#settleAgain();
      this.#report("liveness", `${node} is in term ${term} though all was well in term ${this.#settledTerm}`);
      return;
    }
    const dueMs = this.#healedMs + REDIAL_MS + ELECTIONS_TO_SETTLE * this.#view.electionMs;
    if (this.#settledTerm !== null || this.#view.nowMs < dueMs) return;
    if (this.#ledTerm === null) {
      this.#report("liveness", `no leader ${ELECTIONS_TO_SETTLE} election timeouts after the last fault`);
    }
    this.#settledTerm = this.#ledTerm ?? term;
  }

  /** On somebody's request: its successor needs a term of its own. */
  #isLeaderRemoved(): boolean {
    const known = this.#view.nodes.map((node) => this.#view.status(node)).filter((status) => status !== null);
    const [newest] = known.sort((a, b) => b.configurationIndex - a.configurationIndex);
    return this.#settledLeader !== null && newest !== undefined && !newest.configuration.voters.includes(this.#settledLeader);
  }

  #settleAgain(): void {
    this.#healedMs = this.#view.nowMs;
    this.#settledTerm = null;
    this.#settledLeader = null;
    this.#ledTerm = null;
  }

  ended(): void {
    const [stuck] = this.#open;
    if (stuck !== undefined) {
      const what = stuck.request.kind === "write" ? stuck.request.command.operation.kind : `read of ${stuck.request.what}`;
      this.#report("liveness", `${this.#open.size} operations are still open, the first is ${what} of client ${stuck.client}`);
    }
    const { work, locksHeld } = this.#replay.reader.counts();
    const unfinished = work.PENDING + work.CLAIMED + work.RUNNING;
    if (unfinished > 0) this.#report("liveness", `${unfinished} work items are not finished`);
    if (locksHeld > 0) this.#report("liveness", `${locksHeld} locks are still held`);
    this.#compareNodes();
  }

  /** Of the members; who was removed from the configuration hears no more. */
  #compareNodes(): void {
    const leader = this.#view.nodes.find((node) => this.#view.status(node)?.role === "leader");
    const configuration = leader === undefined ? null : this.#view.status(leader)!.configuration;
    if (configuration === null) return this.#report("liveness", "nobody leads at the end");
    const dueMs = this.#view.nowMs - LAG_ELECTIONS * this.#view.electionMs;
    const due = this.#commits.findLast(({ atMs }) => atMs <= dueMs)?.index ?? 0;
    for (const node of membersOf(configuration)) {
      const at = this.#view.status(node)?.appliedIndex ?? null;
      if (at === null || at >= due) continue;
      this.#report("liveness", `${node} has applied ${at}; index ${due} was committed ${LAG_ELECTIONS} election timeouts ago`);
    }
  }
}

const LAG_ELECTIONS = 5;
const ELECTIONS_TO_SETTLE = 10;
/** Links are dialled again after a back-off, which no election timeout knows of. */
const REDIAL_MS = 2_000;
