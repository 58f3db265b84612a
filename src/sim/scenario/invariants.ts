import type { NodeId } from "#kernel";
import type { ScenarioNode } from "./node.ts";

/** A safety property of Raft that no scenario may break, whatever its own expectations say. */
export class BrokenInvariant extends Error {
  override readonly name = "BrokenInvariant";
}

/** Checked after every step of every scenario. What was once seen is remembered, also of nodes that have crashed since. */
export class Invariants {
  readonly #leaderOf = new Map<number, NodeId>();
  /** Of each committed index the entry's term, and the latest term in which it was known to be committed first. */
  readonly #committed = new Map<number, { readonly term: number; readonly knownIn: number }>();
  readonly #votes = new Map<string, NodeId>();
  readonly #lastSeen = new Map<NodeId, { readonly term: number; readonly commit: number; readonly life: number }>();
  readonly #checkedCommit = new Map<NodeId, number>();

  check(nodes: Iterable<ScenarioNode>): void {
    const all = [...nodes];
    for (const node of all) {
      this.#oneLeader(node);
      this.#oneVote(node);
      this.#committedAgree(node);
      this.#neverBack(node);
    }
    for (const [i, a] of all.entries()) for (const b of all.slice(i + 1)) logsMatch(a, b);
  }

  /** Election safety (§5.2), and leader completeness (§5.4): a new leader holds all that was committed in earlier terms. */
  #oneLeader(node: ScenarioNode): void {
    const { id, status } = node;
    if (status?.role !== "leader") return;
    const other = this.#leaderOf.get(status.term);
    if (other !== undefined && other !== id) throw new BrokenInvariant(`two leaders in term ${status.term}: ${other} and ${id}`);
    if (other === undefined) {
      for (const [index, { term, knownIn }] of this.#committed) {
        if (knownIn < status.term && index > node.baseIndex && node.termAt(index) !== term) {
          throw new BrokenInvariant(`${id} leads term ${status.term} without entry ${index}, committed in term ${knownIn}`);
        }
      }
    }
    this.#leaderOf.set(status.term, id);
  }

  /** A vote on the disk stands for its term, through crashes too. */
  #oneVote({ id, disk }: ScenarioNode): void {
    const { term, votedFor } = disk.hardState;
    if (votedFor === null) return;
    const known = this.#votes.get(`${id} ${term}`);
    if (known !== undefined && known !== votedFor)
      throw new BrokenInvariant(`${id} voted for ${known} and ${votedFor} in term ${term}`);
    this.#votes.set(`${id} ${term}`, votedFor);
  }

  /** State machine safety (§5.4.3): what one node has committed at an index, no other commits differently. */
  #committedAgree(node: ScenarioNode): void {
    const { status } = node;
    if (status === null) return;
    const from = Math.max(node.baseIndex, this.#checkedCommit.get(node.id) ?? 0);
    for (let index = from + 1; index <= status.commitIndex; index++) {
      const term = node.termAt(index);
      if (term === null) continue;
      const known = this.#committed.get(index);
      if (known !== undefined && known.term !== term) {
        throw new BrokenInvariant(`entry ${index} is committed with term ${known.term}, and on ${node.id} with term ${term}`);
      }
      if (known === undefined) this.#committed.set(index, { term, knownIn: status.term });
    }
    this.#checkedCommit.set(node.id, status.commitIndex);
  }

  #neverBack({ id, status, disk, life }: ScenarioNode): void {
    const known = this.#lastSeen.get(id);
    const term = disk.hardState.term;
    if (known !== undefined && term < known.term)
      throw new BrokenInvariant(`the term on the disk of ${id} fell from ${known.term} to ${term}`);
    const commit = status?.commitIndex ?? 0;
    if (known?.life === life && status !== null && commit < known.commit) {
      throw new BrokenInvariant(`the commit index of ${id} fell from ${known.commit} to ${commit}`);
    }
    this.#lastSeen.set(id, { term, commit, life });
    if (status === null) this.#checkedCommit.delete(id);
  }
}

/** Log matching (§5.3): where two logs agree in one entry, they agree in all before it. */
function logsMatch(a: ScenarioNode, b: ScenarioNode): void {
  if (a.status === null || b.status === null) return;
  let agreed = false;
  const lowest = Math.max(a.baseIndex, b.baseIndex);
  for (let index = Math.min(a.status.lastIndex, b.status.lastIndex); index > lowest; index--) {
    const [left, right] = [a.termAt(index), b.termAt(index)];
    if (agreed && left !== right)
      throw new BrokenInvariant(`the logs of ${a.id} and ${b.id} differ at ${index} and agree behind it`);
    if (left === right) agreed = true;
  }
}
