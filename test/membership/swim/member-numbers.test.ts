import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantError, NodeId } from "#kernel";
import { MemberNumbers } from "../../../src/membership/core/swim/member-numbers.ts";

const [a, b, c] = [NodeId("a"), NodeId("b"), NodeId("c")];

test("a number stays with its id while anybody holds it, and then goes to another", () => {
  const numbers = new MemberNumbers();
  assert.deepEqual([numbers.hold(a), numbers.hold(b), numbers.hold(a)], [0, 1, 0]);
  numbers.release(0);
  assert.deepEqual([numbers.of(a), numbers.idOf(0)], [0, "a"]);
  numbers.release(0);
  assert.equal(numbers.of(a), undefined);
  assert.deepEqual([numbers.hold(c), numbers.idOf(0), numbers.of(b)], [0, "c", 1]);
});

test("what nobody holds cannot be released", () => {
  const numbers = new MemberNumbers();
  numbers.release(numbers.hold(a));
  assert.throws(() => numbers.release(0), InvariantError);
});
