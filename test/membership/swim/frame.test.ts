import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "#kernel";
import type { Opened } from "../../../src/membership/core/swim/envelope.ts";
import {
  FrameSealing,
  MAX_FRAME_BODY_BYTES,
  MAX_FRAME_BYTES,
  MAX_UNPROVEN_BYTES,
} from "../../../src/membership/core/swim/frame.ts";
import { DatagramSealing } from "../../../src/membership/core/swim/sealing.ts";
import { bytesOf, hex, options, randomBytes, setup } from "./wire-samples.ts";

const alice = (): FrameSealing => new FrameSealing(setup(0xa0));
const bob = (): FrameSealing => new FrameSealing(setup(0xb0));

function said(opened: readonly Opened[]): string[] {
  return opened.map((one) => (one.ok ? Buffer.from(one.body).toString() : one.reason));
}

test("golden bytes: length, then an envelope of kind 2", () => {
  assert.equal(
    hex(alice().writer().seal(bytesOf("hello"))),
    "000000290102feb49d4a7808a0a1a0a1a0a1a0a1000000009a075ad29747eec26f17a8b95e42ce23e88eae7721",
  );
});

test("frames come out whole and in order wherever the stream is cut", () => {
  const random = seededRandom(17);
  for (let round = 0; round < 200; round++) {
    const writer = alice().writer();
    const bodies = Array.from({ length: 5 }, () => hex(randomBytes(random, Math.floor(random() ** 3 * 5_000))));
    const stream = Buffer.concat(bodies.map((body) => writer.seal(bytesOf(body))));
    const reader = bob().reader();
    const heard: string[] = [];
    const longest = [1, 7, 100, 3_000, 100_000][round % 5]!;
    for (let at = 0; at < stream.length;) {
      const end = at + 1 + Math.floor(random() * longest);
      heard.push(...said(reader.push(stream.subarray(at, end))));
      at = end;
    }
    assert.deepEqual(heard, bodies, `round ${round}`);
  }
});

test("what was opened stays as it is while more arrives", () => {
  const writer = alice().writer();
  const [one, two] = [writer.seal(bytesOf("one")), writer.seal(bytesOf("two"))];
  const reader = bob().reader();
  reader.push(one.subarray(0, 9));
  const opened = reader.push(Buffer.concat([one.subarray(9), two.subarray(0, 30)]));
  assert.deepEqual(said(reader.push(two.subarray(30))), ["two"]);
  assert.deepEqual(said(opened), ["one"]);
});

