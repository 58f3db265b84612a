import { invariant, type NodeId, type Random } from "#kernel";

/**
 * Round robin over a shuffled membership (SWIM section 4.3): everybody is probed once in a round, in an order of its own,
 * so that no member waits longer than 2N − 1 periods for one observer's probe.
 *
 * `#ids` is [probed in this round | still to come], parted at `#cursor`. The shuffle is lazy (one step of Fisher and
 * Yates per probe), and a member's place is known, so that every operation takes constant time.
 */
export class ProbeOrder {
  readonly #random: Random;
  readonly #ids: NodeId[] = [];
  readonly #places = new Map<NodeId, number>();
  #cursor = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get size(): number {
    return this.#ids.length;
  }

  has(id: NodeId): boolean {
    return this.#places.has(id);
  }

  /**
   * A newcomer takes a random place in the running round: had it always the next one, a restart of half the cluster would
   * push everyone else's probe back.
   */
  add(id: NodeId): void {
    if (this.has(id)) return;
    const place = this.#ids.length;
    this.#ids.push(id);
    this.#places.set(id, place);
    const counted = Math.floor(this.#random() * (place + 1)) < this.#cursor;
    if (counted) this.#pass(place);
  }

  remove(id: NodeId): void {
    let place = this.#places.get(id);
    if (place === undefined) return;
    if (place < this.#cursor) {
      this.#cursor -= 1;
      this.#swap(place, this.#cursor);
      place = this.#cursor;
    }
    this.#swap(place, this.#ids.length - 1);
    this.#ids.pop();
    this.#places.delete(id);
  }

  /** The member to probe in this period; null when there is none. */
  next(): NodeId | null {
    if (this.#ids.length === 0) return null;
    if (this.#cursor === this.#ids.length) this.#cursor = 0;
    this.#pass(this.#cursor + Math.floor(this.#random() * (this.#ids.length - this.#cursor)));
    return this.#ids[this.#cursor - 1]!;
  }

  /**
   * Up to `count` different members that `suits` lets through, drawn evenly: helpers of a probe, receivers of gossip. Takes
   * as many draws as it looks at members, so a `suits` that nearly nobody passes costs a walk through all.
   */
  sample(count: number, suits: (id: NodeId) => boolean): NodeId[] {
    const drawn: NodeId[] = [];
    // A shuffle of the numbers 0…n−1 of which only the moved ones are written down: the order itself must not change.
    const moved = new Map<number, number>();
    for (let left = this.#ids.length; left > 0 && drawn.length < count; left -= 1) {
      const at = Math.floor(this.#random() * left);
      const place = moved.get(at) ?? at;
      moved.set(at, moved.get(left - 1) ?? left - 1);
      const id = this.#ids[place]!;
      if (suits(id)) drawn.push(id);
    }
    return drawn;
  }

  /** Counts the one at `place` (still to come) as probed. */
  #pass(place: number): void {
    invariant(place >= this.#cursor, `place ${place} was probed already, the cursor stands at ${this.#cursor}`);
    this.#swap(place, this.#cursor);
    this.#cursor += 1;
  }

  #swap(a: number, b: number): void {
    const [atA, atB] = [this.#ids[a]!, this.#ids[b]!];
    this.#ids[a] = atB;
    this.#ids[b] = atA;
    this.#places.set(atB, a);
    this.#places.set(atA, b);
  }
}
