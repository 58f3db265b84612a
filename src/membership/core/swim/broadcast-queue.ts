/** Looked at in vain before a packet counts as full. */
const MISFITS_MAX = 16;

/**
 * Gossip that waits to ride on packets. Fewest transmissions first; among the unsent the newest first (a refutation must
 * not queue behind a mass join), among the others the one that has waited longest. A newer word about the same key
 * replaces the older. A packet costs what it takes along, however long the queue is.
 */
export class BroadcastQueue<K, T> {
  /** `#tiers[n]` was sent n times. */
  readonly #tiers: Tier<K, T>[] = [];
  readonly #byKey = new Map<K, Broadcast<K, T>>();

  get size(): number {
    return this.#byKey.size;
  }

  /** `bytes`: what it takes in a packet, its frame included. */
  put(key: K, value: T, bytes: number): void {
    this.drop(key);
    const broadcast: Broadcast<K, T> = { key, value, bytes, transmissions: 0, before: null, after: null };
    this.#byKey.set(key, broadcast);
    this.#tier(0).addFirst(broadcast);
  }

  drop(key: K): void {
    const broadcast = this.#byKey.get(key);
    if (broadcast !== undefined) this.#remove(broadcast);
  }

  /** How often the present word about `key` was sent; null once it was sent often enough, or dropped. */
  transmissions(key: K): number | null {
    return this.#byKey.get(key)?.transmissions ?? null;
  }

  /** What fits into `budgetBytes`. Each counts as sent once; after `limit` times ({@link retransmitLimit}) it leaves the queue. */
  take(budgetBytes: number, limit: number): T[] {
    const taken: Broadcast<K, T>[] = [];
    let left = budgetBytes;
    let misfits = 0;
    for (const tier of this.#tiers) {
      for (let next = tier.first; next !== null && misfits < MISFITS_MAX; next = next.after) {
        if (next.bytes > left) {
          misfits += 1;
        } else {
          left -= next.bytes;
          taken.push(next);
        }
      }
    }
    for (const broadcast of taken) this.#sent(broadcast, limit);
    return taken.map((broadcast) => broadcast.value);
  }

  #sent(broadcast: Broadcast<K, T>, limit: number): void {
    if (broadcast.transmissions + 1 >= limit) {
      this.#remove(broadcast);
      return;
    }
    this.#tier(broadcast.transmissions).remove(broadcast);
    broadcast.transmissions += 1;
    this.#tier(broadcast.transmissions).addLast(broadcast);
  }

  #remove(broadcast: Broadcast<K, T>): void {
    this.#byKey.delete(broadcast.key);
    this.#tier(broadcast.transmissions).remove(broadcast);
  }

  #tier(transmissions: number): Tier<K, T> {
    return (this.#tiers[transmissions] ??= new Tier());
  }
}

/** λ · ⌈log10(n + 1)⌉: so often each member passes a word on. By then all but about n^(2 − λ) have heard it (SWIM section 4.1). */
export function retransmitLimit(members: number, options: { readonly retransmitMultiplier: number }): number {
  return options.retransmitMultiplier * Math.ceil(Math.log10(members + 1));
}

interface Broadcast<K, T> {
  readonly key: K;
  readonly value: T;
  readonly bytes: number;
  transmissions: number;
  before: Broadcast<K, T> | null;
  after: Broadcast<K, T> | null;
}

/** A doubly linked list: what leaves from the middle costs nothing. */
class Tier<K, T> {
  first: Broadcast<K, T> | null = null;
  #last: Broadcast<K, T> | null = null;

  addFirst(broadcast: Broadcast<K, T>): void {
    this.#join(null, broadcast);
    this.#join(broadcast, this.first);
    this.first = broadcast;
    this.#last ??= broadcast;
  }

  addLast(broadcast: Broadcast<K, T>): void {
    this.#join(this.#last, broadcast);
    this.#join(broadcast, null);
    this.#last = broadcast;
    this.first ??= broadcast;
  }

  remove(broadcast: Broadcast<K, T>): void {
    const { before, after } = broadcast;
    if (this.first === broadcast) this.first = after;
    if (this.#last === broadcast) this.#last = before;
    this.#join(before, after);
  }

  #join(before: Broadcast<K, T> | null, after: Broadcast<K, T> | null): void {
    if (before !== null) before.after = after;
    if (after !== null) after.before = before;
  }
}
