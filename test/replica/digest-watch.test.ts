import assert from "node:assert/strict";
import { test } from "node:test";
import { LogIndex, NodeId } from "#kernel";
import { DIGEST_VERSION } from "#statemachine";
// The inside of the room: a pure part, tried without the cluster around it.
import { DigestWatch } from "../../src/replica/digest-watch.ts";

const [a, b, c, d] = ["a", "b", "c", "d"].map(NodeId) as [NodeId, NodeId, NodeId, NodeId];
const at = (thousands: number, digest: string, digestVersion = DIGEST_VERSION) => ({
  index: LogIndex(thousands * 1_000),
  digest,
  digestVersion,
});

test("voters that report the same about the same index have nothing to say to each other", () => {
  const watch = new DigestWatch(a);
  watch.own(at(1, "x"), [a, b, c]);
  assert.equal(watch.other(b, at(1, "x"), [a, b, c]), null);
  assert.equal(watch.other(c, at(2, "y"), [a, b, c]), null);
  assert.equal(watch.divergence, null);
});

test("voters whose digests cover different things, as in an upgrade one by one, are not compared and get no answer", () => {
  const watch = new DigestWatch(a);
  const voters = [a, b, c];
  watch.own(at(1, "x"), voters);
  for (const [voter, version] of [
    [b, DIGEST_VERSION + 1],
    [c, 0],
  ] as const)
    assert.equal(watch.other(voter, at(1, "y", version), voters), null);
  assert.deepEqual([watch.divergence], [null]);
  watch.other(b, at(1, "z"), voters);
  assert.deepEqual(
    watch.divergence?.reports,
    new Map([
      [a, "x"],
      [b, "z"],
    ]),
  );
});

test("the one against whom a majority of all voters agrees is the odd one, on its own side and on the others'", () => {
  const odd = new DigestWatch(a);
  odd.own(at(1, "bad"), [a, b, c]);
  odd.other(b, at(1, "x"), [a, b, c]);
  assert.deepEqual(odd.divergence?.odd, []);
  odd.other(c, at(1, "x"), [a, b, c]);
  assert.deepEqual(odd.divergence?.odd, [a]);
  const other = new DigestWatch(b);
  other.other(a, at(1, "bad"), [a, b, c]);
  other.other(c, at(1, "x"), [a, b, c]);
  other.own(at(1, "x"), [a, b, c]);
  assert.deepEqual(other.divergence, {
    index: LogIndex(1_000),
    odd: [a],
    reports: new Map([
      [a, "bad"],
      [c, "x"],
      [b, "x"],
    ]),
  });
});

test("two voters that differ, and four that are split, know that they differ and not who is right", () => {
  const two = new DigestWatch(a);
  two.own(at(1, "x"), [a, b]);
  two.other(b, at(1, "y"), [a, b]);
  assert.deepEqual(two.divergence?.odd, []);
  const four = new DigestWatch(a);
  four.own(at(1, "x"), [a, b, c, d]);
  for (const [voter, digest] of [
    [b, "x"],
    [c, "y"],
    [d, "y"],
  ] as const)
    four.other(voter, at(1, digest), [a, b, c, d]);
  assert.deepEqual(four.divergence?.odd, []);
});

test("who was found out stays so until all voters agree at a later index, also while its accusers are silent", () => {
  const watch = new DigestWatch(a);
  const voters = [a, b, c];
  watch.own(at(1, "bad"), voters);
  watch.other(b, at(1, "x"), voters);
  watch.other(c, at(1, "x"), voters);
  watch.own(at(2, "bad"), voters);
  watch.other(b, at(2, "x"), voters);
  assert.deepEqual(watch.divergence?.odd, [a]);
  watch.own(at(3, "x"), voters);
  watch.other(b, at(3, "x"), voters);
  assert.deepEqual(watch.divergence?.odd, [a]);
  watch.other(c, at(3, "x"), voters);
  assert.equal(watch.divergence, null);
});

test("a voter that comes late is told what it missed, once", () => {
  const watch = new DigestWatch(a);
  for (let n = 1; n <= 5; n += 1) watch.own(at(n, `x${n}`), [a, b, c]);
  assert.equal(watch.other(b, at(2, "x2"), [a, b, c]), null);
  assert.deepEqual(watch.other(b, at(3, "bad"), [a, b, c]), at(3, "x3"));
  assert.equal(watch.other(b, at(3, "bad"), [a, b, c]), null);
  watch.reconnected(b);
  assert.deepEqual(watch.other(b, at(3, "bad"), [a, b, c]), at(3, "x3"));
});

test("who does not vote accuses nobody, and a state that was replaced starts anew", () => {
  const watch = new DigestWatch(a);
  watch.own(at(1, "x"), [a, b, c]);
  watch.other(d, at(1, "y"), [a, b, c]);
  assert.deepEqual(watch.divergence ?? "none", "none");
  watch.other(b, at(1, "y"), [a, b, c]);
  watch.other(c, at(1, "y"), [a, b, c]);
  assert.deepEqual(watch.divergence?.odd, [a]);
  watch.restored();
  assert.deepEqual(watch.divergence, null);
});

test("a voter far behind does not gather reports without end", () => {
  const watch = new DigestWatch(a);
  for (let n = 1; n <= 10_000; n += 1) watch.other(b, at(n, "x"), [a, b, c]);
  watch.own(at(1, "y"), [a, b, c]);
  watch.other(c, at(1, "x"), [a, b, c]);
  assert.deepEqual(watch.divergence?.odd, [a]);
});
