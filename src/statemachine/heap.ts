import { InvariantError } from "#kernel";

/** Something that can stand in one {@link Heap} at a time. */
export interface HeapNode {
  /** Index in the heap's array; −1 outside. Written by the heap only. */
  position: number;
}

/**
 * Binary min-heap whose nodes know their place, so that any of them leaves or moves in O(log n). `before` must be a
 * strict total order: then what comes out depends on the contents alone and never on the order of insertion, which
 * is what makes a restored machine behave like the one that was saved.
 */
export class Heap<T extends HeapNode> {
  readonly #nodes: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#nodes.length;
  }

  peek(): T | undefined {
    return this.#nodes[0];
  }

  push(node: T): void {
    // Spelled out: the messages of `invariant` would be built at every change.
    if (node.position !== -1) throw new InvariantError(`a heap node is already placed at ${node.position}`);
    this.#nodes.push(node);
    this.#siftUp(node, this.#nodes.length - 1);
  }

  remove(node: T): void {
    const at = node.position;
    if (this.#nodes[at] !== node)
      throw new InvariantError(`a heap node is not where it says it is: ${at} of ${this.#nodes.length}`);
    const last = this.#nodes.pop()!;
    node.position = -1;
    if (last !== node) this.#settle(last, at);
  }

  /** Call after a change of what `before` looks at. */
  moved(node: T): void {
    this.#settle(node, node.position);
  }

  /** Whether `wanted` holds for some node, looking only at those for which `reachable` holds (it must fall with the order). */
  some(reachable: (node: T) => boolean, wanted: (node: T) => boolean, at = 0): boolean {
    const node = this.#nodes[at];
    if (node === undefined || !reachable(node)) return false;
    return wanted(node) || this.some(reachable, wanted, 2 * at + 1) || this.some(reachable, wanted, 2 * at + 2);
  }

  #settle(node: T, at: number): void {
    if (at > 0 && this.#before(node, this.#nodes[(at - 1) >> 1]!)) this.#siftUp(node, at);
    else this.#siftDown(node, at);
  }

  #siftUp(node: T, from: number): void {
    let at = from;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = this.#nodes[up]!;
      if (!this.#before(node, parent)) break;
      this.#place(parent, at);
      at = up;
    }
    this.#place(node, at);
  }

  #siftDown(node: T, from: number): void {
    const { length } = this.#nodes;
    let at = from;
    for (;;) {
      let down = 2 * at + 1;
      if (down >= length) break;
      if (down + 1 < length && this.#before(this.#nodes[down + 1]!, this.#nodes[down]!)) down += 1;
      const child = this.#nodes[down]!;
      if (!this.#before(child, node)) break;
      this.#place(child, at);
      at = down;
    }
    this.#place(node, at);
  }

  #place(node: T, at: number): void {
    this.#nodes[at] = node;
    node.position = at;
  }
}
