import type { LogIndex, NodeId, Term } from "#kernel";
import { type RaftStatus, admissionOf } from "#raft";
import type { Observer } from "../observer.ts";
import type { CheckerReport } from "./checker.ts";

interface Seen {
  term: Term;
  commitIndex: LogIndex;
  appliedIndex: LogIndex;
  /** Of the present leadership, for each membership of a peer. */
  matches: Map<NodeId, { readonly admission: LogIndex | null; readonly index: LogIndex }>;
}

/** What only rises: term, commit and applied index in one life of a node, and a follower's match within one leadership and one membership. */
export class CommitMonotone implements Observer {
  readonly #report: CheckerReport;
  readonly #seen = new Map<NodeId, Seen>();

  constructor(report: CheckerReport) {
    this.#report = report;
  }

  started(node: NodeId, _life: number, { term, commitIndex, appliedIndex }: RaftStatus): void {
    this.#seen.set(node, { term, commitIndex, appliedIndex, matches: new Map() });
  }

  stepped(node: NodeId, _input: unknown, { term, commitIndex, appliedIndex, progress, configuration }: RaftStatus): void {
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
    for (const [peer, { matchIndex, suspect }] of progress) {
      const known = seen.matches.get(peer);
      if (known?.index === matchIndex) continue;
      const admission = admissionOf(configuration, peer);
      // What a suspect acknowledged before it said so is rightly forgotten.
      if (known?.admission === admission && matchIndex < known.index && !suspect) {
        this.#fell(node, `match index of ${peer} in term ${term}`, known.index, matchIndex);
      }
      seen.matches.set(peer, { admission, index: matchIndex });
    }
  }

  #fell(node: NodeId, what: string, from: number, to: number): void {
    this.#report("commit-monotone", `${node}: the ${what} fell from ${from} to ${to}`);
  }
}
