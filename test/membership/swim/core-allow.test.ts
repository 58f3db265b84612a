import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs } from "#kernel";
import { Address, StreamId } from "#membership/core";
import { ProbeNumber } from "../../../src/membership/core/swim/message.ts";
import { NodeUnderTest, peerAddress, record } from "./fake-peers.ts";

const refusedBy = (node: NodeUnderTest): number => node.core.view(MonotonicMs(node.now)).counters.rejected["not-allowed"];

test("allow_cidrs: a datagram and a stream from elsewhere are refused, unanswered and counted, whoever seals them", () => {
  const node = new NodeUnderTest({}, 1, { ids: [], networks: ["10.0.1.96/29"] });
  node.hear("a", [{ kind: "ping", probe: ProbeNumber(1), target: node.self.id }]);
  assert.equal(node.sent().length, 1, "10.0.1.97 is inside");
  assert.equal(refusedBy(node), 0);

  const outside = "p"; // 10.0.1.112
  node.hear(outside, [{ kind: "ping", probe: ProbeNumber(1), target: node.self.id }]);
  assert.deepEqual([node.sent(), refusedBy(node)], [[], 1]);
  node.core.handleStreamOpened(MonotonicMs(node.now), StreamId(2), Address("10.0.1.112:40000"));
  assert.deepEqual(node.core.takeTransmissions(), [{ kind: "close-stream", stream: 2 }]);
  assert.equal(refusedBy(node), 2);
});

test("allow_cidrs: a member that gives an address elsewhere is not taken, from whomever one hears of it", () => {
  const node = new NodeUnderTest({}, 1, { ids: [], networks: ["10.0.1.96/29"] });
  const inside = record("b", "alive", 0);
  node.hearOf("a", { ...inside, addresses: [...inside.addresses, Address("192.0.2.1:8771")] });
  assert.deepEqual([node.held("b"), refusedBy(node)], [null, 1]);
  node.hearOf("a", inside);
  assert.deepEqual(node.held("b")?.addresses, [peerAddress("b")]);
});

test("I5, allow_ids: who is not named is no member, neither by its own word nor by another's, and each word is counted", () => {
  const node = new NodeUnderTest({}, 1, { ids: ["own", "a", "vast-*"], networks: [] });
  node.hear("b", [{ kind: "member", record: record("b", "alive", 0) }]);
  assert.deepEqual([node.held("b"), refusedBy(node)], [null, 1]);
  node.hearOf("a", record("2d9de0d97a72", "alive", 0));
  assert.deepEqual([node.held("2d9de0d97a72"), refusedBy(node)], [null, 2]);
  node.hearOf("a", record("vast-29118471", "alive", 0));
  assert.equal(node.held("vast-29118471")?.state, "alive");
});

test("allow_cidrs: who asks for a ping cannot have one sent elsewhere", () => {
  const node = new NodeUnderTest({}, 1, { ids: [], networks: ["10.0.1.96/29"] });
  const addresses = [peerAddress("b"), Address("192.0.2.1:8771")];
  const target = record("b", "alive", 0).id;
  node.hear("a", [{ kind: "ping-request", probe: ProbeNumber(9), target, addresses, timeoutMs: 500 }]);
  assert.deepEqual(
    node.sent().map(({ to }) => to),
    [peerAddress("b")],
  );
  assert.equal(refusedBy(node), 1);
});
