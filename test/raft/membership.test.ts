import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LogIndex, Term } from "#kernel";
import {
  type Configuration,
  encodeConfiguration,
  type MembershipChange,
  type Message,
  type RaftOptions,
  settledConfiguration,
} from "#raft";
import { entry, id, Network, TestNode, voters } from "./network.ts";
import { append, requestVote } from "./roles.ts";

describe("membership: joint consensus owned by the leader (§6)", () => {
  test("a configuration is in force on every node from the moment it holds the entry, not from its commit", () => {
    const net = led(3);
    net.drop = (m) => m.kind === "appendReply";
    change(net, 1, { kind: "remove", node: id(3) });
    for (const n of [1, 2, 3]) {
      const { configuration, configurationIndex, commitIndex } = net.node(n).raft.status();
      assert.deepEqual(configuration, { ...settledConfiguration([id(1), id(2)]), votersOutgoing: [id(1), id(2), id(3)] });
      assert.ok(configurationIndex > commitIndex);
    }
  });

  test("the shell is told of a configuration as soon as it is appended", () => {
    const node = new TestNode({ id: id(1), configuration: voters(3) });
    const next = settledConfiguration([id(1), id(2)]);
    node.receive(append(0, 0, [{ ...entry(1, 1), kind: "configuration", data: encodeConfiguration(next) }], 1));
    assert.deepEqual(node.pump().status?.configuration, next);
    const other = settledConfiguration([id(2), id(3)]);
    node.receive(append(0, 0, [{ ...entry(1, 2), kind: "configuration", data: encodeConfiguration(other) }], 2));
    assert.deepEqual(node.pump().status?.configuration, other, "also when it takes the place of another");
  });

  test("the bytes of a configuration count like any others until it is committed", () => {
    const net = led(3, [4], { maxUncommittedBytes: 100 });
    change(net, 1, { kind: "add", node: id(4), promote: false });
    net.drop = (m) => m.kind === "appendReply";
    const sixty = "x".repeat(60);
    assert.ok(net.propose(1, sixty).ok);
    const refused = net.propose(1, sixty);
    assert.ok(!refused.ok && refused.refusal.reason === "OVERLOADED");
  });

  test("the leader leaves a committed joint configuration by itself", () => {
    const net = led(3);
    change(net, 1, { kind: "remove", node: id(3) });
    assert.deepEqual(configurationOf(net, 1), settledConfiguration([id(1), id(2)]));
    assert.deepEqual(configurationOf(net, 2), settledConfiguration([id(1), id(2)]));
    const { configurationIndex, commitIndex } = net.node(1).raft.status();
    assert.equal(commitIndex, configurationIndex);
  });

  test("a joint configuration is not left while either half lacks its majority", () => {
    // 1, 2, 3 lose 1 and gain 4: with 2 and 3 deaf the new half has 4 alone, and the old one has 1 alone.
    const net = led(3, [4]);
    net.drop = (m) => m.to === id(2) || m.to === id(3);
    change(net, 1, { kind: "replace", remove: id(3), add: id(4) });
    net.tick(3);
    assert.equal(net.node(4).last, net.node(1).last);
    assert.deepEqual(configurationOf(net, 1).votersOutgoing, [id(1), id(2), id(3)]);
    net.heal();
    net.tick(3);
    assert.deepEqual(configurationOf(net, 1), settledConfiguration([id(1), id(2), id(4)]));
  });

  test("a leader that falls in a joint configuration leaves it to the next one", () => {
    const net = led(3);
    // The joint entry reaches everyone, its commitment nobody.
    net.drop = (m) => m.kind === "appendReply";
    change(net, 1, { kind: "remove", node: id(3) });
    net.node(1).crash();
    net.drop = () => false;
    // The new half is 1 and 2, and 1 is down: not even 3's vote helps.
    net.tick(60);
    assert.equal(net.leaders().length, 0);
    net.node(1).restart();
    const leader = nextLeader(net);
    net.tick(3);
    for (const n of [1, 2]) assert.deepEqual(configurationOf(net, n), settledConfiguration([id(1), id(2)]));
    assert.equal(leader.commit, leader.last);
  });

  test("one change at a time: until it is committed and its joint configuration is left, others are refused", () => {
    const net = led(3, [4]);
    net.drop = (m) => m.kind === "appendReply";
    change(net, 1, { kind: "remove", node: id(3) });
    const refused = net.node(1).changeMembership({ kind: "add", node: id(4), promote: false });
    assert.ok(!refused.ok);
    assert.equal(refused.refusal.reason, "BAD_STATE");
    assert.match(refused.refusal.message, /under way: entry 2 is not committed \(commit index 1\)/);
    net.heal();
    net.tick(2);
    change(net, 1, { kind: "add", node: id(4), promote: false });
    assert.deepEqual(configurationOf(net, 4), settledConfiguration([id(1), id(2)], [id(4)]));
  });

  test("no change before an entry of the leader's own term is committed (Ongaro 2015)", () => {
    const net = Network.of(3);
    net.drop = (m) => m.kind === "appendReply";
    net.campaign(1);
    assert.equal(net.node(1).role, "leader");
    const refused = net.node(1).changeMembership({ kind: "remove", node: id(3) });
    assert.ok(!refused.ok);
    assert.match(refused.refusal.message, /no entry of term 1 is committed yet/);
    net.heal();
    net.tick(2);
    assert.ok(net.node(1).changeMembership({ kind: "remove", node: id(3) }).ok);
  });

  test("a follower refuses a change and names the leader", () => {
    const net = led(3);
    const outcome = net.node(2).changeMembership({ kind: "remove", node: id(3) });
    assert.ok(!outcome.ok);
    assert.deepEqual([outcome.refusal.reason, outcome.refusal.leader], ["NOT_LEADER", id(1)]);
  });

  test("a configuration goes out of force when its entry is truncated", () => {
    const net = led(3, [4]);
    net.isolate(1);
    change(net, 1, { kind: "replace", remove: id(2), add: id(4) });
    assert.deepEqual(configurationOf(net, 1).votersOutgoing, [id(1), id(2), id(3)]);
    const leader = nextLeader(net);
    leader.propose("instead");
    net.heal();
    net.tick(3);
    assert.deepEqual(configurationOf(net, 1), voters(3));
    assert.equal(net.node(1).last, leader.last);
  });

  test("a new leader takes its whole uncommitted tail for a change under way", () => {
    // The next leader holds the joint entry; until an entry of its own term is committed it changes nothing.
    const net = led(5);
    net.drop = (m) => m.kind === "appendReply";
    change(net, 1, { kind: "remove", node: id(5) });
    net.node(1).crash();
    const leader = nextLeader(net);
    const outcome = leader.changeMembership({ kind: "add", node: id(6), promote: false });
    assert.ok(!outcome.ok && outcome.refusal.reason === "BAD_STATE");
    assert.notEqual(leader.raft.status().configuration.votersOutgoing, null);
  });

  test("of two voters one is removed with both halves' consent, and the one left commits alone (etcd CommitAfterRemoveNode)", () => {
    const net = led(2);
    net.drop = (m) => m.to === id(2);
    change(net, 1, { kind: "remove", node: id(2) });
    net.propose(1, "hello");
    assert.equal(net.node(1).commit, 1, "the old half is both");
    net.heal();
    net.tick(3);
    assert.deepEqual(configurationOf(net, 1), settledConfiguration([id(1)]));
    net.isolate(2);
    net.propose(1, "alone");
    assert.equal(net.node(1).commit, net.node(1).last);
    net.tick(30);
    assert.equal(net.node(1).role, "leader");
  });

  test("two nodes go one after the other: five voters become three", () => {
    const net = led(5);
    change(net, 1, { kind: "remove", node: id(5) });
    change(net, 1, { kind: "remove", node: id(4) });
    assert.deepEqual(configurationOf(net, 1), voters(3));
    net.isolate(3);
    net.propose(1, "two of three");
    assert.equal(net.node(1).commit, net.node(1).last);
  });

  test("a quorum of the new voters alone commits once the joint configuration is left, and of both before", () => {
    const net = led(3, [4]);
    net.isolate(4);
    change(net, 1, { kind: "replace", remove: id(3), add: id(4) });
    // Old half 1, 2, 3; new half 1, 2, 4: 1 and 2 are a majority of each.
    assert.deepEqual(configurationOf(net, 1), settledConfiguration([id(1), id(2), id(4)]));
    net.isolate(2);
    net.propose(1, "one of three");
    assert.ok(net.node(1).commit < net.node(1).last);
  });

  test("a new voter that was never heard does not cost the leader its quorum at once", () => {
    const net = led(1, [2]);
    net.isolate(2);
    net.tick(9); // the next tick but one is a quorum check
    change(net, 1, { kind: "replace", remove: id(1), add: id(2) });
    net.tick(2);
    assert.equal(net.node(1).role, "leader");
    net.tick(10);
    assert.ok(
      net.node(1).marks.includes("checkQuorum: stepped down"),
      "without the new half nothing can be committed, and it says so",
    );
  });
});

