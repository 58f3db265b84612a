import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "#kernel";
import { Heap, type HeapNode } from "../../src/statemachine/heap.ts";

interface Numbered extends HeapNode {
  n: number;
}

test("nodes come out in order whatever was pushed, moved and removed before", () => {
  const random = seededRandom(11);
  const heap = new Heap<Numbered>((a, b) => a.n < b.n);
  const inside = new Set<Numbered>();
  for (let step = 0; step < 20_000; step += 1) {
    const [some] = inside;
    const dice = random();
    if (dice < 0.5 || some === undefined) {
      const node = { n: random(), position: -1 };
      heap.push(node);
      inside.add(node);
    } else if (dice < 0.8) {
      some.n = random();
      heap.moved(some);
      inside.delete(some);
      inside.add(some);
    } else {
      heap.remove(some);
      inside.delete(some);
      assert.equal(some.position, -1);
    }
  }
  const expected = [...inside].map(({ n }) => n).sort((a, b) => a - b);
  const seen: number[] = [];
  for (let node = heap.peek(); node !== undefined; node = heap.peek()) {
    seen.push(node.n);
    heap.remove(node);
  }
  assert.deepEqual(seen, expected);
});

test("taking the first of 100,000 costs comparisons in the order of the logarithm", () => {
  let comparisons = 0;
  const heap = new Heap<Numbered>((a, b) => {
    comparisons += 1;
    return a.n < b.n;
  });
  for (let n = 0; n < 100_000; n += 1) heap.push({ n: (n * 7_919) % 100_003, position: -1 });
  comparisons = 0;
  heap.remove(heap.peek()!);
  assert.ok(comparisons <= 2 * 17, `${comparisons} comparisons`);
});

test("some() looks only at nodes that the order lets it reach", () => {
  const heap = new Heap<Numbered>((a, b) => a.n < b.n);
  for (let n = 0; n < 1_000; n += 1) heap.push({ n, position: -1 });
  const looked: number[] = [];
  const found = heap.some(
    (node) => node.n < 5,
    (node) => (looked.push(node.n), false),
  );
  assert.equal(found, false);
  assert.deepEqual(
    looked.sort((a, b) => a - b),
    [0, 1, 2, 3, 4],
  );
});
