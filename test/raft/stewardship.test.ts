import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { RaftOptions } from "#raft";
import { id, Network, TestNode, voters } from "./network.ts";

const preferring: Partial<RaftOptions> = {
  preempt: true,
  priorities: new Map([
    [id(1), 1],
    [id(2), 2],
    [id(3), 3],
  ]),
};
const leaderOf = (net: Network) => net.leaders().map((node) => node.id);

describe("priorities", () => {
  test("the lead goes to the voter of the highest priority, after both have been steady for ten election timeouts, and stays there", () => {
    const net = Network.of(3, preferring);
    net.campaign(1);
    net.tick(99);
    assert.deepEqual(leaderOf(net), [id(1)]);
    net.tick(4);
    assert.deepEqual(leaderOf(net), [id(3)]);
    const { term } = net.node(3);
    net.tick(400);
    assert.deepEqual([leaderOf(net), net.node(3).term], [[id(3)], term]);
  });

  test("without preempt a healthy leader stays", () => {
    const net = Network.of(3, { ...preferring, preempt: false });
    net.campaign(1);
    net.tick(300);
    assert.deepEqual(leaderOf(net), [id(1)]);
  });

  test("a voter that comes and goes, or lags, does not get the lead", () => {
    const net = Network.of(3, { ...preferring, priorities: new Map([[id(3), 3]]) });
    net.campaign(1);
    for (let i = 0; i < 6; i++) {
      net.tick(60);
      net.node(1).step({ kind: "peerDisconnected", peer: id(3) });
    }
    assert.deepEqual(leaderOf(net), [id(1)]);
    net.drop = (m) => m.kind === "append" && m.to === id(3);
    net.propose(1, "a");
    net.tick(150);
    assert.deepEqual(leaderOf(net), [id(1)]);
    net.heal();
    net.tick(10);
    assert.deepEqual(leaderOf(net), [id(3)]);
  });

  test("a hand-over that failed is not tried again before another such time", () => {
    const net = Network.of(3, preferring);
    net.campaign(1);
    net.drop = (m) => m.kind === "timeoutNow";
    net.tick(300);
    const started = net.node(1).marks.filter((mark) => mark === "transfer started").length;
    assert.deepEqual([leaderOf(net), started], [[id(1)], 2]);
  });
});

/** Everything goes on but this node's disk. */
function tickWithStalledDisk(net: Network, stalled: number, ticks: number): void {
  const node = net.node(stalled);
  node.sync = () => {};
  node.settle = () => void (node.raft.hasReady() && node.pump());
  net.tick(ticks);
}

describe("storage watchdog", () => {
  test("a leader whose disk makes nothing durable for four election timeouts hands over (hashicorp/raft#503, etcd#13527)", () => {
    const net = Network.of(3);
    net.campaign(1);
    net.node(1).propose("a");
    tickWithStalledDisk(net, 1, 38);
    assert.deepEqual(leaderOf(net), [id(1)]);
    tickWithStalledDisk(net, 1, 6);
    assert.equal(net.node(2).role, "leader");
    assert.equal(net.node(2).commit >= 2, true);
  });

  test("when nobody takes the lead it steps down, and a node with a stalled disk stands for nothing", () => {
    const net = Network.of(3);
    net.campaign(1);
    net.node(1).propose("a");
    net.drop = (m) => m.kind === "timeoutNow";
    tickWithStalledDisk(net, 1, 56);
    assert.ok(net.node(1).marks.includes("stepped down: disk stalled"));
    net.tick(40);
    assert.notEqual(net.node(1).role, "leader");
    assert.equal(net.leaders().length, 1);
    net.node(1).step({ kind: "campaign" });
    net.node(1).pump();
    assert.equal(net.node(1).marks.at(-1), "campaign ignored: not promotable");
  });

  test("a disk that is slow but moves, and an idle one, are not stalled", () => {
    const net = Network.of(3);
    net.campaign(1);
    net.tick(200);
    assert.deepEqual(leaderOf(net), [id(1)]);
    const node = net.node(1);
    node.settle = () => void (node.raft.hasReady() && node.pump());
    for (let i = 0; i < 6; i++) {
      // One batch more than the disk finishes: it always has work.
      node.propose("a");
      node.pump();
      node.propose("b");
      net.tick(30);
      node.sync(1);
    }
    assert.deepEqual(leaderOf(net), [id(1)]);
  });

  test("a voter that is alone goes on: there is nobody to hand over to", () => {
    const net = new Network([new TestNode({ id: id(1), configuration: voters(1) })]);
    net.tick(2);
    net.node(1).propose("a");
    tickWithStalledDisk(net, 1, 100);
    assert.equal(net.node(1).role, "leader");
  });
});

function loseLink(net: Network, to: number): void {
  for (const node of net.nodes.values()) if (node.id !== id(to)) node.step({ kind: "peerDisconnected", peer: id(to) });
}

describe("the link to the leader breaks", () => {
  const options: Partial<RaftOptions> = { electionTicks: 30, heartbeatTicks: 5 };

  test("followers stand after about a heartbeat, one after the other, so that one election is enough", () => {
    const net = Network.of(5, options);
    net.campaign(1);
    net.tick(3);
    net.node(1).crash();
    loseLink(net, 1);
    net.tick(9);
    assert.deepEqual(leaderOf(net), [id(2)]);
    assert.equal(net.node(2).term, 2);
  });

  test("the preferred voter stands first, and the next one where that is gone too", () => {
    const net = Network.of(5, { ...options, priorities: new Map([[id(4), 1]]) });
    net.campaign(1);
    net.tick(3);
    net.node(1).crash();
    loseLink(net, 1);
    net.tick(9);
    assert.deepEqual(leaderOf(net), [id(4)]);
    net.node(4).crash();
    loseLink(net, 4);
    net.tick(12);
    assert.deepEqual(leaderOf(net), [id(2)]);
  });

  test("a leader that only reconnects is not deposed: its next word ends the suspicion", () => {
    const net = Network.of(3, options);
    net.campaign(1);
    for (let i = 0; i < 20; i++) {
      loseLink(net, 1);
      net.tick(7);
    }
    assert.deepEqual([leaderOf(net), net.node(1).term], [[id(1)], 1]);
  });

  test("one broken link deposes nobody: the others hear the leader and refuse", () => {
    const net = Network.of(3, options);
    net.campaign(1);
    net.tick(3);
    net.cut(1, 2);
    net.node(2).step({ kind: "peerDisconnected", peer: id(1) });
    net.tick(100);
    assert.deepEqual([leaderOf(net), net.node(3).term], [[id(1)], 1]);
  });

  test("with lease reads, and without pre-votes, it is no hint at all", () => {
    for (const more of [{ leaseReads: { leaseMs: 2_000 } }, { preVote: false }]) {
      const net = Network.of(3, { ...options, ...more });
      net.tick(31);
      net.campaign(1);
      net.tick(1);
      const [first] = net.leaders();
      assert.ok(first !== undefined);
      first.crash();
      loseLink(net, Number(first.id.slice(1)));
      net.tick(25);
      assert.deepEqual(leaderOf(net), []);
    }
  });
});
