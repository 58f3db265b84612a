import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvariantError, LogIndex, Term } from "#kernel";
import { defaultRaftOptions, type RaftOptions, validateRaftOptions } from "#raft";
import { id, Network, stampAt, TestNode, voters } from "./network.ts";
import { requestVote } from "./roles.ts";

/** The test nodes tick every 100 ms, so the election timeout is 1,000 ms; a tenth of drift and two ticks less are 700. */
const LEASE_MS = 700;
const leased: Partial<RaftOptions> = { leaseReads: { leaseMs: LEASE_MS } };

/** A leader with a lease, on clocks that agree. */
function led(options: Partial<RaftOptions> = leased): Network {
  const net = Network.of(3, options);
  net.tick(12);
  net.campaign(1);
  net.tick(2);
  assert.equal(net.node(1).role, "leader");
  return net;
}

describe("lease reads (dissertation 6.4.1)", () => {
  test("a leader with a lease answers at once and asks nobody, with an index that covers all that is committed (etcd ReadOnlyOptionLease)", () => {
    const net = led();
    for (const [i, n] of [1, 2, 3, 1, 2, 3].entries()) {
      net.propose(1, ...Array.from({ length: 10 }, (_, k) => `w${k}`));
      const readId = net.node(n).read();
      if (n === 1) {
        net.node(1).takeSent();
        assert.ok(
          !net
            .node(1)
            .pump()
            .send.some((m) => m.kind === "heartbeat"),
        );
      } else net.settle();
      assert.deepEqual(net.node(n).readable.splice(0), [{ readId, index: 11 + 10 * i }]);
    }
    assert.ok(net.node(1).marks.includes("lease granted") && net.node(1).marks.includes("read by lease"));
  });

  test("options that ask for leases without checkQuorum are refused", () => {
    const options = { ...defaultRaftOptions, id: id(1), initialConfiguration: voters(3), ...leased };
    validateRaftOptions(options);
    assert.throws(() => validateRaftOptions({ ...options, checkQuorum: false }), InvariantError);
    assert.throws(() => validateRaftOptions({ ...options, leaseReads: { leaseMs: 0 } }), InvariantError);
    // It is compared with the promises of other voters, which cross the wire as whole numbers.
    assert.throws(() => validateRaftOptions({ ...options, leaseReads: { leaseMs: 799.5 } }), InvariantError);
  });

  test("the lease counts from when the heartbeats were sent, not from when their answers came", () => {
    const net = led();
    const leading = net.node(1);
    net.isolate(1);
    const answered = (ms: number) => {
      leading.raft.step({ kind: "read", readId: ms as never, stamp: stampAt(ms) });
      return leading.raft.drain().readable.length === 1;
    };
    leading.takeSent();
    leading.tick();
    const sentAt = leading.nowMs;
    const [heartbeat] = leading.takeSent();
    assert.ok(heartbeat?.kind === "heartbeat");
    const { readRound } = heartbeat;
    leading.tick(4);
    leading.receive({
      kind: "heartbeatReply",
      from: id(2),
      to: id(1),
      term: Term(leading.term),
      readRound,
      suspect: false,
      leaseMs: LEASE_MS,
    });
    assert.equal(answered(sentAt + LEASE_MS - 1), true);
    assert.equal(answered(sentAt + LEASE_MS), false);
  });

  test("an answer to an older round does not extend the lease", () => {
    const net = led();
    const leading = net.node(1);
    net.isolate(1);
    const grantedAt = leading.nowMs;
    leading.tick(3);
    leading.takeSent();
    leading.receive({
      kind: "heartbeatReply",
      from: id(2),
      to: id(1),
      term: Term(leading.term),
      readRound: 1,
      suspect: false,
      leaseMs: LEASE_MS,
    });
    leading.raft.step({ kind: "read", readId: 77 as never, stamp: stampAt(grantedAt + LEASE_MS) });
    assert.deepEqual(leading.raft.drain().readable, []);
  });

  test("voters that differ: who knows no leases, or binds itself for less, confirms reads and extends no lease", () => {
    const bound = (leaseMs: number): Partial<RaftOptions> => ({ leaseReads: { leaseMs } });
    for (const [followers, isLeased] of [
      [[{}, {}], false],
      [[bound(LEASE_MS - 1), {}], false],
      [[bound(LEASE_MS), {}, {}, {}], false],
      [[bound(LEASE_MS + 1), bound(LEASE_MS + 1)], true],
    ] as const) {
      const configuration = voters(1 + followers.length);
      const net = new Network(
        [leased, ...followers].map((options, i) => new TestNode({ id: id(i + 1), configuration, options })),
      );
      net.tick(12);
      net.campaign(1);
      net.tick(2);
      net.node(1).read();
      assert.equal(net.node(1).pump().readable.length, isLeased ? 1 : 0);
      net.settle();
      assert.equal(net.node(1).readable.length, 1, "by lease, or confirmed by a round");
    }
  });

  test("telling a successor to campaign ends the lease for good, even when the hand-over fails", () => {
    const net = led();
    net.drop = (m) => m.kind === "timeoutNow";
    net.node(1).raft.transferLeadership(id(2));
    net.settle();
    net.node(1).read();
    assert.deepEqual(net.node(1).pump().readable, []);
    net.tick(15);
    assert.equal(net.node(1).raft.status().transferee, null);
    net.node(1).readable.splice(0);
    net.node(1).read();
    assert.deepEqual(net.node(1).pump().readable, []);
    net.settle();
    assert.equal(net.node(1).readable.length, 1);
  });

  test("a restarted voter keeps the promise it has forgotten: it elects nobody for an election timeout", () => {
    const net = led();
    const voter = net.node(2);
    voter.crash();
    voter.restart();
    for (const kind of ["preVote", "requestVote"] as const) voter.receive({ ...requestVote(3, 9, 100, 9, kind), to: id(2) });
    voter.settle();
    assert.deepEqual(voter.takeSent(), []);
    voter.tick(10);
    voter.receive({ ...requestVote(3, 9, 100, 9), to: id(2) });
    voter.settle();
    assert.deepEqual(
      voter.takeSent().map((m) => m.kind),
      ["voteReply"],
    );
  });

  test("a voter that is told of a later term still elects nobody while a lease may be held", () => {
    const net = led();
    const voter = net.node(2);
    voter.receive({ kind: "voteReply", from: id(3), to: id(2), term: Term(8), granted: false });
    assert.equal(voter.raft.status().leader, null);
    voter.receive({ ...requestVote(3, 9, 100, 9), to: id(2) });
    voter.settle();
    assert.ok(voter.marks.includes("vote refused: live leader"));
    voter.step({ kind: "campaign" });
    voter.settle();
    assert.equal(voter.role, "follower");
  });

  test("a voter that a refused pre-vote has told of a term elects nobody in that very term while a lease may be held", () => {
    const net = led();
    const [leading, voter, standing] = [net.node(1), net.node(2), net.node(3)];
    const bring = (from: TestNode, to: TestNode) => {
      for (const message of from.takeSent()) if (message.to === to.id) to.receive(message);
      to.pump();
    };
    for (let i = 0; i < 10; i++) for (const node of net.nodes.values()) node.tick();
    for (const node of net.nodes.values()) node.takeSent();
    // Both lose the leader; one is elected to stand and waits for its disk, the other asks it and is refused with its term.
    standing.step({ kind: "campaign" });
    standing.pump();
    bring(standing, voter);
    bring(voter, standing);
    assert.deepEqual([standing.role, standing.term], ["candidate", leading.term + 1]);
    voter.step({ kind: "campaign" });
    voter.pump();
    bring(voter, standing);
    const refusal = standing.takeSent();
    // The leader comes back to the voter before that answer does, and gets its lease: the first round is an old one.
    for (let round = 0; round < 2; round++) {
      leading.tick();
      bring(leading, voter);
      bring(voter, leading);
    }
    for (const message of refusal) voter.receive(message);
    standing.sync();
    bring(standing, voter);
    voter.settle();
    bring(voter, standing);
    leading.read();
    assert.equal(leading.pump().readable.length, 1, "the leader answers alone");
    assert.equal(voter.term, standing.term);
    assert.equal(standing.role, "candidate", "and nobody else leads");
  });

  test("a leader that steps down answers what waits with a refusal and holds no lease", () => {
    const net = led();
    const node = net.node(1);
    net.isolate(1);
    node.tick(8);
    const readId = node.read();
    node.receive({ kind: "heartbeat", from: id(2), to: id(1), term: Term(5), commitIndex: LogIndex(0), readRound: 0 });
    node.pump();
    assert.deepEqual(
      node.rejected.map((r) => [r.readId, r.refusal.reason, r.refusal.leader]),
      [[readId, "NOT_LEADER", id(2)]],
    );
  });

  test("in a partition the old leader's last lease read ends before anybody else can be elected", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const net = led({ ...leased, electionTicks: 10 });
      net.tick(seed % 7);
      net.isolate(1);
      net.node(2).step({ kind: "peerDisconnected", peer: id(1) });
      net.node(3).step({ kind: "peerDisconnected", peer: id(1) });
      for (let i = 0; i < 40; i++) {
        net.tick();
        const other = [2, 3].some((n) => net.node(n).role === "leader");
        net.node(1).readable.splice(0);
        net.node(1).read();
        net.settle();
        assert.ok(!(other && net.node(1).readable.length > 0), `seed ${seed}, tick ${i}: a stale read was possible`);
        if (seed % 2 === 0) net.node((i % 2) + 2).step({ kind: "campaign" });
      }
      assert.ok([2, 3].some((n) => net.node(n).role === "leader"));
    }
  });
});
