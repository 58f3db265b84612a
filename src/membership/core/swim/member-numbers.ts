import { invariant, type NodeId } from "#kernel";

/**
 * Small numbers for ids: what is kept of each member lies in arrays by them, and an id is looked up once. Several cores of one process may
 * share the numbers (the simulator's thousands): then each of them holds numbers and arrays, and not one id.
 */
export class MemberNumbers {
  readonly #numbers = new Map<NodeId, number>();
  readonly #ids: NodeId[] = [];
  readonly #holders: number[] = [];
  /** Given back, to be given again. */
  readonly #free: number[] = [];

  /** Undefined for an id that nobody holds. */
  of(id: NodeId): number | undefined {
    return this.#numbers.get(id);
  }

  idOf(number: number): NodeId {
    return this.#ids[number]!;
  }

  /** The id's number, for as long as whoever asks does not release it. */
  hold(id: NodeId): number {
    const known = this.#numbers.get(id);
    if (known !== undefined) {
      this.#holders[known]! += 1;
      return known;
    }
    const number = this.#free.pop() ?? this.#ids.length;
    this.#numbers.set(id, number);
    this.#ids[number] = id;
    this.#holders[number] = 1;
    return number;
  }

  release(number: number): void {
    invariant(this.#holders[number]! > 0, `the number ${number} was released more often than it was held`);
    this.#holders[number]! -= 1;
    if (this.#holders[number]! > 0) return;
    this.#numbers.delete(this.#ids[number]!);
    this.#free.push(number);
  }
}