test("the longest frame passes; a claimed length beyond it is refused from four bytes on", () => {
  const reader = bob().reader();
  const writer = alice().writer();
  assert.equal(reader.push(writer.seal(new Uint8Array(MAX_FRAME_BODY_BYTES))).length, 1);
  assert.throws(() => writer.seal(new Uint8Array(MAX_FRAME_BODY_BYTES + 1)), /over the frame's/);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(MAX_FRAME_BYTES + 1);
  assert.deepEqual(said(bob().reader().push(length)), ["too-long"]);
  assert.deepEqual(
    said(
      bob()
        .reader()
        .push(Uint8Array.of(0xff, 0xff, 0xff, 0xff)),
    ),
    ["too-long"],
  );
  assert.deepEqual(
    said(
      bob()
        .reader()
        .push(Uint8Array.of(0, 0, 0, 35)),
    ),
    ["too-short"],
  );
  assert.deepEqual(said(bob().reader().push(new Uint8Array(4))), ["too-short"]);
});

test("a stream of another cluster, version or key is refused as soon as its header is there", () => {
  const frame = (label: string): Uint8Array => new FrameSealing(setup(0xa0, { label })).writer().seal(new Uint8Array(1_000));
  const reader = bob().reader();
  assert.deepEqual(said(reader.push(frame("go").subarray(0, 23))), []);
  assert.deepEqual(said(reader.push(frame("go").subarray(23, 24))), ["label"]);
  const other = frame("hex");
  other[4] = 9;
  assert.deepEqual(said(bob().reader().push(other.subarray(0, 24))), ["version"]);
});

test("nothing is taken after a bad frame", () => {
  const writer = alice().writer();
  const frames = ["one", "two", "three"].map((body) => writer.seal(bytesOf(body)));
  frames[1]![30]! ^= 1;
  const reader = bob().reader();
  assert.deepEqual(said(reader.push(Buffer.concat(frames))), ["one", "forged"]);
  assert.deepEqual(reader.push(writer.seal(bytesOf("four"))), []);
});

test("a frame repeated, left out or moved on its stream is refused", () => {
  const orders: readonly (readonly [number[], string[]])[] = [
    [
      [0, 1, 1],
      ["0", "1", "forged"],
    ],
    [
      [0, 2],
      ["0", "forged"],
    ],
    [[1], ["forged"]],
    [
      [0, 0],
      ["0", "forged"],
    ],
  ];
  for (const [order, expected] of orders) {
    const writer = alice().writer();
    const frames = [0, 1, 2].map((body) => writer.seal(bytesOf(`${body}`)));
    assert.deepEqual(
      said(
        bob()
          .reader()
          .push(Buffer.concat(order.map((index) => frames[index]!))),
      ),
      expected,
    );
  }
});

test("a recorded stream is not taken a second time, nor frames of one stream on another", () => {
  const [from, to] = [alice(), bob()];
  const [one, other] = [from.writer(), from.writer()];
  const first = one.seal(bytesOf("one"));
  const reader = to.reader();
  assert.deepEqual(said(reader.push(first)), ["one"]);
  assert.deepEqual(said(to.reader().push(first)), ["replayed"]);
  other.seal(bytesOf("other 0"));
  assert.deepEqual(said(reader.push(other.seal(bytesOf("other 1")))), ["forged"]);
});

test("no nonce comes twice: all streams of a boot share its random bits and one counter", () => {
  const from = alice();
  const nonces = Array.from({ length: 1_000 }, () => {
    const writer = from.writer();
    return [writer.seal(bytesOf("x")), writer.seal(bytesOf("x"))].map((frame) => hex(frame.subarray(12, 24)));
  }).flat();
  assert.equal(new Set(nonces).size, 2_000);
  assert.equal(new Set(nonces.map((nonce) => nonce.slice(0, 16))).size, 1);
});

test("a stream that began earlier may still arrive later than others of its sender; none of them is taken twice", () => {
  const [from, to] = [alice(), bob()];
  const firsts = Array.from({ length: 100 }, (_, n) => from.writer().seal(bytesOf(`${n}`)));
  for (const [at, first] of firsts.toReversed().entries()) assert.deepEqual(said(to.reader().push(first)), [`${99 - at}`]);
  for (const first of firsts) assert.deepEqual(said(to.reader().push(first)), ["replayed"]);
});

test("our own frames thrown back at us are refused", () => {
  const node = alice();
  assert.deepEqual(said(node.reader().push(node.writer().seal(bytesOf("x")))), ["replayed"]);
});

test("a datagram is not a frame", () => {
  const datagram = new DatagramSealing(setup(0xa0), options).seal(bytesOf("x"));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(datagram.length);
  assert.deepEqual(
    said(
      bob()
        .reader()
        .push(Buffer.concat([length, datagram])),
    ),
    ["malformed"],
  );
});

test("beginnings of frames by whoever has not shown the key are kept up to a bound for all of them; whole frames still pass", () => {
  const [from, to] = [alice(), bob()];
  const beginning = from.writer().seal(new Uint8Array(MAX_FRAME_BODY_BYTES)).subarray(0, -1);
  const strangers = Array.from({ length: 2 + MAX_UNPROVEN_BYTES / MAX_FRAME_BYTES }, () => to.reader());
  const heard = strangers.map((reader) => said(reader.push(beginning)));
  const kept = heard.filter((reasons) => reasons.length === 0).length;
  assert.deepEqual([kept, heard.at(-1)], [MAX_UNPROVEN_BYTES / MAX_FRAME_BYTES - 1, ["source-budget"]]);
  assert.deepEqual(said(to.reader().push(from.writer().seal(bytesOf("hello")))), ["hello"]);
  strangers[0]!.close();
  assert.deepEqual(said(to.reader().push(beginning)), []);
});

test("whoever has shown the key may send frames in pieces whatever strangers do", () => {
  const [from, to] = [alice(), bob()];
  const [writer, reader] = [from.writer(), to.reader()];
  reader.push(writer.seal(bytesOf("hello")));
  const long = from.writer().seal(new Uint8Array(MAX_FRAME_BODY_BYTES));
  for (let at = 0; at < 20; at++) to.reader().push(long.subarray(0, -1));
  const next = writer.seal(new Uint8Array(100_000));
  assert.deepEqual(said(reader.push(next.subarray(0, 50_000))), []);
  assert.equal(reader.push(next.subarray(50_000))[0]?.ok, true);
});
