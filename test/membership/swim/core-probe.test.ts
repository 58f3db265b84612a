import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs, NodeId } from "#kernel";
import type { MemberRecord, SwimOptions } from "#membership/core";
import { ProbeNumber } from "../../../src/membership/core/swim/message.ts";
import { messagesOf, NodeUnderTest, peerAddress, record } from "./fake-peers.ts";

const T = 750;

test("a ping is acked to where it came from, with the address it came from", () => {
  const node = nodeKnowing("a");
  node.hear("a", [{ kind: "ping", probe: ProbeNumber(7), target: node.self.id }]);
  const [ack] = messagesOf(node.sent(), "ack");
  assert.deepEqual(ack, { to: peerAddress("a"), message: { kind: "ack", probe: 7, observed: peerAddress("a") } });
});

test("a ping for another name is not answered: the address has changed hands", () => {
  const node = nodeKnowing("a");
  node.hear("a", [{ kind: "ping", probe: ProbeNumber(7), target: NodeId("former") }]);
  assert.deepEqual(node.sent(), []);
  assert.deepEqual(
    node.events().filter(({ kind }) => kind === "rejected"),
    [{ kind: "rejected", reason: "wrong-target", from: peerAddress("a") }],
  );
});

test("a member that does not answer is asked for through three others, then suspected, at the end of the period", () => {
  const node = nodeKnowing("abcde");
  const { probe, target } = nextPing(node);
  node.run(350);
  const requests = messagesOf(node.sent(), "ping-request");
  assert.equal(requests.length, 3);
  for (const { to, message } of requests) {
    assert.equal(message.probe, probe);
    assert.equal(message.target, target);
    assert.notEqual(to, peerAddress(target));
  }
  assert.equal(node.held(target)?.state, "alive");
  node.run(400);
  assert.equal(node.held(target)?.state, "suspect");
  assert.equal(node.held(target)?.accuser, "own");
});

test("a member that moved while it was probed is not suspected for its silence at the old address", () => {
  const node = nodeKnowing("abcde");
  const { target } = nextPing(node);
  node.run(350);
  const moved = { ...record(target, "alive", 1), addresses: [peerAddress("z")] };
  node.hearOf(target === "a" ? "b" : "a", moved);
  node.run(400);
  assert.equal(node.held(target)?.state, "alive");
});

test("a member that spoke anew while it was probed, and died of it, is suspected by the next probe, under its new incarnation", () => {
  const node = nodeKnowing("a", { streamProbe: false, awarenessMax: 0 });
  for (let counter = 1; counter <= 5; counter++) {
    nextPing(node);
    node.hearOf("b", record("a", "alive", counter));
  }
  node.run(T - 1);
  assert.equal(node.held("a")?.state, "alive");
  node.run(T + 1);
  assert.equal(node.held("a")?.state, "suspect");
  assert.equal(node.held("a")?.incarnation.counter, 5);
});

test("an ack by way of another is as good as a direct one", () => {
  const node = nodeKnowing("abcde");
  const { probe, target } = nextPing(node);
  node.run(350);
  const [request] = messagesOf(node.sent(), "ping-request");
  const helper = String.fromCharCode(Number(request!.to.split(".")[3]!.split(":")[0]));
  node.hear(helper, [{ kind: "indirect-ack", probe: ProbeNumber(probe), target: NodeId(target) }]);
  node.run(400);
  assert.equal(node.held(target)?.state, "alive");
});

test("helpers that report silence clear the node of doubt about itself; helpers that do not report raise it", () => {
  const reported = nodeKnowing("abcde");
  failProbe(reported, true);
  assert.equal(reported.core.view(reported.now as never).healthMultiplier, 1);
  const silent = nodeKnowing("abcde");
  failProbe(silent, false);
  assert.equal(silent.core.view(silent.now as never).healthMultiplier, 4);
});

