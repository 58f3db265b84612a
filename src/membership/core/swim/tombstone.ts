import type { MonotonicMs, NodeId } from "#kernel";

/**
 * When the dead and the left were buried, so that they are forgotten `retentionMs` later. Forgotten too early, late
 * gossip revives them; never, they fill every full exchange (memberlist#253). The removed are not here: the operator's word
 * has no end.
 *
 * One retention for all: the Map's order of insertion is the order of expiry, and nobody is looked at twice.
 */
export class Tombstones {
  readonly #retentionMs: number;
  readonly #buriedAt = new Map<NodeId, MonotonicMs>();

  constructor(retentionMs: number) {
    this.#retentionMs = retentionMs;
  }

  /** Buried again (a newer death) counts from now. */
  bury(now: MonotonicMs, id: NodeId): void {
    this.#buriedAt.delete(id);
    this.#buriedAt.set(id, now);
  }

  raise(id: NodeId): void {
    this.#buriedAt.delete(id);
  }

  /** Those whose time is over, once. */
  expire(now: MonotonicMs): NodeId[] {
    const over: NodeId[] = [];
    for (const [id, at] of this.#buriedAt) {
      if (now - at < this.#retentionMs) break;
      this.#buriedAt.delete(id);
      over.push(id);
    }
    return over;
  }

  /** When {@link expire} has something to do; null while nobody is buried. */
  get nextExpiry(): MonotonicMs | null {
    for (const at of this.#buriedAt.values()) return (at + this.#retentionMs) as MonotonicMs;
    return null;
  }
}
