import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs, NodeId } from "#kernel";
import { Digest, profileHashOf } from "#membership/core";
import { nodeAead } from "../../../src/host/aead.ts";
// A stranger's stream is made by hand, so the inside of the room is needed.
import { Keyring } from "../../../src/membership/core/swim/keyring.ts";
import { type Message, ProbeNumber } from "../../../src/membership/core/swim/message.ts";
import { StreamId } from "../../../src/membership/core/swim/types.ts";
import { Wire } from "../../../src/membership/core/swim/wire.ts";
import { KEY, LABEL, NodeUnderTest, peerAddress, record } from "./fake-peers.ts";

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

test("a first frame of nearly 1 MiB gets the time that it needs on a slow link", () => {
  const node = new NodeUnderTest();
  const records = Array.from({ length: 18_000 }, (_, at) => record(`member-${at}`, "alive", 1));
  const frame = firstFrame(node, MEMBER, [{ kind: "push-pull", reply: false, joining: false, more: false, records }]);
  assert.ok(frame.length > 600_000, `${frame.length} bytes`);
  // 1 Mbit/s: 125 bytes in a millisecond.
  assert.equal(closedAfter(node, frame, 125), null);
  assert.equal(node.core.view(MonotonicMs(node.now)).members.length, 18_001);
});

test("a stranger that drips is cut off: after 2 s, or 2 s after it has begun to; and none stays longer than a member may", () => {
  const { streamTimeoutMs } = new NodeUnderTest().options;
  // The head of a frame of 1 MiB, which is never completed.
  const head = firstFrame(new NodeUnderTest(), MEMBER).slice(0, 24);
  head.set([0, 16, 0, 0]);
  const endless = new Uint8Array(4_000_000);
  endless.set(head);
  assert.equal(closedAfter(new NodeUnderTest(), endless, 0.001), 2_000, "one byte in a second");
  assert.equal(closedAfter(new NodeUnderTest(), endless, 30), 2_000, "somewhat too slow");
  assert.equal(
    closedAfter(new NodeUnderTest(), endless, (ms) => (ms < 1_000 ? 70 : 0.001)),
    4_000,
    "a start, and then drops",
  );
  assert.equal(closedAfter(new NodeUnderTest(), endless, 40), streamTimeoutMs, "for ever");
});

test("a relay that stood still for a moment answers each of its clients: none need take another relay", () => {
  const node = new NodeUnderTest();
  const clients = Array.from("abcdefghijklmnopqrst", (peer, index) => ({
    stream: StreamId(2 * index + 2),
    say: speaker(node, peer),
  }));
  for (const { stream, say } of clients) {
    node.core.handleStreamOpened(MonotonicMs(0), stream, peerAddress("a"));
    node.core.handleStreamBytes(MonotonicMs(0), stream, say(stream, [{ kind: "relay-request" }]));
  }
  node.run(740);
  node.stall(1_600);
  const now = MonotonicMs(node.now);
  const ping = { kind: "ping", probe: ProbeNumber(1), target: NodeId("own") } as const;
  for (const { stream, say } of [...clients, ...clients]) node.core.handleStreamBytes(now, stream, say(stream, [ping]));
  const answered = new Set(node.core.takeTransmissions().flatMap((done) => (done.kind === "stream-bytes" ? [done.stream] : [])));
  assert.equal(answered.size, clients.length);
});

const MEMBER = StreamId(4);

/** When the node hangs up on a stream that brings so many bytes in a millisecond, piece by piece; null when it has all of them. */
function closedAfter(node: NodeUnderTest, bytes: Uint8Array, rate: number | ((ms: number) => number)): number | null {
  node.core.handleStreamOpened(MonotonicMs(0), MEMBER, peerAddress("a"));
  const STEP_MS = 10;
  let come = 0;
  for (let ms = STEP_MS; come < bytes.length; ms += STEP_MS) {
    const before = Math.floor(come);
    come = Math.min(bytes.length, come + STEP_MS * (typeof rate === "number" ? rate : rate(ms)));
    if (Math.floor(come) > before) {
      node.core.handleStreamBytes(MonotonicMs(ms), MEMBER, bytes.subarray(before, Math.floor(come)));
    }
    node.now = ms;
    node.core.handleTimeout(MonotonicMs(ms));
    if (
      node.core
        .takeTransmissions()
        .some(({ kind, ...done }) => kind === "close-stream" && "stream" in done && done.stream === MEMBER)
    )
      return ms;
  }
  return null;
}

function firstFrame(node: NodeUnderTest, stream: StreamId, messages: readonly Message[] = []): Uint8Array {
  return speaker(node, "a")(stream, messages);
}

/** Seals one frame after the other, as the peer would. */
function speaker({ options }: NodeUnderTest, peer: string): (stream: StreamId, messages: readonly Message[]) => Uint8Array {
  const keyring = Keyring.of(nodeAead, [KEY]);
  assert.ok(keyring.ok);
  const wire = new Wire({ label: LABEL, keyring: keyring.value, aead: nodeAead }, options);
  const incarnation = { epoch: 1, counter: 0 };
  const head = { sender: NodeId(peer), incarnation, digest: Digest(0), profile: profileHashOf(options) };
  return (stream, messages) => wire.frame(stream, { ...head, messages });
}
