import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "#kernel";
import { type Response, ServerFrame } from "#gen/ringraft/v1/stream.js";
import {
  WireError,
  decodeMessage,
  decodeServerFrame,
  encodeMessage,
  encodeServerFrame,
  replyToProto,
  workBriefFromProto,
  workBriefToProto,
} from "#codec";
import { Samples } from "./samples.ts";

const random = seededRandom(26);
const samples = new Samples(random);

function response(): Response {
  const [id, revision] = [samples.int(0xffff_ffff), samples.flag() ? samples.int(2 ** 52) : 0];
  if (random() < 0.2) return { id, revision, body: replyToProto({ kind: "none" }) };
  const item = samples.workItem();
  const body =
    random() < 0.6 ? workBriefToProto(item, samples.flag()) : replyToProto({ kind: "work", item, deduplicated: false });
  return { id, revision, body };
}

test("answers written and read by hand are byte for byte and value for value those of the generated code", () => {
  for (let i = 0; i < 300; i++) {
    const responses = Array.from({ length: samples.int(5) }, response);
    const byHand = encodeServerFrame(responses);
    assert.deepEqual(Buffer.from(byHand), Buffer.from(encodeMessage(ServerFrame, { responses })));
    const expected = decodeMessage(ServerFrame, byHand);
    assert.equal(JSON.stringify(decodeServerFrame(byHand)), JSON.stringify(expected));
  }
});

test("a brief answer of a newer version, with a field that is not known here, is read without it", () => {
  const newer = Buffer.from([0x0a, 0x0a, 0x08, 0x05, 0xd2, 0x01, 0x05, 0x0a, 0x01, 0x77, 0x38, 0x01]);
  const { responses } = decodeServerFrame(newer);
  assert.equal(responses.length, 1);
  assert.deepEqual([responses[0]!.id, responses[0]!.body.oneofKind], [5, "workBrief"]);
});

test("damaged frames are refused, whatever byte is hit", () => {
  const whole = encodeServerFrame(Array.from({ length: 3 }, response));
  for (let cut = 1; cut < whole.length; cut++) {
    try {
      const { responses } = decodeServerFrame(whole.subarray(0, cut));
      assert.ok(responses.length < 3);
    } catch (error) {
      assert.ok(error instanceof WireError);
    }
  }
});

test("a brief answer says what a worker must know of the item", () => {
  const item = samples.workItem();
  const body = workBriefToProto(item, true);
  assert.ok(body.oneofKind === "workBrief");
  assert.deepEqual(workBriefFromProto(body.workBrief), {
    workId: item.workId,
    state: item.state,
    cancelRequested: item.cancelRequested !== null,
    modRevision: item.modRevision,
    deduplicated: true,
  });
});
