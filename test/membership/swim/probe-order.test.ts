import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeId, seededRandom } from "#kernel";
import { ProbeOrder } from "../../../src/membership/core/swim/probe-order.ts";

test("each round probes everybody once, in an order of its own", () => {
  const order = orderOf(20);
  const first = round(order, 20);
  const second = round(order, 20);
  assert.deepEqual(first.toSorted(), names(20));
  assert.deepEqual(second.toSorted(), names(20));
  assert.notDeepEqual(first, second);
});

test("nobody waits longer than 2N − 1 probes (SWIM section 4.3)", () => {
  const order = orderOf(10, 3);
  let last = -1;
  for (let at = 0; at < 10_000; at += 1) {
    if (order.next() !== "n003") continue;
    assert.ok(at - last <= 19, `waited ${at - last} probes`);
    last = at;
  }
});

test("a newcomer takes any place of the running round, not always the next", () => {
  const waits = [0, 0];
  for (let seed = 0; seed < 2_000; seed += 1) {
    const order = orderOf(10, seed);
    round(order, 5);
    order.add(NodeId("new"));
    const rest = round(order, order.size - 5);
    waits[rest.indexOf(NodeId("new")) < 5 && rest.includes(NodeId("new")) ? 0 : 1]! += 1;
  }
  assert.ok(waits[0]! > 900 && waits[1]! > 600, `in this round ${waits[0]}, in the next ${waits[1]}`);
});

test("those that come and go in mid-round disturb nobody else's turn", () => {
  for (let seed = 0; seed < 200; seed += 1) {
    const random = seededRandom(seed);
    const order = orderOf(12, seed);
    const probed = round(order, Math.floor(random() * 13));
    order.remove(NodeId("n003"));
    order.remove(NodeId("n009"));
    order.add(NodeId("new-1"));
    order.add(NodeId("new-2"));
    order.remove(NodeId("new-1"));
    order.remove(NodeId("nobody"));
    order.add(NodeId("n000"));
    assert.equal(order.size, 11);
    const due = names(12).filter((name) => !probed.includes(name) && name !== "n003" && name !== "n009");
    const next = round(order, due.length + 1);
    for (const name of due) assert.ok(next.includes(name), `seed ${seed}: ${name} lost its turn`);
  }
});

test("an empty order has nobody to probe", () => {
  const order = orderOf(1);
  assert.equal(order.next(), "n000");
  order.remove(NodeId("n000"));
  assert.equal(order.next(), null);
});

test("a sample holds different members that suit, each as likely as the other, and leaves the order alone", () => {
  const order = orderOf(20);
  round(order, 7);
  const counts = new Map<string, number>();
  for (let n = 0; n < 9_000; n += 1) {
    const drawn = order.sample(3, (id) => id !== "n004" && id !== "n005");
    assert.equal(new Set(drawn).size, 3);
    for (const id of drawn) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  assert.equal(counts.size, 18);
  for (const [id, count] of counts) assert.ok(count > 1_300 && count < 1_700, `${id} ${count}`);
  assert.equal(new Set(round(order, 13)).size, 13);
});

test("a sample is as large as there are members that suit", () => {
  assert.deepEqual(
    orderOf(5).sample(3, (id) => id === "n002"),
    ["n002"],
  );
  assert.deepEqual(
    orderOf(0).sample(3, () => true),
    [],
  );
});

function orderOf(count: number, seed = 1): ProbeOrder {
  const order = new ProbeOrder(seededRandom(seed));
  for (const name of names(count)) order.add(name);
  return order;
}

function names(count: number): NodeId[] {
  return Array.from({ length: count }, (_, n) => NodeId(`n${String(n).padStart(3, "0")}`));
}

function round(order: ProbeOrder, count: number): NodeId[] {
  return Array.from({ length: count }, () => order.next()!);
}
