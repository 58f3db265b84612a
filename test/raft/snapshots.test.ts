import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ClusterTimeMs, InvariantError, LogIndex, Term, WallTimeMs } from "#kernel";
import type { Configuration, Message, RaftOptions, SnapshotMeta } from "#raft";
import { entry, id, Network, TestNode, voters } from "./network.ts";

const quiet: Partial<RaftOptions> = { preVote: false, checkQuorum: false };

/** Node 3 misses `commands`, and the log that holds them is compacted. */
function lagging(options = quiet): Network {
  const net = Network.of(3, options);
  net.campaign(1);
  net.isolate(3);
  net.propose(1, "a", "b", "c");
  net.node(1).compact();
  return net;
}

function meta(index: number, term: number, configuration: Configuration = voters(3)): SnapshotMeta {
  const times = { clusterTimeMs: ClusterTimeMs(0), wallTimeMs: WallTimeMs(0) };
  return { index: LogIndex(index), term: Term(term), ...times, configuration };
}

function chunk(of: SnapshotMeta, offset: number, length: number, done: boolean, term = 2): Message {
  return {
    kind: "snapshotChunk",
    from: id(2),
    to: id(1),
    term: Term(term),
    meta: of,
    offset,
    data: new Uint8Array(length),
    done,
    totalBytes: 0,
  };
}

function follower(log: readonly number[], term: number): TestNode {
  return new TestNode({ id: id(1), configuration: voters(3), options: quiet, log, term });
}

