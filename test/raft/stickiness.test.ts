import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Term } from "#kernel";
import { id, Network } from "./network.ts";
import { leader, quiet, requestVote } from "./roles.ts";

describe("PreVote, CheckQuorum and stickiness", () => {
  test("dueling candidates: the one with the shorter log disrupts, but never leads (etcd DuelingCandidates)", () => {
    const net = Network.of(3, quiet);
    net.cut(1, 3);
    net.campaign(1);
    net.campaign(3);
    assert.deepEqual([net.node(1).role, net.node(3).role], ["leader", "candidate"]);
    net.heal();
    net.campaign(3);
    assert.deepEqual(
      [1, 2, 3].map((n) => [net.node(n).role, net.node(n).term, net.node(n).last]),
      [
        ["follower", 2, 1],
        ["follower", 2, 1],
        ["follower", 2, 0],
      ],
    );
  });

  test("§9.6 dueling pre-candidates: the leader is not disturbed", () => {
    const net = Network.of(3, { preVote: true, checkQuorum: false });
    net.cut(1, 3);
    net.campaign(1);
    net.campaign(3);
    net.heal();
    net.campaign(3);
    assert.deepEqual(
      [1, 2, 3].map((n) => [net.node(n).role, net.node(n).term]),
      [
        ["leader", 1],
        ["follower", 1],
        ["follower", 1],
      ],
    );
    assert.ok(net.node(3).marks.includes("election lost"));
  });

  test("§6 a leader that hears a quorum stays; one that does not steps down after an election timeout", () => {
    const heard = leader(3, [], 0, { preVote: false, checkQuorum: true });
    const unheard = leader(3, [], 0, { preVote: false, checkQuorum: true });
    for (let i = 0; i < 11; i++) {
      heard.tick();
      heard.receive({ kind: "heartbeatReply", from: id(2), to: id(1), term: Term(1), readRound: 0, suspect: false, leaseMs: 0 });
      unheard.tick();
    }
    assert.equal(heard.role, "leader");
    assert.equal(unheard.role, "follower");
    assert.ok(unheard.marks.includes("checkQuorum: stepped down"));
  });

  test("§6 while its leader is alive a follower gives its vote and pre-vote to nobody, and enters no later term", () => {
    const net = Network.of(3);
    net.campaign(1);
    const follower = net.node(2);
    for (const kind of ["preVote", "requestVote"] as const) {
      follower.receive({ ...requestVote(3, 9, 100, 9, kind), to: id(2) });
      follower.settle();
    }
    assert.equal(follower.term, 1);
    assert.deepEqual(follower.takeSent(), []);
    assert.equal(follower.marks.filter((mark) => mark === "vote refused: live leader").length, 2);
  });

  test("§6 once the leader is silent for an election timeout, another node can win", () => {
    const net = Network.of(3);
    net.campaign(1);
    net.isolate(1);
    net.tick(25);
    const winner = [2, 3].map((n) => net.node(n)).find((node) => node.role === "leader");
    assert.ok(winner !== undefined && winner.term > 1);
    assert.equal(net.node(1).role, "follower");
  });

  test("CheckQuorum without PreVote: a follower that was away forces the leader down by its later term (etcd DisruptiveFollower)", () => {
    const net = Network.of(3, { preVote: false, checkQuorum: true });
    net.campaign(1);
    net.isolate(3);
    net.campaign(3);
    net.heal();
    net.tick();
    assert.equal(net.node(1).role, "follower");
    assert.ok(net.node(1).marks.includes("stepped down: later term"));
  });

  test("PreVote: a follower that was away and missed entries comes back without an election (etcd DisruptiveFollowerPreVote)", () => {
    const net = Network.of(3);
    net.campaign(1);
    net.isolate(3);
    net.propose(1, "a", "b", "c");
    net.tick(60);
    net.heal();
    net.tick(3);
    assert.deepEqual(
      [1, 2, 3].map((n) => [net.node(n).role, net.node(n).term, net.node(n).commit]),
      [
        ["leader", 1, 4],
        ["follower", 1, 4],
        ["follower", 1, 4],
      ],
    );
  });

  test("one-way isolation: a leader that can send but not hear steps down, and the others go on", () => {
    const net = Network.of(3);
    net.campaign(1);
    net.drop = (message) => message.to === id(1);
    net.tick(60);
    assert.notEqual(net.node(1).role, "leader");
    assert.equal(net.leaders().length, 1);
  });

  test("one healthy run has one election", () => {
    const net = Network.of(5);
    for (let i = 0; i < 300; i++) net.tick();
    const [first] = net.leaders();
    assert.ok(first !== undefined);
    const terms = new Set([...net.nodes.values()].map((node) => node.term));
    assert.deepEqual([...terms], [first.term]);
    const term = first.term;
    net.tick(500);
    assert.equal(first.role, "leader");
    assert.equal(first.term, term);
  });
});
