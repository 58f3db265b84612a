import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "#kernel";
import { ClientFrame, Request } from "#gen/ringraft/v1/stream.js";
import { decodeClientFrame, decodeMessage, decodeRequest, encodeMessage } from "#codec";

const random = seededRandom(8773);
const int = (most: number): number => Math.floor(random() * (most + 1));

function request(): Request {
  const [id, timeoutMs, brief] = [int(2 ** 32 - 1), int(1) * int(60_000), random() < 0.5];
  if (random() < 0.2) return { id, timeoutMs, brief, body: { oneofKind: "cancelId", cancelId: int(9) } };
  if (random() < 0.1) return { id, timeoutMs, brief, body: { oneofKind: "getWork", getWork: { workId: "w" } } };
  return { id, timeoutMs, brief, body: { oneofKind: "command", command: Uint8Array.from({ length: int(300) }, () => int(255)) } };
}

test("requests read by hand are those that the generated code reads", () => {
  for (let i = 0; i < 300; i++) {
    const bytes = encodeMessage(ClientFrame, { requests: Array.from({ length: int(6) }, request) });
    const expected = decodeMessage(ClientFrame, bytes).requests.map((one) => ({ ok: true, request: one }));
    assert.equal(JSON.stringify(decodeClientFrame(bytes)), JSON.stringify(expected));
  }
});

test("a damaged request is read by hand only when the generated code reads the same", () => {
  for (let i = 0; i < 3_000; i++) {
    const damaged = Uint8Array.from(encodeMessage(Request, request()));
    damaged[int(Math.min(12, damaged.length - 1))] = int(255);
    const head = damaged.length < 128 ? [0x0a, damaged.length] : [0x0a, (damaged.length & 0x7f) | 0x80, damaged.length >>> 7];
    const [received, ...more] = decodeClientFrame(Uint8Array.from([...head, ...damaged]));
    assert.equal(more.length, 0);
    const known = generated(damaged);
    if (known === null) assert.equal(received!.ok, false);
    else assert.deepEqual(received!.ok && JSON.stringify(received!.request), JSON.stringify(known));
  }
});

/** Null where the whole request is refused. */
function generated(bytes: Uint8Array): Request | null {
  try {
    const known = decodeRequest(Request, bytes);
    return known.body.oneofKind === undefined ? null : known;
  } catch {
    return null;
  }
}