describe("compaction and snapshots", () => {
  test("a log keeps the term at its base, and what keepEntries says", () => {
    const net = Network.of(3, quiet);
    net.campaign(1);
    net.propose(1, "a", "b", "c");
    net.node(1).compact(2);
    const { raft } = net.node(1);
    assert.deepEqual([raft.baseIndex, raft.termAt(LogIndex(1)), raft.termAt(LogIndex(2)), net.node(1).last], [2, null, 1, 4]);
  });

  test("§7 a follower whose entries are compacted gets the snapshot in chunks, then the log", () => {
    const net = lagging();
    net.propose(1, "d");
    net.heal();
    net.tick(3);
    const third = net.node(3);
    assert.deepEqual([third.applied, third.commit], [net.node(1).applied, net.node(1).commit]);
    const chunks = net.delivered.filter((m) => m.kind === "snapshotChunk");
    assert.deepEqual(
      chunks.map((m) => [m.offset, m.done]),
      [
        [0, false],
        [4, false],
        [8, true],
      ],
    );
    assert.equal(net.node(1).raft.status().progress?.get(id(3))?.state, "replicate");
    assert.ok(net.node(1).marks.includes("snapshot started"));
  });

  test("a silent peer is sent no snapshot until it is heard again", () => {
    const net = lagging({ preVote: true, checkQuorum: false });
    const leader = net.node(1);
    net.tick(15);
    leader.step({ kind: "peerDisconnected", peer: id(3) });
    net.propose(1, "d");
    assert.equal(leader.raft.status().progress?.get(id(3))?.state, "probe");
    assert.ok(leader.marks.includes("snapshot postponed: peer silent"));
    net.heal();
    net.tick(3);
    assert.equal(net.node(3).commit, leader.commit);
    assert.ok(leader.marks.includes("snapshot started"));
  });

  test("a chunk that was lost is sent again from where the follower stood", () => {
    const net = lagging();
    net.heal();
    let lost = 0;
    net.drop = (m) => m.kind === "snapshotChunk" && m.offset === 4 && lost++ === 0;
    net.tick(15);
    assert.equal(lost, 2);
    assert.deepEqual(net.node(3).applied, net.node(1).applied);
    assert.ok(net.node(1).marks.includes("snapshot chunk repeated"));
    const offsets = net.delivered.filter((m) => m.kind === "snapshotChunk").map((m) => m.offset);
    assert.deepEqual(offsets, [0, 4, 8], "no chunk that arrived is sent again");
  });

  test("while a snapshot is on its way no appends are sent, and a repeated answer starts no second stream", () => {
    const net = lagging();
    net.heal();
    net.drop = (m) => m.kind === "snapshotChunk" && m.offset > 0;
    net.tick(2);
    const leader = net.node(1);
    assert.equal(leader.raft.status().progress?.get(id(3))?.state, "snapshot");
    net.delivered = [];
    net.propose(1, "d");
    assert.ok(!net.delivered.some((m) => m.kind === "append" && m.to === id(3)));
    const reply = { index: leader.disk.snapshot!.index, nextOffset: 4, installed: false, suspect: false };
    leader.receive({ kind: "snapshotReply", from: id(3), to: id(1), term: Term(1), ...reply });
    assert.deepEqual(leader.pump().snapshotSends, []);
    leader.receive({ kind: "snapshotReply", from: id(3), to: id(1), term: Term(1), ...reply, index: LogIndex(2) });
    leader.pump();
    assert.ok(leader.marks.includes("stale snapshot reply ignored"));
  });

  test("a follower that makes progress, however slowly, keeps its snapshot though newer ones appear; one that stands still gets the newest", () => {
    const net = lagging();
    net.heal();
    const leader = net.node(1);
    const wanted = () => leader.raft.drain().snapshotSends.map(({ index, offset }) => ({ index, offset }));
    net.drop = (m) => m.kind === "snapshotChunk";
    net.tick(2);
    const { index } = leader.disk.snapshot!;
    const reply = {
      kind: "snapshotReply",
      from: id(3),
      to: id(1),
      term: Term(leader.term),
      index,
      installed: false,
      suspect: false,
    } as const;
    for (const [at, nextOffset] of [1, 2, 3].entries()) {
      leader.receive({ ...reply, nextOffset });
      assert.deepEqual(wanted(), [{ index, offset: nextOffset }], "resumed, not restarted");
      net.propose(1, `newer ${at}`);
      leader.compact();
      net.tick(40);
    }
    const newest = leader.disk.snapshot!.index;
    assert.ok(newest > index);
    const sent: number[] = [];
    net.drop = (m) => m.kind === "snapshotChunk" && sent.push(m.meta.index) > 0;
    net.tick(30);
    assert.equal(sent.at(-1), newest);
  });

  test("the follower's wish to start over is obeyed", () => {
    const net = lagging();
    net.heal();
    net.drop = (m) => m.kind === "snapshotChunk" && m.offset > 0;
    net.tick(2);
    const leader = net.node(1);
    const { index } = leader.disk.snapshot!;
    leader.receive({
      kind: "snapshotReply",
      from: id(3),
      to: id(1),
      term: Term(1),
      index,
      nextOffset: 0,
      installed: false,
      suspect: false,
    });
    assert.deepEqual(leader.pump().snapshotSends, [{ to: id(3), term: 1, index, offset: 0 }]);
  });

  test("a snapshot at or below the commit index is answered, not taken", () => {
    const node = follower([1, 1], 1);
    node.receive({ kind: "heartbeat", from: id(2), to: id(1), term: Term(2), commitIndex: LogIndex(2), readRound: 0 });
    node.settle();
    node.takeSent();
    node.receive(chunk(meta(1, 1), 0, 4, true));
    assert.deepEqual(node.pump().snapshotChunks, []);
    node.settle();
    assert.deepEqual(
      node.takeSent().map((m) => m.kind === "snapshotReply" && [m.index, m.installed]),
      [[1, true]],
    );
    assert.ok(node.marks.includes("snapshot ignored: behind commit"));
  });

  test("a snapshot that the log already matches only commits: acknowledged entries are not thrown away", () => {
    const node = follower([1, 1, 1], 1);
    node.receive(chunk(meta(2, 1), 0, 4, true));
    node.settle();
    assert.deepEqual([node.commit, node.last], [2, 3]);
    assert.ok(node.marks.includes("snapshot ignored: log matches"));
  });

  test("while a snapshot is installed nothing is appended, delivered or taken, and no election starts", () => {
    const node = follower([1], 1);
    const snapshot = meta(5, 2);
    node.receive(chunk(snapshot, 0, 10, true));
    assert.equal(node.raft.drain().snapshotChunks.length, 1);
    node.receive({
      kind: "append",
      from: id(2),
      to: id(1),
      term: Term(2),
      prevIndex: LogIndex(1),
      prevTerm: Term(1),
      entries: [entry(2, 2)],
      commitIndex: LogIndex(2),
    });
    node.receive({ kind: "heartbeat", from: id(2), to: id(1), term: Term(2), commitIndex: LogIndex(1), readRound: 0 });
    node.receive(chunk(meta(9, 2), 0, 10, true));
    assert.deepEqual(node.pump().snapshotChunks, []);
    node.tick(30);
    assert.deepEqual([node.last, node.committed, node.role], [1, [], "follower"]);
    for (const mark of ["append ignored: installing a snapshot", "snapshot chunk ignored: installing"])
      assert.ok(node.marks.includes(mark));
  });

  test("§7 an installed snapshot replaces log and configuration, and is acknowledged", () => {
    const node = follower([1, 1, 1], 1);
    const snapshot = meta(2, 2, voters(5));
    node.receive(chunk(snapshot, 0, 10, true));
    node.raft.drain();
    node.step({ kind: "installed", meta: snapshot });
    node.settle();
    const { commitIndex, lastIndex, appliedIndex, configuration } = node.raft.status();
    assert.deepEqual([commitIndex, lastIndex, appliedIndex, configuration], [2, 2, 2, voters(5)]);
    assert.deepEqual(node.raft.termAt(LogIndex(2)), 2);
    assert.ok(node.takeSent().some((m) => m.kind === "snapshotReply" && m.installed && m.index === 2));
  });

  test("an installation that falls short is answered with the wanted offset and taken up again", () => {
    const node = follower([1], 1);
    const snapshot = meta(5, 2);
    node.receive(chunk(snapshot, 8, 2, true));
    node.raft.drain();
    node.step({ kind: "snapshotReceived", index: snapshot.index, nextOffset: 0 });
    node.settle();
    node.sync();
    assert.ok(node.marks.includes("snapshot incomplete"));
    node.receive(chunk(snapshot, 0, 4, false));
    assert.equal(node.raft.drain().snapshotChunks.length, 1);
  });

  test("a snapshot installed over a later commit index is a broken invariant", () => {
    const node = follower([1, 1], 1);
    node.receive({ kind: "heartbeat", from: id(2), to: id(1), term: Term(1), commitIndex: LogIndex(2), readRound: 0 });
    assert.throws(() => node.step({ kind: "installed", meta: meta(1, 1) }), InvariantError);
  });

  test("a restart from a snapshot applies nothing below it again", () => {
    const net = Network.of(3, quiet);
    net.campaign(1);
    net.propose(1, "a", "b");
    const node = net.node(2);
    node.compact();
    net.propose(1, "c");
    node.crash();
    node.restart();
    assert.deepEqual([node.commit, node.raft.status().appliedIndex, node.last], [3, 3, 4]);
    net.tick(2);
    assert.deepEqual(
      node.committed.map((e) => e.index),
      [4],
    );
  });
});