test("a node in doubt about itself stretches its period and its patience alike", () => {
  const node = nodeKnowing("abcde", { indirectProbes: 1, streamProbe: false });
  nextPing(node);
  node.run(T - 1);
  node.sent();
  node.run(1);
  assert.equal(messagesOf(node.sent(), "ping").length, 1, "the period that had begun ran as it was; its helper kept silent");
  node.run(2 * 350 - 1);
  assert.deepEqual(messagesOf(node.sent(), "ping-request"), []);
  node.run(1);
  assert.equal(messagesOf(node.sent(), "ping-request").length, 1);
  node.run(2 * T - 2 * 350 - 1);
  assert.deepEqual(messagesOf(node.sent(), "ping"), []);
  node.run(1);
  assert.equal(messagesOf(node.sent(), "ping").length, 1);
});

test("a helper pings for another, passes the ack on, and otherwise reports at four fifths of the time", () => {
  const node = nodeKnowing("ab");
  settle(node);
  const request = { kind: "ping-request", probe: ProbeNumber(9), target: NodeId("b"), addresses: [], timeoutMs: 500 } as const;
  node.hear("a", [request]);
  const ping = messagesOf(node.sent(), "ping").find(({ to }) => to === peerAddress("b"))!;
  node.hear("b", [{ kind: "ack", probe: ping.message.probe, observed: null }]);
  assert.deepEqual(messagesOf(node.sent(), "indirect-ack"), [
    { to: peerAddress("a"), message: { kind: "indirect-ack", probe: 9, target: "b" } },
  ]);
  node.hear("a", [{ ...request, probe: ProbeNumber(10) }]);
  node.run(399);
  assert.deepEqual(messagesOf(node.sent(), "nack"), []);
  node.run(1);
  assert.deepEqual(messagesOf(node.sent(), "nack"), [
    { to: peerAddress("a"), message: { kind: "nack", probe: 10, target: "b" } },
  ]);
});

test("a member that asks to be pinged itself is pinged by a stranger: its NAT is open for whom it asked", () => {
  const node = nodeKnowing("ab");
  settle(node);
  const request = { kind: "ping-request", probe: ProbeNumber(9), target: NodeId("a"), addresses: [], timeoutMs: 500 } as const;
  node.hear("a", [request]);
  const sent = node.sent();
  assert.deepEqual(messagesOf(sent, "ping"), []);
  assert.deepEqual(messagesOf(sent, "ping-request"), [{ to: peerAddress("b"), message: request }]);
});

test("a suspect is told in the very ping that it is one", () => {
  const node = nodeKnowing("a");
  settle(node);
  node.hearOf("c", record("a", "suspect", 0, { accuser: "c" }));
  node.run(3_000);
  const pings = node.sent().filter(({ to, messages }) => to === peerAddress("a") && messages.some(({ kind }) => kind === "ping"));
  assert.ok(pings.length > 0);
  for (const { messages } of pings) {
    assert.ok(messages.some((message) => message.kind === "member" && message.record.state === "suspect"));
  }
});

test("after a stall a verdict waits until the sockets were read: the ack in the buffer counts", () => {
  const node = nodeKnowing("abcde");
  const { probe, target } = nextPing(node);
  node.run(360);
  node.stall(700);
  node.wake();
  assert.equal(node.held(target)?.state, "alive");
  assert.ok(node.core.nextDeadline! <= node.now, "it is due again at once");
  node.hear(target, [{ kind: "ack", probe: ProbeNumber(probe), observed: null }]);
  node.wake();
  assert.equal(node.held(target)?.state, "alive");
});

test("a node that slept until the period was over asks nobody in no time, accuses nobody, and misses no reports", () => {
  const node = nodeKnowing("abcde");
  const { target } = nextPing(node);
  node.stall(2 * T);
  node.wake();
  // Put off once, until the sockets were read.
  node.wake();
  assert.deepEqual([messagesOf(node.sent(), "ping-request"), node.dialled], [[], []]);
  assert.equal(node.held(target)?.state, "alive");
  assert.equal(node.core.view(MonotonicMs(node.now)).healthMultiplier, 2, "for the lag alone");
});

test("a verdict is put off once: on a machine that always comes late members are probed and declared dead all the same", () => {
  for (const lateMs of [60, 1_000]) {
    const node = nodeKnowing("a");
    for (let turn = 0; turn < 2_000; turn++) {
      node.stall(lateMs);
      node.wake();
    }
    assert.equal(node.held("a")?.state, "dead", `${lateMs} ms`);
  }
});

