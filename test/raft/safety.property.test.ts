import assert from "node:assert/strict";
import { test } from "node:test";
import { LogIndex, type NodeId, type Random, seededRandom, type Term } from "#kernel";
import { isJoint, type MembershipChange, membersOf, type Message } from "#raft";
import { isQuorum } from "../../src/raft/quorum/index.ts";
import { Network, TestNode, voters } from "./network.ts";

const SEEDS = Number(process.env["RAFT_SEEDS"] ?? 300);
const STEPS = 1500;

test(`safety holds through drops, delays, duplicates, crashes, compaction and membership changes (${SEEDS} seeds), and progress returns after they end`, () => {
  const seen = {
    elections: 0,
    commits: 0,
    crashes: 0,
    installs: 0,
    reads: 0,
    changes: 0,
    joint: 0,
    promoted: 0,
    handedOver: 0,
    ledJoint: 0,
  };
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      const world = new World(seed);
      for (let i = 0; i < STEPS; i++) world.step();
      world.heal();
      seen.elections += world.leaderOfTerm.size;
      seen.commits += world.chosen.size;
      seen.crashes += world.crashes;
      seen.installs += world.installs;
      seen.reads += world.reads;
      seen.changes += world.changes;
      seen.joint += world.wasJoint ? 1 : 0;
      seen.ledJoint += world.wasLedAnewWhileJoint ? 1 : 0;
      seen.handedOver += world.nodes.some((node) => node.marks.includes("stepped down: handed over")) ? 1 : 0;
      seen.promoted += world.nodes.some((node) => node.marks.includes("learners promoted")) ? 1 : 0;
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`, { cause: error });
    }
  }
  // The faults must not have smothered what they test.
  assert.ok(seen.elections > SEEDS && seen.commits > SEEDS * 10, JSON.stringify(seen));
  assert.ok(seen.changes > SEEDS / 2 && seen.joint > SEEDS / 4 && seen.promoted > SEEDS / 20, JSON.stringify(seen));
  assert.ok(seen.handedOver > SEEDS / 20, JSON.stringify(seen));
  assert.ok(seen.ledJoint > SEEDS / 50, JSON.stringify(seen));
  assert.ok(seen.crashes > SEEDS && seen.installs > SEEDS / 10 && seen.reads > SEEDS, JSON.stringify(seen));
});

class World {
  readonly random: Random;
  readonly net: Network;
  /** Every world has weather of its own, from calm to rough. */
  readonly lossRate: number;
  readonly repeatRate: number;
  readonly crashRate: number;
  readonly changeRate: number;
  readonly nodes: readonly TestNode[];
  readonly leaderOfTerm = new Map<Term, NodeId>();
  /** What is committed, by index: "index:term:data". */
  readonly chosen = new Map<number, string>();
  crashes = 0;
  installs = 0;
  reads = 0;
  changes = 0;
  wasJoint = false;
  wasLedAnewWhileJoint = false;
  #inFlight: Message[] = [];
  #known = new Map<NodeId, { term: number; commit: number; wasLeaderIn: number }>();
  /** The highest commit index anyone had when a read was asked for: it may not be served below. */
  #readFloors = new Map<string, number>();
  #commands = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.lossRate = this.random() * 0.15;
    this.repeatRate = this.random() * 0.15;
    this.crashRate = this.random() * 0.005;
    this.changeRate = this.random() < 0.3 ? 0 : this.random() * 0.06;
    const count = this.random() < 0.7 ? 3 : 5;
    const configuration = voters(count);
    const options = {
      preVote: this.random() < 0.7,
      checkQuorum: this.random() < 0.7,
      electionTicks: 4,
      maxMessageBytes: 150,
      maxInflightBytes: this.random() < 0.5 ? 300 : 10_000,
      maxCommittedBytes: this.random() < 0.5 ? 100 : 10_000,
    };
    const spare = this.changeRate === 0 ? 0 : 2;
    this.nodes = voters(count + spare).voters.map((node, i) => {
      const known = i < count ? configuration : voters(0);
      return new TestNode({ id: node, configuration: known, options, random: seededRandom(seed * 31 + i) });
    });
    this.net = new Network(this.nodes);
    this.net.installsAtOnce = false;
  }

  step(): void {
    const node = this.#pick(this.nodes);
    const dice = this.random();
    if (!node.isUp) {
      if (dice < 0.3) node.restart();
    } else if (this.random() < this.changeRate) this.#changeMembership();
    else if (dice < 0.12) node.tick();
    else if (node.hasWholeSnapshot && this.random() < 0.3) this.#install(node);
    else if (dice < 0.6) this.#deliverOne();
    else if (dice < 0.85) node.sync(1 + Math.floor(this.random() * 2));
    else if (dice < 0.92) this.#pick([node, ...this.net.leaders()]).propose(...this.#newCommands());
    else if (dice < 0.95) this.#read(node);
    else if (dice < 0.965) this.#compact(node);
    else if (dice < 0.965 + this.crashRate) this.#crash(node);
    else if (dice < 0.985) node.step({ kind: "campaign" });
    else if (dice < 0.987) this.#partition();
    else if (dice < 0.989) node.step({ kind: "peerDisconnected", peer: this.#pick(this.nodes).id });
    else if (dice < 0.993) this.#handOver();
    this.#collect();
    this.check();
  }

  #handOver(): void {
    for (const leader of this.net.leaders()) {
      leader.raft.transferLeadership(this.random() < 0.5 ? null : this.#pick(this.nodes).id);
    }
  }

  /**
   * Faults end: everything restarts or recovers, one leader emerges, no change is left half done, and what the leader is asked
   * to do gets done by every member. Who was removed is switched off, as an operator would.
   */
  heal(): void {
    for (const node of this.nodes) if (!node.isUp) node.restart();
    this.#inFlight = [];
    this.net.heal();
    this.net.installsAtOnce = true;
    for (const node of this.nodes) this.net.installWhole(node);
    for (let i = 0; i < 400 && !this.#isWhole(); i++) {
      this.net.tick();
      this.#switchOffRemoved();
      this.check();
    }
    assert.ok(
      this.#isWhole(),
      `not whole after healing: ${this.nodes.map((n) => `${n.id} ${n.role} t${n.term} ${n.commit}/${n.last}`).join()}`,
    );
    const leader = this.net.leaders().at(-1)!;
    assert.equal(leader.propose("after").ok, true);
    this.net.settle();
    this.net.tick(3);
    this.check();
    for (const node of this.#membersBy(leader))
      assert.equal(node.applied.at(-1)?.endsWith(":after"), true, `${node.id} ends in ${node.applied.at(-1)}`);
    this.#checkLogMatching();
  }

  check(): void {
    for (const node of this.nodes) if (node.isUp) this.#checkNode(node);
    if (this.random() < 0.02) this.#checkLogMatching();
  }

  #checkNode(node: TestNode): void {
    const { term, commitIndex, role, appliedIndex, lastIndex } = node.raft.status();
    const known = this.#known.get(node.id) ?? { term: 0, commit: 0, wasLeaderIn: -1 };
    assert.ok(term >= known.term, `${node.id}: term fell from ${known.term} to ${term}`);
    assert.ok(commitIndex >= known.commit, `${node.id}: commit fell from ${known.commit} to ${commitIndex}`);
    assert.ok(
      appliedIndex <= commitIndex && commitIndex <= lastIndex,
      `${node.id}: ${appliedIndex} ≤ ${commitIndex} ≤ ${lastIndex}`,
    );
    if (commitIndex > known.commit) this.#checkDurableOnQuorum(node, commitIndex);
    if (role === "leader") {
      assert.equal(this.leaderOfTerm.get(term) ?? node.id, node.id, `two leaders in term ${term}`);
      this.leaderOfTerm.set(term, node.id);
      if (known.wasLeaderIn !== term) {
        this.#checkLeaderCompleteness(node);
        this.wasLedAnewWhileJoint ||= isJoint(node.raft.status().configuration);
      }
    }
    for (const line of node.applied.slice(Math.max(0, known.commit - 1))) {
      const index = Number(line.slice(0, line.indexOf(":")));
      assert.equal(line, this.chosen.get(index) ?? line, `${node.id} applied another entry at ${index}`);
      this.chosen.set(index, line);
    }
    this.#checkReads(node);
    this.#known.set(node.id, { term, commit: commitIndex, wasLeaderIn: role === "leader" ? term : known.wasLeaderIn });
  }

  #checkDurableOnQuorum(node: TestNode, index: LogIndex): void {
    if (node.role !== "leader") return; // it only repeats what a leader has decided
    const term = node.raft.termAt(index);
    const holders = new Set(
      this.nodes
        .filter(
          ({ disk }) =>
            (disk.snapshot?.index ?? 0) >= index || disk.entries.some((entry) => entry.index === index && entry.term === term),
        )
        .map((holder) => holder.id),
    );
    // In force when it was counted: what the log says up to there, or behind it up to its end.
    const { configuration } = node.raft.status();
    const isOnQuorum = [node.raft.configurationAt(index), configuration].some((one) => isQuorum(one, (id) => holders.has(id)));
    assert.ok(isOnQuorum, `${node.id} committed ${index}@${term}, durable on ${[...holders].join()}`);
  }

  #checkLeaderCompleteness(leader: TestNode): void {
    for (const [index, line] of this.chosen) {
      const term = leader.raft.termAt(LogIndex(index));
      if (index > leader.raft.baseIndex)
        assert.equal(String(term), line.split(":")[1], `leader ${leader.id} lacks committed ${line}`);
    }
  }

  #checkLogMatching(): void {
    for (const a of this.nodes) {
      for (const b of this.nodes) {
        if (a.id >= b.id || !a.isUp || !b.isUp) continue;
        const from = Math.max(a.raft.baseIndex, b.raft.baseIndex) + 1;
        let matched = false;
        for (let i = Math.min(a.last, b.last); i >= from; i--) {
          const same = a.raft.termAt(LogIndex(i)) === b.raft.termAt(LogIndex(i));
          assert.ok(same || !matched, `logs of ${a.id} and ${b.id} agree above ${i} but not there`);
          matched ||= same;
        }
      }
    }
  }

  #changeMembership(): void {
    const leader = this.#pick(this.net.leaders());
    if (leader === undefined) return;
    const node = this.#pick(this.nodes).id;
    const change = this.#pick<MembershipChange>([
      { kind: "add", node, promote: this.random() < 0.7 },
      { kind: "promote", node },
      { kind: "demote", node },
      { kind: "remove", node },
      { kind: "replace", remove: node, add: this.#pick(this.nodes).id },
    ]);
    if (!leader.changeMembership(change).ok) return;
    this.changes++;
    this.wasJoint ||= isJoint(leader.raft.status().configuration);
  }

  #membersBy(leader: TestNode): readonly TestNode[] {
    const members = membersOf(leader.raft.status().configuration);
    return this.nodes.filter((node) => members.has(node.id));
  }

  #switchOffRemoved(): void {
    const leader = this.net.leaders().find((node) => node.raft.status().ownTermCommitted);
    if (leader === undefined) return;
    const { configuration, configurationIndex, commitIndex } = leader.raft.status();
    if (isJoint(configuration) || configurationIndex > commitIndex) return;
    const stay = new Set(this.#membersBy(leader));
    for (const node of this.nodes) if (node.isUp && !stay.has(node)) node.crash();
  }

  /** One or two nodes are cut off for a while, or the network is whole again. */
  #partition(): void {
    this.net.heal();
    if (this.random() < 0.4) return;
    const count = this.nodes.length >= 5 ? 2 : 1;
    for (let i = 0; i < count; i++) this.net.isolate(1 + Math.floor(this.random() * this.nodes.length));
  }

  #compact(node: TestNode): void {
    if (node.raft.status().appliedIndex > (node.disk.snapshot?.index ?? 0)) node.compact(this.random() < 0.7 ? 0 : 3);
  }

  #install(node: TestNode): void {
    this.installs++;
    this.net.installWhole(node);
  }

  #crash(node: TestNode): void {
    this.crashes++;
    this.#forgetReadsOf(node);
    node.crash(Math.floor(this.random() * 3));
    this.#known.delete(node.id);
  }

  #read(node: TestNode): void {
    const floor = Math.max(...this.nodes.map((other) => (other.isUp ? other.commit : 0)));
    const readId = node.read();
    this.#readFloors.set(`${node.id}/${readId}`, floor);
  }

  #checkReads(node: TestNode): void {
    for (const { readId, index } of node.readable.splice(0)) {
      const floor = this.#readFloors.get(`${node.id}/${readId}`);
      assert.ok(floor !== undefined, `${node.id} answers read ${readId}, which this life did not ask`);
      assert.ok(index >= floor, `${node.id} may read at ${index}, but ${floor} was committed before the read`);
      this.reads++;
    }
  }

  #forgetReadsOf(node: TestNode): void {
    for (const key of this.#readFloors.keys()) if (key.startsWith(`${node.id}/`)) this.#readFloors.delete(key);
  }

  #deliverOne(): void {
    if (this.#inFlight.length === 0) return;
    const at = Math.floor(this.random() * Math.min(this.#inFlight.length, 12));
    const message = this.#inFlight[at]!;
    const fate = this.random();
    if (fate > this.repeatRate) this.#inFlight.splice(at, 1); // else it arrives again
    if (fate > 1 - this.lossRate) return;
    this.net.deliver(message);
  }

  #collect(): void {
    for (const node of this.nodes) {
      if (!node.isUp) continue;
      node.pump();
      this.#inFlight.push(...node.takeSent());
    }
    // A link that never drains is a link that loses.
    if (this.#inFlight.length > 200) this.#inFlight.splice(0, this.#inFlight.length - 200);
  }

  #isWhole(): boolean {
    const leaders = this.net.leaders();
    const [leader] = leaders;
    if (leader === undefined || leaders.length !== 1) return false;
    const { configuration } = leader.raft.status();
    if (isJoint(configuration) || configuration.promoting.length > 0) return false;
    return this.#membersBy(leader).every(
      (node) => node.isUp && node.commit === leader.last && node.raft.status().appliedIndex === node.commit,
    );
  }

  #newCommands(): string[] {
    const count = 1 + Math.floor(this.random() * 3);
    return Array.from({ length: count }, () => `c${++this.#commands}`);
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.random() * items.length)]!;
  }
}