describe("membership: learners and their promotion", () => {
  test("a learner receives the log and is counted for nothing", () => {
    const net = led(3, [4]);
    change(net, 1, { kind: "add", node: id(4), promote: false });
    net.isolate(2);
    net.isolate(3);
    net.propose(1, "with the learner only");
    assert.ok(net.node(1).commit < net.node(1).last);
  });

  test("a learner to be promoted becomes a voter as soon as it has caught up", () => {
    const net = led(3, [4]);
    net.propose(1, "a", "b", "c");
    change(net, 1, { kind: "add", node: id(4), promote: true });
    assert.deepEqual(configurationOf(net, 1), settledConfiguration([id(1), id(2), id(3), id(4)]));
    assert.deepEqual(configurationOf(net, 4), configurationOf(net, 1));
  });

  test("a learner that cannot be reached is not promoted, and holds up nobody", () => {
    const net = led(3, [4]);
    net.isolate(4);
    change(net, 1, { kind: "add", node: id(4), promote: true });
    net.tick(30);
    assert.deepEqual(configurationOf(net, 1), { ...voters(3, [id(4)]), promoting: [id(4)] });
    change(net, 1, { kind: "remove", node: id(3) });
    assert.deepEqual(configurationOf(net, 1), { ...settledConfiguration([id(1), id(2)], [id(4)]), promoting: [id(4)] });
  });

  test("a learner that takes longer than an election timeout for a round gets another round, not a vote (dissertation §4.2.1)", () => {
    const net = led(3, [4], { electionTicks: 5 });
    net.isolate(4);
    change(net, 1, { kind: "add", node: id(4), promote: true });
    net.tick(10);
    net.heal();
    // Each answer to an append comes back only after six ticks, while new entries arrive with every tick.
    const late: { readonly at: number; readonly message: Message }[] = [];
    let now = 0;
    net.drop = (m) => {
      if (m.from !== id(4) || m.kind !== "appendReply" || late.some(({ message }) => message === m)) return false;
      late.push({ at: now + 6, message: m });
      return true;
    };
    for (; now < 40; now++) {
      net.propose(1, `command ${now}`);
      net.tick();
      for (const { message } of late.filter(({ at }) => at === now)) net.deliver(message);
      net.settle();
    }
    assert.deepEqual(configurationOf(net, 1).promoting, [id(4)], "it is always more than an election timeout behind");
    net.drop = () => false;
    net.tick(8);
    assert.deepEqual(configurationOf(net, 1).promoting, []);
    assert.ok(configurationOf(net, 1).voters.includes(id(4)));
  });

  test("learners that have caught up at the same moment are promoted in one joint step", () => {
    const net = led(3, [4, 5]);
    net.isolate(4);
    net.isolate(5);
    change(net, 1, { kind: "add", node: id(4), promote: true });
    change(net, 1, { kind: "add", node: id(5), promote: true });
    const before = net.node(1).last;
    net.heal();
    net.tick(3);
    assert.deepEqual(configurationOf(net, 1), voters(5));
    assert.ok(net.node(1).last - before <= 4, "at most two joint steps");
  });

  test("a learner that has gone silent since it caught up is promoted when it is heard again, not before", () => {
    const net = led(3, [4], { checkQuorum: false });
    net.drop = (m) => m.from === id(2) || m.from === id(3);
    change(net, 1, { kind: "add", node: id(4), promote: true });
    assert.equal(net.node(4).last, net.node(1).last, "it has everything, and the mark is not committed yet");
    net.isolate(4);
    net.tick(20);
    net.drop = () => false;
    net.tick(5);
    assert.deepEqual([net.node(1).commit, configurationOf(net, 1).promoting], [2, [id(4)]]);
    net.heal();
    net.tick(3);
    assert.deepEqual(configurationOf(net, 1), voters(4));
  });

  test("the promotion survives the loss of the leader that promised it", () => {
    const net = led(3, [4]);
    net.isolate(4);
    change(net, 1, { kind: "add", node: id(4), promote: true });
    net.tick(2);
    net.node(1).crash();
    net.heal();
    const leader = nextLeader(net);
    net.tick(3);
    assert.deepEqual(leader.raft.status().configuration.voters, [1, 2, 3, 4].map(id));
    assert.deepEqual(leader.raft.status().configuration.promoting, []);
  });

  test("a promoted learner may campaign and win (etcd LearnerPromotion)", () => {
    const net = led(1, [2], { checkQuorum: false });
    change(net, 1, { kind: "add", node: id(2), promote: true });
    net.campaign(2);
    assert.equal(net.node(2).role, "leader");
  });

  test("a learner never campaigns: neither by its timer nor when told to (etcd LearnerElectionTimeout)", () => {
    const net = led(3, [4]);
    change(net, 1, { kind: "add", node: id(4), promote: false });
    net.isolate(4);
    net.node(4).tick(100);
    net.campaign(4);
    assert.deepEqual([net.node(4).role, net.node(4).term], ["follower", 1]);
  });

  test("a learner votes when asked: its own idea of who votes may be behind (etcd campaign_learner_must_vote)", () => {
    const learner = new TestNode({ id: id(1), configuration: settledConfiguration([id(2), id(3)], [id(1)]), log: [1], term: 1 });
    learner.receive(requestVote(2, 2, 1, 1));
    learner.settle();
    const [reply] = learner.takeSent();
    assert.ok(reply?.kind === "voteReply" && reply.granted);
  });

  test("a vote of a learner or a stranger elects nobody", () => {
    const candidate = new TestNode({ id: id(1), configuration: voters(3, [id(4)]), options: { preVote: false } });
    candidate.step({ kind: "campaign" });
    candidate.settle();
    for (const from of [4, 5, 6]) {
      candidate.receive({ kind: "voteReply", from: id(from), to: id(1), term: Term(1), granted: true });
    }
    candidate.settle();
    assert.equal(candidate.role, "candidate");
  });

  test("an entry may make a follower a learner while it campaigns: then it stops at the entry's term", () => {
    const node = new TestNode({ id: id(1), configuration: voters(3), options: { preVote: false } });
    node.step({ kind: "campaign" });
    node.settle();
    node.receive(append(0, 0, [entry(1, 2)], 2));
    node.settle();
    assert.deepEqual([node.role, node.term], ["follower", 2]);
  });
});

