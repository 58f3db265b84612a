import type { LogIndex, NodeId, Term } from "#kernel";
import type { RaftStatus, Ready } from "#raft";
import type { Observer, WorldView } from "../observer.ts";

/**
 * The terms of every node's log as the node itself sees it, unsynced tail included: shared by the checkers that compare
 * logs. By log matching, (index, term) names an entry.
 */
export class NodeLogs implements Observer {
  readonly #view: WorldView;
  readonly #logs = new Map<NodeId, (Term | null)[]>();

  constructor(view: WorldView) {
    this.#view = view;
  }

  /** Null: absent, or behind a snapshot. */
  termAt(node: NodeId, index: number): Term | null {
    return this.#logs.get(node)?.[index] ?? null;
  }

  /** What a crash leaves is asked of the platters: batches are durable before they are reported so, or never. */
  started(node: NodeId, _life: number, { lastIndex, lastTerm }: RaftStatus): void {
    const log: (Term | null)[] = [];
    for (let index = 1; index <= lastIndex; index += 1) {
      const term = this.#view.durable.termAt(node, index as LogIndex);
      log[index] = typeof term === "number" ? (term as Term) : null;
    }
    if (lastIndex > 0) log[lastIndex] ??= lastTerm;
    this.#logs.set(node, log);
  }

  drained(node: NodeId, { persist }: Ready): void {
    const first = persist?.entries[0];
    if (persist === null || first === undefined) return;
    let log = this.#logs.get(node);
    if (log === undefined) this.#logs.set(node, (log = []));
    if (log.length > first.index) log.length = first.index;
    for (const { index, term } of persist.entries) log[index] = term;
  }

  stepped(node: NodeId, input: { readonly kind: string }, { lastIndex, lastTerm }: RaftStatus): void {
    if (input.kind !== "installed") return;
    const log: (Term | null)[] = [];
    log[lastIndex] = lastTerm;
    this.#logs.set(node, log);
  }
}
