import type { LogIndex, NodeId, Term } from "#kernel";
import type { RaftStatus } from "#raft";
import { type DiskFault, type Observer, losesData } from "../observer.ts";
import type { CheckerReport } from "./checker.ts";

interface Seen {
  term: Term;
  commitIndex: LogIndex;
  appliedIndex: LogIndex;
  /** Of the present leadership. */
  matches: Map<NodeId, LogIndex>;
}

/** What only rises: term, commit and applied index in one life of a node, and a follower's match within one leadership. */
export class CommitMonotone implements Observer {
  readonly #report: CheckerReport;
  readonly #seen = new Map<NodeId, Seen>();
  /** Peers that may have lost acknowledged entries: their match may rightly be taken back. */
  readonly #hurt = new Set<NodeId>();

  constructor(report: CheckerReport) {
    this.#report = report;
  }

  started(node: NodeId, _life: number, { term, commitIndex, appliedIndex }: RaftStatus): void {
    this.#seen.set(node, { term, commitIndex, appliedIndex, matches: new Map() });
  }

  diskFault(node: NodeId, fault: DiskFault): void {
    if (losesData(fault)) this.#hurt.add(node);
  }

  stepped(node: NodeId, _input: unknown, { term, commitIndex, appliedIndex, progress }: RaftStatus): void {
    const seen = this.#seen.get(node);
    if (seen === undefined) return;
    if (term < seen.term) this.#fell(node, "term", seen.term, term);
    if (commitIndex < seen.commitIndex) this.#fell(node, "commit index", seen.commitIndex, commitIndex);
    if (appliedIndex < seen.appliedIndex) this.#fell(node, "applied index", seen.appliedIndex, appliedIndex);
    if (progress === null || term !== seen.term || progress.size < seen.matches.size) seen.matches = new Map();
    seen.term = term;
    seen.commitIndex = commitIndex;
    seen.appliedIndex = appliedIndex;
    if (progress === null) return;
    for (const [peer, { matchIndex }] of progress) {
      const known = seen.matches.get(peer);
      if (known !== undefined && matchIndex < known && !this.#hurt.has(peer)) {
        this.#fell(node, `match index of ${peer} in term ${term}`, known, matchIndex);
      }
      if (known !== matchIndex) seen.matches.set(peer, matchIndex);
    }
  }

  #fell(node: NodeId, what: string, from: number, to: number): void {
    this.#report("commit-monotone", `${node}: the ${what} fell from ${from} to ${to}`);
  }
}