describe("membership: those who leave", () => {
  test("a removed leader leads until the settled configuration is committed, does not count itself, and hands over", () => {
    const net = led(3);
    // The leave entry is held up: without it the change is not done.
    net.drop = (m) => m.kind === "append" && m.entries.some((e) => e.index === 3);
    change(net, 1, { kind: "remove", node: id(1) });
    const status = net.node(1).raft.status();
    assert.deepEqual([status.role, status.commitIndex], ["leader", 2]);
    assert.deepEqual(status.configuration, settledConfiguration([id(2), id(3)]), "in force on the leader, and not yet committed");
    net.drop = (m) => m.to === id(3);
    net.tick(2);
    assert.equal(net.node(1).commit, 2, "it and one of the two that stay are no majority of the two");
    net.heal();
    net.tick(2);
    assert.deepEqual([net.node(1).role, net.node(1).commit], ["follower", 3]);
    const asked = net.delivered.filter((m) => m.kind === "timeoutNow");
    assert.equal(asked.length, 1);
    assert.ok(asked[0]!.from === id(1) && asked[0]!.to !== id(1));
    assert.ok(net.node(1).marks.includes("stepped down: not a voter any more"));
  });

  test("a removed leader takes no more proposals, and goes only when its successor has the last of them", () => {
    const net = led(3);
    net.drop = (m) => m.kind === "appendReply" && m.matchIndex >= 3;
    change(net, 1, { kind: "remove", node: id(1) });
    assert.deepEqual([net.node(1).commit, net.node(2).last, net.node(3).last], [2, 3, 3]);
    assert.ok(net.node(1).propose("behind the change").ok);
    net.drop = (m) => m.kind === "append" && m.entries.some((e) => e.index === 4);
    // What both hold is acknowledged after all.
    const { term, lastIndex } = net.node(1).raft.status();
    for (const from of [2, 3]) {
      net.node(1).receive({
        kind: "appendReply",
        from: id(from),
        to: id(1),
        term,
        matchIndex: LogIndex(lastIndex - 1),
        suspect: false,
      });
    }
    net.settle();
    assert.deepEqual([net.node(1).role, net.node(1).commit], ["leader", 3]);
    const refused = net.node(1).propose("too late");
    assert.ok(!refused.ok && refused.refusal.reason === "NO_LEADER");
    const change2 = net.node(1).changeMembership({ kind: "add", node: id(4), promote: false });
    assert.ok(!change2.ok && change2.refusal.reason === "NO_LEADER");
    net.heal();
    net.tick(2);
    assert.deepEqual([net.node(1).role, net.node(1).commit], ["follower", 4]);
    assert.equal(net.leaders().length, 1);
  });

  test("a removed leader asks the voter that is furthest along", () => {
    const net = led(5);
    net.drop = (m) => m.to === id(2) || m.to === id(4);
    change(net, 1, { kind: "remove", node: id(1) });
    net.drop = (m) => m.to === id(2);
    net.tick(3);
    const target = net.delivered.find((m) => m.kind === "timeoutNow")?.to;
    assert.ok(target !== undefined && target !== id(2));
  });

  test("a leader that demotes itself goes on as a learner", () => {
    const net = led(3);
    change(net, 1, { kind: "demote", node: id(1) });
    assert.equal(net.node(1).role, "follower");
    net.tick(40);
    const [leader] = net.leaders();
    assert.ok(leader !== undefined && leader.id !== id(1));
    leader.propose("after");
    net.settle();
    net.tick(2);
    assert.deepEqual(leader.raft.status().configuration, settledConfiguration([id(2), id(3)], [id(1)]));
    assert.equal(net.node(1).applied.at(-1)?.endsWith(":after"), true);
  });

  test("a removed voter whose log alone could be elected stands until its removal is committed (dissertation figure 4.6)", () => {
    const net = led(2);
    // 1 removes itself: the joint entry is committed, the leaving one is on its own disk only.
    net.drop = (m) => m.kind === "append" && m.entries.some((e) => e.index === 3);
    change(net, 1, { kind: "remove", node: id(1) });
    assert.deepEqual([net.node(1).last, net.node(1).commit, net.node(2).last], [3, 2, 2]);
    net.node(1).crash();
    net.node(1).restart();
    net.heal();
    assert.deepEqual(configurationOf(net, 1), settledConfiguration([id(2)]));
    net.node(1).tick();
    assert.equal(net.node(1).role, "follower", "it waits for its turn: it is not the lone voter");
    for (let i = 0; i < 60; i++) net.tick();
    assert.deepEqual(configurationOf(net, 2), settledConfiguration([id(2)]), "2 could not be elected with the shorter log");
    assert.deepEqual([net.node(1).role, net.node(2).role], ["follower", "leader"]);
    net.propose(2, "alone");
    assert.equal(net.node(2).commit, net.node(2).last);
  });

  test("a removed follower is told last of all that its removal is committed, and campaigns no more", () => {
    const net = led(3);
    change(net, 1, { kind: "remove", node: id(3) });
    assert.deepEqual(configurationOf(net, 3), settledConfiguration([id(1), id(2)]));
    assert.equal(net.node(3).commit, 3);
    const before = net.delivered.length;
    net.node(3).tick(100);
    net.settle();
    assert.equal(net.delivered.slice(before).filter((m) => m.from === id(3)).length, 0);
  });

  test("a removed follower that never heard of it cannot disturb: nobody leaves its leader or its term (pitfall 38)", () => {
    const net = led(3);
    net.isolate(3);
    change(net, 1, { kind: "remove", node: id(3) });
    net.heal();
    for (let i = 0; i < 100; i++) net.tick();
    net.campaign(3);
    assert.deepEqual([net.node(1).role, net.node(1).term, net.node(2).term], ["leader", 1, 1]);
    net.propose(1, "undisturbed");
    assert.equal(net.node(2).commit, net.node(1).last);
  });

  test("without PreVote a removed node's requests are refused while the leader lives (stickiness)", () => {
    const net = led(3, [], { preVote: false });
    net.isolate(3);
    change(net, 1, { kind: "remove", node: id(3) });
    net.heal();
    for (let i = 0; i < 60; i++) net.tick();
    assert.ok(net.node(3).term > 1, "it campaigns");
    assert.deepEqual([net.node(1).role, net.node(1).term], ["leader", 1]);
  });

  test("a demoted voter that comes back with a higher term costs one election, then the cluster is stable (hashicorp X9)", () => {
    const net = led(3, [], { preVote: false });
    net.isolate(3);
    change(net, 1, { kind: "demote", node: id(3) });
    net.node(3).tick(60);
    net.settle();
    assert.ok(net.node(3).term > net.node(1).term);
    net.heal();
    for (let i = 0; i < 60; i++) net.tick();
    const [leader, ...more] = net.leaders();
    assert.ok(leader !== undefined && more.length === 0 && leader.id !== id(3));
    const { term } = leader;
    for (let i = 0; i < 60; i++) net.tick();
    assert.equal(leader.term, term, "no further election");
    leader.propose("stable");
    net.settle();
    net.tick(2);
    assert.equal(net.node(3).commit, leader.last);
    assert.equal(net.node(3).role, "follower");
  });

  test("acknowledgements of a node that was removed are ignored", () => {
    const net = led(3);
    change(net, 1, { kind: "remove", node: id(3) });
    const reply: Message = {
      kind: "appendReply",
      from: id(3),
      to: id(1),
      term: Term(1),
      matchIndex: net.node(1).raft.status().lastIndex,
      suspect: false,
    };
    net.node(1).receive(reply);
    net.node(1).pump();
    assert.ok(net.node(1).marks.includes("reply of a non-member ignored"));
    assert.equal(net.node(1).raft.status().progress?.has(id(3)), false);
  });

  test("a node that is added in the turn in which its removal was committed is a stranger to the leader", () => {
    const net = led(4);
    net.propose(1, "a", "b", "c");
    net.node(4).crash();
    const leader = net.node(1);
    const left = leader.last + 2;
    const held: Message[] = [];
    net.drop = (m) => m.kind === "appendReply" && m.matchIndex >= left && held.push(m) > 0;
    change(net, 1, { kind: "remove", node: id(4) });
    assert.deepEqual([leader.last, leader.commit], [left, left - 1]);
    for (const message of held) leader.receive(message);
    assert.equal(leader.commit, left, "and nothing of it has been drained");
    assert.ok(leader.changeMembership({ kind: "add", node: id(4), promote: true }).ok);
    // Whoever is held to what it acknowledged in another life and comes back empty would be sent entries that it cannot place.
    const progress = leader.raft.status().progress?.get(id(4));
    assert.deepEqual([progress?.matchIndex, progress?.state], [0, "probe"]);
  });

  test("a node that was removed can be added again, and catches up", () => {
    const net = led(3);
    change(net, 1, { kind: "remove", node: id(3) });
    net.propose(1, "without it");
    change(net, 1, { kind: "add", node: id(3), promote: true });
    net.tick(2);
    assert.deepEqual(configurationOf(net, 1), voters(3));
    assert.equal(net.node(3).last, net.node(1).last);
  });
});

