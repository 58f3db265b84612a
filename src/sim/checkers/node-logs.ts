import type { LogIndex, NodeId, Term } from "#kernel";
import type { RaftStatus, Ready } from "#raft";
import type { Observer, RecoveredLog } from "../observer.ts";

/**
 * The terms of every node's log as the node itself sees it, unsynced tail included, and of everything that a leader has ever
 * called committed: shared by the checkers that compare logs. By log matching, (index, term) names an entry.
 */
export class NodeLogs implements Observer {
  readonly #logs = new Map<NodeId, (Term | null)[]>();
  readonly #committed: (Term | null)[] = [null];

  /** Null: absent, or behind a snapshot. */
  termAt(node: NodeId, index: number): Term | null {
    return this.#logs.get(node)?.[index] ?? null;
  }

  /** 0: nothing is known of its log. */
  lastIndex(node: NodeId): number {
    return Math.max(0, (this.#logs.get(node)?.length ?? 0) - 1);
  }

  /** The term of a committed entry; null when it was there before the run's first leader. `undefined`: not committed. */
  committedTerm(index: number): Term | null | undefined {
    return this.#committed[index];
  }

  /** The last index that a leader has called committed. */
  get committedIndex(): LogIndex {
    return (this.#committed.length - 1) as LogIndex;
  }

  started(node: NodeId, _life: number, { lastIndex, commitIndex }: RaftStatus, recovered: RecoveredLog): void {
    const log: (Term | null)[] = [];
    for (let index = 1; index <= lastIndex; index += 1) log[index] = recovered.termAt(index as LogIndex);
    this.#logs.set(node, log);
    // A snapshot on disk holds committed entries only.
    while (this.#committed.length <= commitIndex) this.#committed.push(null);
  }

  drained(node: NodeId, { persist }: Ready): void {
    const first = persist?.entries[0];
    if (persist === null || first === undefined) return;
    let log = this.#logs.get(node);
    if (log === undefined) this.#logs.set(node, (log = []));
    if (log.length > first.index) log.length = first.index;
    for (const { index, term } of persist.entries) log[index] = term;
  }

  stepped(node: NodeId, input: { readonly kind: string }, { role, lastIndex, lastTerm, commitIndex }: RaftStatus): void {
    if (input.kind === "installed") {
      const log: (Term | null)[] = [];
      log[lastIndex] = lastTerm;
      this.#logs.set(node, log);
    }
    if (role !== "leader") return;
    while (this.#committed.length <= commitIndex) this.#committed.push(this.termAt(node, this.#committed.length));
  }
}
