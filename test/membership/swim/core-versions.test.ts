import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs } from "#kernel";
import { nodeAead } from "../../../src/host/aead.ts";
// What a newer version would write is made by hand, so the inside of the room is needed.
import { ByteReader } from "../../../src/membership/core/swim/byte-reader.ts";
import { encodePacket } from "../../../src/membership/core/swim/codec.ts";
import { Keyring } from "../../../src/membership/core/swim/keyring.ts";
import { readRecord, recordBytes } from "../../../src/membership/core/swim/record-codec.ts";
import { DatagramSealing } from "../../../src/membership/core/swim/sealing.ts";
import type { MemberRecord } from "../../../src/membership/core/swim/types.ts";
import { KEY, LABEL, messagesOf, NodeUnderTest, peerAddress, record } from "./fake-peers.ts";
import { packet } from "./wire-samples.ts";

test("a member of a newer version is taken, kept, and told of with the very bytes that came", () => {
  const node = new NodeUnderTest();
  node.hearOf("a", record("a", "alive", 1));
  const newer = withTail(record("x", "alive", 1), [1, 2, 3]);
  node.hearOf("a", newer);
  assert.equal(node.held("x")?.state, "alive");
  node.run(2_000);
  const told = messagesOf(node.sent(), "member").filter(
    ({ message }) => message.record.id === "x" && message.record.state === "alive",
  );
  assert.ok(told.length > 0);
  for (const { message } of told) assert.deepEqual(recordBytes(message.record), recordBytes(newer));
});

test("a packet with a message of a newer version is read for the rest, and the message is counted", () => {
  const node = new NodeUnderTest();
  const made = Keyring.of(nodeAead, [KEY]);
  assert.ok(made.ok);
  const sealing = new DatagramSealing({ label: LABEL, keyring: made.value, aead: nodeAead }, node.options);
  const body = Uint8Array.of(...encodePacket(packet([{ kind: "member", record: record("x", "alive", 1) }])), 200, 1, 9);
  node.core.handleDatagram(MonotonicMs(0), peerAddress("a"), sealing.seal(body));
  assert.equal(node.held("x")?.state, "alive");
  assert.equal(node.core.view(MonotonicMs(0)).counters.unknownMessages, 1);
});

function withTail(known: MemberRecord, tail: readonly number[]): MemberRecord {
  const bytes = recordBytes(known);
  return readRecord(new ByteReader(Uint8Array.of(bytes.length + tail.length, ...bytes, ...tail)));
}
