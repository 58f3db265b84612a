import assert from "node:assert/strict";
import { test } from "node:test";
import { type ClusterTimeMs, type LogIndex, NodeId, type Term, type WallTimeMs, seededRandom } from "#kernel";
import type { Entry, Message } from "#raft";
import { PeerFrame } from "#gen/ringraft/peer/v1/raft.js";
import { encodeMessage, encodePeerFrame, raftMessageToProto } from "#codec";

const random = seededRandom(8772);
const int = (most: number): number => Math.floor(random() * (most + 1));
const index = (most = 2 ** 40): LogIndex => int(most) as LogIndex;
const [from, to] = [NodeId("n1"), NodeId("n2")];

function entry(): Entry {
  return {
    term: int(2 ** 33) as Term,
    index: index(),
    kind: random() < 0.9 ? "command" : "leader",
    clusterTimeMs: int(2 ** 41) as ClusterTimeMs,
    wallTimeMs: int(2 ** 41) as WallTimeMs,
    data: Uint8Array.from({ length: int(random() < 0.1 ? 20_000 : 300) }, () => int(255)),
  };
}

function append(entries: readonly Entry[]): Message {
  const [prevIndex, commitIndex] = random() < 0.2 ? [0 as LogIndex, 0 as LogIndex] : [index(), index()];
  return { kind: "append", from, to, term: int(9) as Term, prevIndex, prevTerm: int(9) as Term, entries, commitIndex };
}

const generated = (messages: readonly Message[]): Buffer =>
  Buffer.from(encodeMessage(PeerFrame, { messages: messages.map(raftMessageToProto) }));

test("a frame written by hand is byte for byte that of the generated code", () => {
  for (let i = 0; i < 200; i++) {
    const messages = Array.from({ length: int(4) }, (): Message => {
      if (random() < 0.7) return append(Array.from({ length: int(12) }, entry));
      return { kind: "heartbeat", from, to, term: 3 as Term, commitIndex: index(), readRound: int(5) };
    });
    assert.deepEqual(encodePeerFrame({ messages }), generated(messages));
  }
});

test("entries that go to two followers are the same bytes for both, whatever else the messages say", () => {
  for (let i = 0; i < 50; i++) {
    const entries = Array.from({ length: 1 + int(9) }, entry);
    const first = append(entries);
    const heartbeat: Message = { kind: "heartbeat", from, to, term: 3 as Term, commitIndex: index(), readRound: 0 };
    for (const messages of [[first], [append(entries)], [append(entries), heartbeat], [heartbeat, append(entries)], [first]]) {
      assert.deepEqual(encodePeerFrame({ messages }), generated(messages));
    }
  }
});

test("the frame of a handshake carries the hello", () => {
  const hello = {
    clusterId: "c",
    nodeId: "n1",
    peerId: "n2",
    protocolVersion: 1,
    incarnation: 7,
    directoryId: "d",
    starts: 3,
    admission: 9,
    lastIndex: 12,
    peerAddress: "h:1",
  };
  assert.deepEqual(encodePeerFrame({ hello, messages: [] }), Buffer.from(encodeMessage(PeerFrame, { hello, messages: [] })));
});
