import { invariant, type NodeId, type Random } from "#kernel";
import { MemberNumbers } from "./member-numbers.ts";

/**
 * Round robin over a shuffled membership (SWIM section 4.3): everybody is probed once in a round, in an order of its own,
 * so that no member waits longer than 2N − 1 periods for one observer's probe.
 *
 * `#members` (by their numbers) is [probed in this round | still to come], parted at `#cursor`. The shuffle is lazy (one step of
 * Fisher and Yates per probe), and a member's place is known, so that every operation takes constant time.
 */
export class ProbeOrder {
  readonly #random: Random;
  readonly #numbers: MemberNumbers;
  #members: Int32Array;
  /** By number: one more than where the member stands, 0 for one that stands nowhere. */
  #places: Int32Array;
  #size = 0;
  #cursor = 0;

  /** `room`: for so many members from the start. */
  constructor(random: Random, numbers: MemberNumbers = new MemberNumbers(), room = FIRST_ROOM) {
    this.#random = random;
    this.#numbers = numbers;
    this.#members = new Int32Array(room);
    this.#places = new Int32Array(room);
  }

  get size(): number {
    return this.#size;
  }

  has(id: NodeId): boolean {
    return this.#placeOf(id) !== null;
  }

  /**
   * A newcomer takes a random place in the running round: had it always the next one, a restart of half the cluster would
   * push everyone else's probe back.
   */
  add(id: NodeId): void {
    if (this.has(id)) return;
    const number = this.#numbers.hold(id);
    const place = this.#size;
    this.#members = roomFor(place, this.#members);
    this.#places = roomFor(number, this.#places);
    this.#members[place] = number;
    this.#places[number] = place + 1;
    this.#size += 1;
    const counted = Math.floor(this.#random() * (place + 1)) < this.#cursor;
    if (counted) this.#pass(place);
  }

  remove(id: NodeId): void {
    let place = this.#placeOf(id);
    if (place === null) return;
    if (place < this.#cursor) {
      this.#cursor -= 1;
      this.#swap(place, this.#cursor);
      place = this.#cursor;
    }
    this.#swap(place, this.#size - 1);
    this.#size -= 1;
    const number = this.#members[this.#size]!;
    this.#places[number] = 0;
    this.#numbers.release(number);
  }

  /** The member to probe in this period; null when there is none. */
  next(): NodeId | null {
    if (this.#size === 0) return null;
    if (this.#cursor === this.#size) this.#cursor = 0;
    this.#pass(this.#cursor + Math.floor(this.#random() * (this.#size - this.#cursor)));
    return this.#numbers.idOf(this.#members[this.#cursor - 1]!);
  }

  /**
   * Up to `count` different members that `suits` lets through, drawn evenly: helpers of a probe, receivers of gossip. Takes
   * as many draws as it looks at members, so a `suits` that nearly nobody passes costs a walk through all.
   */
  sample(count: number, suits: (id: NodeId) => boolean): NodeId[] {
    const drawn: NodeId[] = [];
    // A shuffle of the numbers 0…n−1 of which only the moved ones are written down: the order itself must not change.
    const moved = new Map<number, number>();
    for (let left = this.#size; left > 0 && drawn.length < count; left -= 1) {
      const at = Math.floor(this.#random() * left);
      const place = moved.get(at) ?? at;
      moved.set(at, moved.get(left - 1) ?? left - 1);
      const id = this.#numbers.idOf(this.#members[place]!);
      if (suits(id)) drawn.push(id);
    }
    return drawn;
  }

  #placeOf(id: NodeId): number | null {
    const number = this.#numbers.of(id);
    const place = number === undefined ? 0 : (this.#places[number] ?? 0);
    return place === 0 ? null : place - 1;
  }

  /** Counts the one at `place` (still to come) as probed. */
  #pass(place: number): void {
    invariant(place >= this.#cursor, `place ${place} was probed already, the cursor stands at ${this.#cursor}`);
    this.#swap(place, this.#cursor);
    this.#cursor += 1;
  }

  #swap(a: number, b: number): void {
    const [atA, atB] = [this.#members[a]!, this.#members[b]!];
    this.#members[a] = atB;
    this.#members[b] = atA;
    this.#places[atB] = a + 1;
    this.#places[atA] = b + 1;
  }
}

const FIRST_ROOM = 16;

/** The array, or a larger one with the same numbers, so that `index` is in it. */
function roomFor(index: number, array: Int32Array): Int32Array {
  if (index < array.length) return array;
  const larger = new Int32Array(Math.max(2 * array.length, index + 1));
  larger.set(array);
  return larger;
}