test("a suspicion does not run out while the node that holds it stands still", () => {
  const node = nodeKnowing("abcde");
  node.hearOf("b", record("a", "suspect", 0, { accuser: "b" }));
  node.run(100);
  node.stall(60_000);
  node.wake();
  node.wake();
  node.run(1_000);
  assert.equal(node.held("a")?.state, "suspect");
});

test("confirmations by others shorten a suspicion to its least; the accuser's own repetition does not", () => {
  const [alone, confirmed] = [nodeKnowing("abcdef"), nodeKnowing("abcdef")];
  for (const node of [alone, confirmed]) node.hearOf("b", record("a", "suspect", 0, { accuser: "b" }));
  for (const accuser of ["c", "d"]) {
    alone.hearOf(accuser, record("a", "suspect", 0, { accuser: "b" }));
    confirmed.hearOf(accuser, record("a", "suspect", 0, { accuser }));
  }
  for (const node of [alone, confirmed]) node.run(3_100);
  assert.equal(confirmed.held("a")?.state, "dead");
  assert.equal(alone.held("a")?.state, "suspect");
});

test("nobody is declared dead by a node that has not just asked it: a refutation that passed it by comes with the answer", () => {
  const [silent, alive] = [nodeKnowing("abcdef"), nodeKnowing("abcdef")];
  for (const node of [silent, alive]) {
    for (const accuser of ["b", "c", "d"]) node.hearOf(accuser, record("a", "suspect", 0, { accuser }));
    node.run(2_600);
    node.sent();
    node.run(100);
    const asked = node
      .sent()
      .filter(({ to, messages }) => to === peerAddress("a") && messages.some(({ kind }) => kind === "ping"));
    assert.equal(asked.length, 1);
    assert.deepEqual(
      asked[0]!.messages.slice(0, 2).map(({ kind }) => kind),
      ["member", "ping"],
      "the accusation first, so that the ack can refute it",
    );
  }
  alive.hearOf("a", record("a", "alive", 1));
  for (const node of [silent, alive]) node.run(400);
  assert.equal(silent.held("a")?.state, "dead");
  assert.equal(alive.held("a")?.state, "alive");
});

test("whoever is accused in a ping answers with what overrules it, however long ago it said so to others", () => {
  const node = nodeKnowing("abc");
  node.hear("a", [{ kind: "member", record: record("own", "suspect", 0, { accuser: "a", epoch: 1 }) }]);
  settle(node);
  node.run(20_000);
  node.sent();
  node.hear("b", [
    { kind: "member", record: record("own", "suspect", 0, { accuser: "a", epoch: 1 }) },
    { kind: "ping", probe: ProbeNumber(7), target: NodeId("own") },
  ]);
  const [answer] = node.sent().filter(({ messages }) => messages.some(({ kind }) => kind === "ack"));
  assert.equal(answer?.to, peerAddress("b"));
  const own = answer?.messages.find((message) => message.kind === "member" && message.record.id === "own");
  assert.ok(own?.kind === "member" && own.record.state === "alive" && own.record.incarnation.counter === 1);
});

test("a confirmation that puts a verdict into the past is no stall of this node: other verdicts stay where they were", () => {
  const diedAt = (confirmedLate: boolean): number => {
    const node = nodeKnowing("abcdefgh", { awarenessMax: 0 });
    node.hearOf("b", record("a", "suspect", 0, { accuser: "b" }));
    node.run(5_000);
    for (const accuser of ["b", "c", "d"]) node.hearOf(accuser, record("h", "suspect", 0, { accuser }));
    node.run(1_000);
    for (const accuser of confirmedLate ? ["c", "d"] : []) {
      node.hearOf(accuser, record("a", "suspect", 0, { accuser }));
      assert.ok(node.core.nextDeadline! >= node.now, "no timer stands in the past");
      node.wake();
    }
    while (node.held("h")?.state !== "dead" && node.now < 60_000) node.run(10);
    return node.now;
  };
  assert.equal(diedAt(true), diedAt(false));
});