describe("A restore that takes its time", () => {
  test("the log goes on from a snapshot that is on its way, however few entries are kept (hashicorp/consul#9609)", () => {
    const net = Network.of(3);
    net.campaign(1);
    net.isolate(3);
    for (let i = 0; i < 5; i++) net.propose(1, `a${i}`);
    net.node(1).compact();
    net.installsAtOnce = false;
    net.heal();
    net.tick(6);
    assert.ok(net.node(3).hasWholeSnapshot, "node 3 has the bytes and takes its time to restore them");
    for (let i = 0; i < 5; i++) net.propose(1, `b${i}`);
    net.node(1).compact();
    assert.equal(net.node(1).raft.baseIndex, 6, "without the restore it would be 11");
    net.installWhole(net.node(3));
    net.settle();
    net.tick(3);
    assert.deepEqual(net.node(3).applied, net.node(1).applied);
    assert.equal(net.node(1).marks.filter((mark) => mark === "snapshot started").length, 1, "one snapshot was enough");
  });

  test("a snapshot that two newer ones have replaced is not waited for", () => {
    const net = Network.of(3);
    net.campaign(1);
    net.isolate(3);
    net.propose(1, "a");
    net.node(1).compact();
    net.installsAtOnce = false;
    net.heal();
    net.tick(6);
    for (const command of ["b", "c"]) {
      net.propose(1, command);
      net.node(1).compact();
    }
    assert.equal(net.node(1).raft.baseIndex, 4);
  });
});