describe("membership: snapshots and restarts", () => {
  test("a learner that starts with nothing gets the configuration with the snapshot", () => {
    const net = led(3, [4]);
    net.propose(1, "a", "b");
    net.node(1).compact();
    change(net, 1, { kind: "add", node: id(4), promote: true });
    net.tick(3);
    assert.deepEqual(net.node(4).disk.snapshot?.configuration, voters(3), "as of the snapshot's index");
    assert.deepEqual(configurationOf(net, 4), settledConfiguration([id(1), id(2), id(3), id(4)]), "as of the log behind it");
  });

  test("a node that restarts is in the configuration of its log's end, joint or not", () => {
    const net = led(3);
    net.drop = (m) => m.kind === "appendReply";
    change(net, 1, { kind: "remove", node: id(3) });
    for (const n of [1, 2, 3]) net.node(n).crash();
    for (const n of [1, 2, 3]) net.node(n).restart();
    assert.deepEqual(configurationOf(net, 2).votersOutgoing, [id(1), id(2), id(3)]);
    net.heal();
    for (let i = 0; i < 40; i++) net.tick();
    assert.deepEqual(net.leaders()[0]?.raft.status().configuration, settledConfiguration([id(1), id(2)]));
  });

  test("a new leader does not go on with a change before an entry of its own term is committed", () => {
    const net = led(5);
    net.drop = (m) => m.kind === "append" && m.entries.some((e) => e.index === 3);
    change(net, 1, { kind: "remove", node: id(5) });
    net.tick(2);
    for (const n of [2, 3, 4, 5]) net.node(n).compact();
    for (const n of [1, 2, 3, 4, 5]) net.node(n).crash();
    for (const n of [2, 3, 4, 5]) net.node(n).restart();
    net.drop = (m) => m.kind === "appendReply";
    const leader = nextLeader(net);
    net.tick(2);
    assert.ok(leader.raft.status().configurationIndex <= leader.commit, "the joint configuration is committed");
    assert.equal(leader.last, leader.raft.baseIndex + 1, "its opening entry, and no more");
  });

  test("a joint configuration in a snapshot is left by the leader that finds it there", () => {
    const net = led(3);
    net.drop = (m) => m.kind === "append" && m.entries.some((e) => e.index === 3);
    change(net, 1, { kind: "remove", node: id(3) });
    net.tick(2);
    assert.equal(net.node(2).commit, 2);
    const meta = net.node(2).compact();
    assert.notEqual(meta.configuration.votersOutgoing, null, "committed, and joint");
    net.node(1).crash();
    net.node(2).crash();
    net.node(2).restart();
    net.node(1).restart();
    net.heal();
    nextLeader(net);
    net.tick(2);
    assert.deepEqual(configurationOf(net, 2), settledConfiguration([id(1), id(2)]));
  });

  test("what a snapshot says of an index is what was in force there, whatever was appended since", () => {
    const net = led(3, [4]);
    const before = net.node(1).raft.status().appliedIndex;
    net.drop = (m) => m.kind === "appendReply";
    change(net, 1, { kind: "replace", remove: id(3), add: id(4) });
    net.node(1).crash();
    net.node(1).restart();
    assert.notEqual(configurationOf(net, 1).votersOutgoing, null, "as appended");
    assert.deepEqual(net.node(1).raft.configurationAt(before), voters(3), "as committed");
  });
});