test("questions to suspects carry no gossip: they may be dead, and what they are told would count as told", () => {
  const peers = "abcdefghijklmnopqrstuvwxyzABCDEFGH";
  const node = nodeKnowing(peers, { awarenessMax: 0, suspicionConfirmations: 0 });
  node.run(3_000);
  const suspects = peers.slice(0, 12);
  for (const suspect of suspects) node.hearOf("H", record(suspect, "suspect", 0, { accuser: "H" }));
  node.run(3_500);
  node.sent();
  node.hear("G", [{ kind: "member", record: record("F", "alive", 1) }]);
  node.run(1_500);
  const addresses = new Set(Array.from(suspects, peerAddress));
  const asked = node.sent().filter(({ to, messages }) => addresses.has(to) && messages.some(({ kind }) => kind === "ping"));
  assert.ok(asked.length >= 12);
  for (const { messages } of asked) assert.deepEqual(messages.map(({ kind }) => kind).slice(0, 3), ["member", "ping"]);
});

test("the last questions of many suspicions that began together do not go out together", () => {
  const peers = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  const node = nodeKnowing(peers, { awarenessMax: 0, suspicionConfirmations: 0 });
  for (const peer of peers.slice(0, 50)) node.hearOf("9", record(peer, "suspect", 0, { accuser: "9" }));
  let most = 0;
  for (let step = 0; step < 3_000; step++) {
    node.run(2);
    most = Math.max(most, node.sent().length);
  }
  assert.equal(node.held("a")?.state, "dead");
  assert.ok(most <= 15, `${most} datagrams in 2 ms`);
});

/** A node that has just met the peers of these one-letter names. */
function nodeKnowing(peers: string, options: Partial<SwimOptions> = {}): NodeUnderTest {
  const node = new NodeUnderTest(options);
  for (const peer of peers) node.hearOf(peer, record(peer, "alive", 0));
  node.sent();
  node.events();
  return node;
}

/** Runs to the beginning of the next probe. */
function nextPing(node: NodeUnderTest): { readonly probe: number; readonly target: string } {
  for (let waited = 0; waited < 4 * T; waited++) {
    node.run(1);
    const [ping] = messagesOf(node.sent(), "ping");
    if (ping !== undefined) return { probe: ping.message.probe, target: ping.message.target };
  }
  throw new Error("no ping in four periods");
}

/** One probe that fails, its helpers reporting or not. */
function failProbe(node: NodeUnderTest, reports: boolean): void {
  const { probe, target } = nextPing(node);
  node.run(350);
  for (const { to } of messagesOf(node.sent(), "ping-request")) {
    const helper = String.fromCharCode(Number(to.split(".")[3]!.split(":")[0]));
    if (reports) node.hear(helper, [{ kind: "nack", probe: ProbeNumber(probe), target: NodeId(target) }]);
  }
  node.run(400);
}

/** Until no gossip is left to be sent. */
function settle(node: NodeUnderTest): void {
  node.run(2_000);
  node.sent();
}

test("a record that is longer than our datagrams is kept, and gossip of it rests: whoever sees another digest gets it by a stream", () => {
  const node = nodeKnowing("b", { datagramBytes: 576 });
  settle(node);
  node.hearOf("b", lengthy(record("x", "suspect", 0, { accuser: "b" })));
  assert.equal(node.held("x")?.state, "suspect");
  assert.ok(node.events().some(({ kind }) => kind === "self-healed"));
  node.run(T);
  const idle = node.sent().filter(({ messages }) => messages.length === 0);
  assert.deepEqual(idle, [], "no ticks that tell nothing");
  assert.ok(node.core.nextDeadline !== null);
});

test("a suspect whose record is too long to stand beside a ping of ours is pinged without it", () => {
  const node = nodeKnowing("b", { datagramBytes: 576 });
  settle(node);
  node.hearOf("c", lengthy(record("b", "suspect", 0, { accuser: "c" })));
  node.sent();
  node.run(2 * T);
  assert.ok(messagesOf(node.sent(), "ping").some(({ message }) => message.target === NodeId("b")));
});

/** As long as a record may become. */
function lengthy(of: MemberRecord): MemberRecord {
  const capabilities = Array.from({ length: 12 }, (_, index) => String.fromCharCode(97 + index).repeat(38));
  return { ...of, addresses: Array.from("abcdefgh", peerAddress), metadata: { ...of.metadata, capabilities } };
}
