import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterTimeMs, LogIndex, NodeId, Term, WallTimeMs, seededRandom } from "#kernel";
import {
  type Configuration,
  type Entry,
  LayoutError,
  decodeConfiguration,
  decodeEntry,
  encodeConfiguration,
  encodeEntry,
  settledConfiguration,
} from "#raft";

const entry = (more: Partial<Entry> = {}): Entry => ({
  term: Term(7),
  index: LogIndex(2 ** 53 - 1),
  kind: "command",
  clusterTimeMs: ClusterTimeMs(2 ** 32 + 5),
  wallTimeMs: WallTimeMs(0x1a1_fc48_ecfb),
  data: Uint8Array.of(1, 2, 3),
  ...more,
});

test("an entry of every kind, size and number comes back as it was, at any alignment", () => {
  const random = seededRandom(1);
  const kinds = ["command", "leader", "configuration"] as const;
  const size = () => Math.floor(2 ** (random() * 53));
  for (let round = 0; round < 500; round++) {
    const original = entry({
      term: Term(size()),
      index: LogIndex(size()),
      kind: kinds[round % 3]!,
      clusterTimeMs: ClusterTimeMs(size()),
      wallTimeMs: WallTimeMs(size()),
      data: Uint8Array.from({ length: round }, () => random() * 256),
    });
    const framed = Buffer.concat([Buffer.alloc(round % 9), encodeEntry(original), Buffer.alloc(3)]);
    assert.deepEqual(decodeEntry(framed.subarray(round % 9, framed.length - 3)), original);
  }
});

test("an entry is laid out byte for byte as documented, because logs of old versions must stay readable", () => {
  const bytes = encodeEntry(entry({ index: LogIndex(0x1_0000_0002), kind: "configuration" }));
  assert.equal(
    Buffer.from(bytes).toString("hex"),
    ["03010000", "03000000", "0700000000000000", "0200000001000000", "0500000001000000", "fbec48fca1010000", "010203"].join(""),
  );
});

test("the data of a decoded entry is a view of the bytes it came from, not a copy", () => {
  const bytes = encodeEntry(entry());
  assert.equal(decodeEntry(bytes).data.buffer, bytes.buffer);
});

test("bytes that are not exactly one entry are refused", () => {
  const good = encodeEntry(entry());
  const damaged = (at: number, value: number): Uint8Array => Uint8Array.from(good, (byte, i) => (i === at ? value : byte));
  for (let cut = 0; cut < good.length; cut++)
    assert.throws(() => decodeEntry(good.subarray(0, cut)), LayoutError, `cut at ${cut}`);
  assert.throws(() => decodeEntry(Uint8Array.of(...good, 0)), /3 bytes of data, but 4 follow/);
  assert.throws(() => decodeEntry(damaged(0, 0)), /unknown kind of entry 0/);
  assert.throws(() => decodeEntry(damaged(0, 4)), /unknown kind of entry 4/);
  assert.throws(() => decodeEntry(damaged(1, 2)), /layout 2 is not known here/);
  assert.throws(() => decodeEntry(damaged(3, 1)), /reserved bytes/);
  for (const field of [8, 16, 24, 32]) assert.throws(() => decodeEntry(damaged(field + 6, 0x20)), /beyond 2\^53/);
});

test("a configuration comes back as it was, joint or not, and whatever its ids are made of", () => {
  const configurations: Configuration[] = [
    { voters: [], votersOutgoing: null, learners: [], learnersNext: [], promoting: [], admissions: [] },
    {
      voters: ["n1", "n2", "n3"].map(NodeId),
      votersOutgoing: null,
      learners: [NodeId("spare")],
      learnersNext: [],
      promoting: [],
      admissions: [{ node: NodeId("spare"), index: LogIndex(2 ** 40 + 1) }],
    },
    { voters: [NodeId("n1")], votersOutgoing: [], learners: [], learnersNext: [], promoting: [], admissions: [] },
    {
      voters: [NodeId("gpu-ü"), NodeId("日本🙂"), NodeId("")],
      votersOutgoing: [NodeId("\ud800")],
      learners: [],
      learnersNext: [],
      promoting: [],
      admissions: [],
    },
  ];
  for (const configuration of configurations) {
    assert.deepEqual(decodeConfiguration(encodeConfiguration(configuration)), configuration);
  }
});

test("a configuration to which nobody was added has the bytes of the versions that knew no admissions", () => {
  const founders = encodeConfiguration(settledConfiguration([NodeId("a")]));
  assert.deepEqual([...founders], [2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 97, 0]);
});

test("bytes that are not exactly one configuration are refused", () => {
  const good = encodeConfiguration({
    voters: [NodeId("n1"), NodeId("n2")],
    votersOutgoing: null,
    learners: [],
    learnersNext: [],
    promoting: [],
    admissions: [{ node: NodeId("n2"), index: LogIndex(2 ** 40 + 1) }],
  });
  for (let cut = 0; cut < good.length; cut++) assert.throws(() => decodeConfiguration(good.subarray(0, cut)), LayoutError);
  assert.throws(() => decodeConfiguration(Uint8Array.of(...good, 0)), /1 bytes behind the end/);
  assert.throws(() => decodeConfiguration(Uint8Array.of(9, ...good.subarray(1))), /layout 9/);
  assert.throws(() => decodeConfiguration(Uint8Array.of(1, 2, ...good.subarray(2))), /joint/);
});