/** `count` voters led by 1, and spare nodes that belong to nothing yet. */
function led(count: number, spare: readonly number[] = [], options: Partial<RaftOptions> = {}): Network {
  const member = (n: number) => new TestNode({ id: id(n), configuration: voters(count), options });
  const nobody = (n: number) => new TestNode({ id: id(n), configuration: voters(0), options });
  const net = new Network([...Array.from({ length: count }, (_, i) => member(i + 1)), ...spare.map(nobody)]);
  net.campaign(1);
  assert.equal(net.node(1).role, "leader");
  assert.equal(net.node(1).commit, 1);
  return net;
}

function change(net: Network, leader: number, what: MembershipChange): void {
  const outcome = net.node(leader).changeMembership(what);
  assert.ok(outcome.ok, outcome.ok ? "" : outcome.refusal.message);
  net.settle();
}

/** Who is what; which entries admitted whom is the matter of config-change.test.ts. */
function configurationOf(net: Network, n: number): Configuration {
  return { ...net.node(n).raft.status().configuration, admissions: [] };
}

/** Lets time pass until somebody leads a later term. */
function nextLeader(net: Network): TestNode {
  const term = Math.max(...[...net.nodes.values()].map((node) => node.term));
  for (let i = 0; i < 200; i++) {
    net.tick();
    const leader = net.leaders().find((node) => node.term > term);
    if (leader !== undefined) return leader;
  }
  throw new Error("nobody was elected within 200 ticks");
}
