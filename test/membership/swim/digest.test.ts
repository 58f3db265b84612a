import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeId } from "#kernel";
import { memberHash, RunningDigest } from "../../../src/membership/core/swim/digest.ts";
import { statement } from "./records.ts";

test("golden vector: the digest is the same on every node and in every version", () => {
  assert.equal(memberHash(NodeId("lambda-gh200-1"), { epoch: 3, counter: 14 }, "alive"), 3_432_528_597);
  assert.equal(memberHash(NodeId("lambda-gh200-1"), { epoch: 3, counter: 14 }, "suspect"), 3_332_002_222);
});

test("the order of arrival does not matter, and what went leaves no trace", () => {
  const members = Array.from({ length: 50 }, (_, n) => statement(`alive@${n}`, { id: NodeId(`m${n}`) }));
  const [up, down] = [new RunningDigest(), new RunningDigest()];
  for (const member of members) up.replace(null, member);
  for (const member of members.toReversed()) down.replace(null, member);
  assert.equal(up.value, down.value);
  const guest = statement("alive@1", { id: NodeId("guest") });
  up.replace(null, guest);
  assert.notEqual(up.value, down.value);
  up.replace(guest, { ...guest, state: "suspect" });
  up.replace({ ...guest, state: "suspect" }, null);
  assert.equal(up.value, down.value);
});

test("id, epoch, counter and suspicion each make a difference; the absent make none", () => {
  const words = ["alive@1.1", "alive@1.2", "alive@2.1", "suspect@1.1"].map((word) => statement(word));
  const digests = [...words, statement("alive@1.1", { id: NodeId("y") })].map((word) => digestOf(word));
  assert.equal(new Set(digests).size, 5);
  assert.deepEqual(
    ["dead@1", "left@1", "removed@1"].map((word) => digestOf(statement(word))),
    [0, 0, 0],
  );
});

test("ten thousand members that differ by one digit hash apart", () => {
  const hashes = new Set<number>();
  for (let n = 0; n < 10_000; n += 1) hashes.add(memberHash(NodeId(`n${n}`), { epoch: 1, counter: 0 }, "alive"));
  assert.ok(hashes.size >= 9_998, `${hashes.size} different`);
});

function digestOf(record: ReturnType<typeof statement>): number {
  const digest = new RunningDigest();
  digest.replace(null, record);
  return digest.value;
}
