import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LogIndex, NodeId, Term } from "#kernel";
import type { Message } from "#raft";
import { id, Network, stampAt, TestNode, voters } from "./network.ts";
import { follower, leader } from "./roles.ts";

function transfer(net: Network, from: number, to: number | null) {
  const outcome = net.node(from).raft.transferLeadership(to === null ? null : id(to));
  return outcome.ok ? outcome.value : outcome.refusal.reason;
}

const roles = (net: Network) => [...net.nodes.values()].map((node) => node.role);
const transferee = (net: Network, n: number) => net.node(n).raft.status().transferee;

describe("leadership transfer (dissertation 3.10)", () => {
  test("an up-to-date voter leads at once, inside the old leader's reign, and hands back (etcd LeaderTransferToUpToDateNode, TransferBack, WithCheckQuorum)", () => {
    const net = Network.of(3);
    net.campaign(1);
    net.tick(2);
    assert.equal(transfer(net, 1, 2), id(2));
    net.settle();
    assert.deepEqual(roles(net), ["follower", "leader", "follower"]);
    assert.ok(net.node(1).marks.includes("stepped down: handed over"));
    net.propose(2, "a");
    transfer(net, 2, 1);
    net.settle();
    assert.deepEqual(roles(net), ["leader", "follower", "follower"]);
    assert.deepEqual(net.propose(1, "b").ok, true);
  });

  test("a voter that lacks entries is caught up first, then told to campaign (etcd LeaderTransferToSlowFollower)", () => {
    const net = Network.of(3);
    net.campaign(1);
    net.isolate(3);
    net.propose(1, "a", "b");
    net.heal();
    transfer(net, 1, 3);
    net.node(1).pump();
    assert.ok(!net.node(1).sent.some((m) => m.kind === "timeoutNow"));
    net.tick(2);
    assert.deepEqual(roles(net), ["follower", "follower", "leader"]);
    assert.equal(net.node(3).commit, 4);
  });

  test("itself, a stranger and a learner are refused with the reason, and a follower names the leader (etcd ToSelf, ToNonExistingNode, ToLearner)", () => {
    const configuration = voters(3, [id(4)]);
    const net = new Network([1, 2, 3, 4].map((n) => new TestNode({ id: id(n), configuration })));
    net.campaign(1);
    assert.deepEqual(
      [1, 9, 4].map((to) => transfer(net, 1, to)),
      ["BAD_STATE", "NOT_FOUND", "BAD_STATE"],
    );
    assert.equal(transfer(net, 2, 3), "NOT_LEADER");
    assert.deepEqual([transferee(net, 1), net.node(1).propose("a").ok], [null, true]);
  });

  test("without a name the voter that is furthest along is taken, then the preferred, then the first by name; a silent one never", () => {
    const options = { priorities: new Map([[id(4), 7]]) };
    const net = Network.of(5, options);
    net.campaign(1);
    net.isolate(5);
    net.tick(12);
    net.propose(1, "a");
    assert.equal(transfer(net, 1, null), id(4));
    net.node(1).raft.transferLeadership(id(2)); // and back again: the choice is what is looked at
    net.drop = (m) => m.to === id(4) && m.kind === "append";
    const behind = Network.of(3, { priorities: new Map([[id(3), 7]]) });
    behind.campaign(1);
    behind.drop = (m) => m.to === id(3) && m.kind === "append";
    behind.tick();
    behind.propose(1, "a");
    assert.equal(transfer(behind, 1, null), id(2));
    const alone = Network.of(3);
    alone.campaign(1);
    alone.isolate(1);
    alone.node(1).tick(8);
    alone.node(1).raft.drain();
    assert.equal(transfer(alone, 1, null), id(2)); // heard from within an election timeout
  });

  test("while it is under way proposals are refused in a way that a client repeats, and reads go on (etcd LeaderTransferIgnoreProposal)", () => {
    const net = Network.of(3);
    net.campaign(1);
    net.isolate(3);
    net.propose(1, "a");
    transfer(net, 1, 3);
    const early = net.node(1).propose("b");
    assert.deepEqual(!early.ok && [early.refusal.reason, early.refusal.leader], ["NO_LEADER", null]);
    net.node(1).read();
    net.settle();
    assert.equal(net.node(1).readable.length, 1);
    net.heal();
    net.drop = (m) => m.kind === "timeoutNow";
    net.tick(2);
    const late = net.node(1).propose("c");
    assert.deepEqual(!late.ok && [late.refusal.reason, late.refusal.leader], ["NOT_LEADER", id(3)]);
  });

  test("a target that does not catch up within an election timeout is given up, and the leader goes on (etcd LeaderTransferTimeout)", () => {
    const net = Network.of(3);
    net.campaign(1);
    net.isolate(3);
    net.propose(1, "a");
    transfer(net, 1, 3);
    net.tick(9);
    assert.equal(transferee(net, 1), id(3));
    net.tick();
    assert.deepEqual([transferee(net, 1), net.node(1).role], [null, "leader"]);
    assert.ok(net.node(1).marks.includes("transfer aborted"));
    assert.ok(net.propose(1, "b").ok);
  });

  test("a second request to another voter switches, one to the same does not extend the time (etcd SecondTransferToAnotherNode, ToSameNode)", () => {
    const net = Network.of(3);
    net.campaign(1);
    net.isolate(3);
    net.propose(1, "a");
    transfer(net, 1, 3);
    net.tick(6);
    transfer(net, 1, 3);
    net.tick(4);
    assert.equal(transferee(net, 1), null);
    transfer(net, 1, 3);
    transfer(net, 1, 2);
    net.settle();
    assert.equal(net.node(2).role, "leader");
  });

  test("a voter that is about to go is no target, and no change of membership starts during a transfer (etcd LeaderTransferRemoveNode, DemoteNode)", () => {
    for (const kind of ["remove", "demote"] as const) {
      const net = Network.of(3);
      net.campaign(1);
      net.isolate(3);
      const change = () => net.node(1).raft.changeMembership({ kind, node: id(3) }, stampAt(0));
      net.propose(1, "a");
      transfer(net, 1, 3);
      const early = change();
      assert.equal(!early.ok && early.refusal.reason, "NO_LEADER");
      net.tick(10);
      assert.ok(change().ok);
      const refused = transfer(net, 1, 3);
      assert.ok(refused === "BAD_STATE" || refused === "NOT_FOUND", `${kind}: ${refused}`);
      assert.equal(transferee(net, 1), null);
    }
  });

  test("hashicorp/raft#696: a transfer that a lost lead interrupted is not there in the next one", () => {
    const net = Network.of(3);
    net.campaign(1);
    net.isolate(1);
    transfer(net, 1, 3);
    net.tick(30);
    net.heal();
    net.tick(3);
    const before = net.leaders()[0]!;
    assert.notEqual(before.id, id(1));
    before.raft.transferLeadership(id(1));
    net.settle();
    assert.equal(net.node(1).role, "leader");
    assert.deepEqual([transferee(net, 1), net.propose(1, "a").ok], [null, true]);
  });

  test("timeoutNow: a voter skips the pre-vote and says whose will it is; a learner, a leader and a voter of another leader do nothing", () => {
    const now = (from: number, to: number, term: number): Message => ({
      kind: "timeoutNow",
      from: id(from),
      to: id(to),
      term: Term(term),
    });
    const voter = follower([1], 1, { preVote: true, checkQuorum: true });
    voter.receive({ kind: "heartbeat", from: id(2), to: id(1), term: Term(1), commitIndex: LogIndex(0), readRound: 0 });
    voter.receive(now(3, 1, 1));
    assert.equal(voter.role, "follower");
    voter.receive(now(2, 1, 1));
    voter.settle();
    const [request] = voter.takeSent().filter((m) => m.kind === "requestVote");
    assert.deepEqual([voter.term, request?.kind === "requestVote" && request.transfer], [2, true]);

    const learner = new TestNode({ id: NodeId("n3"), configuration: voters(2, [id(3)]), log: [1] });
    learner.receive(now(2, 3, 1));
    learner.pump();
    assert.deepEqual([learner.role, learner.marks], ["follower", ["timeoutNow ignored"]]);

    const leading = leader();
    leading.receive(now(2, 1, 1));
    assert.equal(leading.role, "leader");
  });

  test("a request for votes that the leader did not ask for is refused by those who hear it", () => {
    const net = Network.of(3);
    net.campaign(1);
    net.tick();
    const request = {
      kind: "requestVote",
      from: id(3),
      to: id(2),
      term: Term(2),
      lastIndex: LogIndex(9),
      lastTerm: Term(1),
    } as const;
    net.node(2).receive({ ...request, transfer: false });
    assert.equal(net.node(2).term, 1);
    net.node(2).receive({ ...request, transfer: true });
    assert.equal(net.node(2).term, 2);
  });
});
