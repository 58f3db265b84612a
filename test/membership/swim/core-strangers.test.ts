import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs, NodeId } from "#kernel";
import { Digest, profileHashOf } from "#membership/core";
import { nodeAead } from "../../../src/host/aead.ts";
// A stranger's stream is made by hand, so the inside of the room is needed.
import { Keyring } from "../../../src/membership/core/swim/keyring.ts";
import { StreamId } from "../../../src/membership/core/swim/types.ts";
import { Wire } from "../../../src/membership/core/swim/wire.ts";
import { KEY, LABEL, NodeUnderTest, peerAddress } from "./fake-peers.ts";

test("whoever opens a stream shows the key within 2 s or is closed; a member gets its whole time", () => {
  const node = new NodeUnderTest();
  const [stranger, member] = [StreamId(2), StreamId(4)];
  node.core.handleStreamOpened(MonotonicMs(0), stranger, peerAddress("s"));
  node.core.handleStreamOpened(MonotonicMs(0), member, peerAddress("a"));
  node.core.handleStreamBytes(MonotonicMs(0), member, firstFrame(node, member));
  const closedAt = new Map<StreamId, number>();
  while (node.now < 20_000) {
    node.now = node.core.nextDeadline ?? 20_000;
    node.core.handleTimeout(MonotonicMs(node.now));
    for (const done of node.core.takeTransmissions()) if (done.kind === "close-stream") closedAt.set(done.stream, node.now);
  }
  assert.deepEqual([closedAt.get(stranger), closedAt.get(member)], [2_000, node.options.streamTimeoutMs]);
});

function firstFrame({ options }: NodeUnderTest, stream: StreamId): Uint8Array {
  const keyring = Keyring.of(nodeAead, [KEY]);
  assert.ok(keyring.ok);
  const wire = new Wire({ label: LABEL, keyring: keyring.value, aead: nodeAead }, options);
  const incarnation = { epoch: 1, counter: 0 };
  return wire.frame(stream, {
    sender: NodeId("a"),
    incarnation,
    digest: Digest(0),
    profile: profileHashOf(options),
    messages: [],
  });
}
