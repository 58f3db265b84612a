import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ClusterTimeMs,
  type Incarnation,
  LogIndex,
  NodeId,
  type Sequence,
  Term,
  type WallTimeMs,
  incarnationText,
} from "#kernel";
import type { MemberState } from "#membership/core";
import type { Log } from "#ports";
import { createStateMachine, type Operation } from "#statemachine";
import type { Testimony } from "../../../src/membership/evidence.ts";
import type { Removal } from "../../../src/membership/removals.ts";
import { MAX_PER_ROUND, REPEAT_MS, Verdicts } from "../../../src/membership/verdicts.ts";
import { Scheduler } from "../../../src/sim/time/scheduler.ts";
import { FakeLoop } from "./fake-world.ts";

// Through the inside on purpose: the cluster around the verdicts is made here, its log included.

const names = (...ids: readonly string[]): readonly NodeId[] => ids.map(NodeId);
const [v1, v2, v3, v4, v5] = names("v1", "v2", "v3", "v4", "v5") as [NodeId, NodeId, NodeId, NodeId, NodeId];
const gpu = NodeId("gpu-1");
const life = (epoch: number, counter = 0): Incarnation => ({ epoch, counter });
const nothing: readonly string[] = [];

test("a death that a majority sees is in the log within two rounds, once, and tells who saw it", async () => {
  const cluster = new Cluster();
  cluster.see([v1, v2], gpu, "dead", life(7));
  await cluster.run(2_500);
  assert.deepEqual(cluster.log, ["nodeDown gpu-1 7.0 by v1 v2"]);
  await cluster.run(60_000);
  assert.deepEqual(cluster.log, ["nodeDown gpu-1 7.0 by v1 v2"]);
  assert.deepEqual(cluster.told, ["node declared down"]);
});

test("nobody is asked anything while the leader itself sees no news", async () => {
  const cluster = new Cluster();
  await cluster.run(60_000);
  assert.equal(cluster.questions, 0);
  cluster.see([v2, v3], gpu, "dead", life(7));
  await cluster.run(60_000);
  assert.deepEqual([cluster.questions, cluster.log], [0, []]);
});

test("what the leader alone sees is asked about and not proposed", async () => {
  const cluster = new Cluster();
  cluster.see([v1], gpu, "dead", life(7));
  cluster.see([v2, v3], gpu, "suspect", life(7));
  await cluster.run(5_000);
  assert.ok(cluster.questions > 0);
  assert.deepEqual(cluster.log, nothing);
});

test("a node that is back under a newer life is declared up, and may die again", async () => {
  const cluster = new Cluster();
  cluster.see([v1, v2, v3], gpu, "dead", life(7));
  await cluster.run(5_000);
  cluster.see([v1, v2, v3], gpu, "alive", life(8));
  await cluster.run(5_000);
  cluster.see([v1, v2, v3], gpu, "dead", life(8));
  await cluster.run(5_000);
  assert.deepEqual(cluster.log, [
    "nodeDown gpu-1 7.0 by v1 v2 v3",
    "nodeUp gpu-1 8.0 by v1 v2 v3",
    "nodeDown gpu-1 8.0 by v1 v2 v3",
  ]);
});

test("a follower proposes nothing, and a leader nothing before an entry of its own term is committed", async () => {
  const cluster = new Cluster({ leads: [] });
  cluster.see([v1, v2, v3], gpu, "dead", life(7));
  await cluster.run(10_000);
  assert.deepEqual(cluster.log, nothing);
  cluster.elect(v2);
  await cluster.run(2_500);
  assert.deepEqual(cluster.log, ["nodeDown gpu-1 7.0 by v1 v2 v3"]);
});

test("a new leader repeats no verdict of the old one", async () => {
  const cluster = new Cluster();
  cluster.see([v1, v2, v3], gpu, "dead", life(7));
  await cluster.run(5_000);
  cluster.elect(v2);
  await cluster.run(30_000);
  assert.deepEqual(cluster.log, ["nodeDown gpu-1 7.0 by v1 v2 v3"]);
});

test("a leader that is deposed while it asks does not propose", async () => {
  const cluster = new Cluster();
  cluster.see([v1, v2, v3], gpu, "dead", life(7));
  cluster.answerMs = 700;
  await cluster.run(1_200);
  assert.equal(cluster.questions, 2);
  cluster.elect(null);
  await cluster.run(10_000);
  assert.deepEqual(cluster.proposals, nothing);
});

test("a proposal that is lost with its leader is made by the next one; one that is in flight is not repeated", async () => {
  const cluster = new Cluster();
  cluster.commitMs = 20_000;
  cluster.see([v1, v2, v3], gpu, "dead", life(7));
  await cluster.run(15_000);
  assert.deepEqual(cluster.proposals, ["nodeDown gpu-1 7.0"], "in flight for fourteen rounds");
  cluster.commitMs = 10;
  cluster.elect(v3);
  await cluster.run(20_000);
  assert.deepEqual(cluster.proposals, ["nodeDown gpu-1 7.0", "nodeDown gpu-1 7.0"]);
  assert.deepEqual(cluster.log, ["nodeDown gpu-1 7.0 by v1 v2 v3"]);
});

test("a leader that lost a proposal and leads again in another term makes it again", async () => {
  const cluster = new Cluster();
  cluster.commitMs = 20_000;
  cluster.see([v1, v2, v3], gpu, "dead", life(7));
  await cluster.run(3_000);
  cluster.elect(v2);
  cluster.commitMs = 10;
  cluster.elect(v1);
  await cluster.run(3_000);
  assert.deepEqual(cluster.log, ["nodeDown gpu-1 7.0 by v1 v2 v3"]);
});

test("an answer that was asked for too long ago is no vote, however it came about", async () => {
  const cluster = new Cluster();
  cluster.see([v1, v2, v3], gpu, "dead", life(7));
  cluster.answerMs = 6_000;
  await cluster.run(30_000);
  assert.deepEqual(cluster.log, nothing);
});

test("voters that do not answer have no vote; the others are enough if they are a majority", async () => {
  const cluster = new Cluster({ voters: [[v1, v2, v3, v4, v5]] });
  cluster.see([v1, v2, v3, v4, v5], gpu, "dead", life(7));
  cluster.unreachable = new Set([v3, v4, v5]);
  await cluster.run(10_000);
  assert.deepEqual(cluster.log, nothing);
  cluster.unreachable = new Set([v4, v5]);
  await cluster.run(2_500);
  assert.deepEqual(cluster.log, ["nodeDown gpu-1 7.0 by v1 v2 v3"]);
});

test("in a joint configuration both halves are asked, and both have to agree", async () => {
  const halves = [
    [v1, v2, v3],
    [v3, v4, v5],
  ];
  const cluster = new Cluster({ voters: halves });
  cluster.see([v1, v2, v3], gpu, "dead", life(7));
  cluster.see([v4, v5], gpu, "alive", life(7));
  await cluster.run(5_000);
  assert.deepEqual(cluster.log, nothing);
  cluster.see([v5], gpu, "dead", life(7));
  await cluster.run(2_500);
  assert.deepEqual(cluster.log, ["nodeDown gpu-1 7.0 by v1 v2 v3 v5"]);
});

test("a leader in bad health asks nobody and proposes nothing", async () => {
  const cluster = new Cluster();
  cluster.see([v1, v2, v3], gpu, "dead", life(7));
  cluster.healthMultiplier.set(v1, 4);
  await cluster.run(10_000);
  assert.deepEqual([cluster.questions, cluster.log], [0, []]);
  cluster.healthMultiplier.set(v1, 3);
  await cluster.run(2_500);
  assert.equal(cluster.log.length, 1);
});

test("a flood of deaths goes into the log a round's share at a time, the cut network first, and all of it in the end", async () => {
  const cluster = new Cluster();
  const lost = Array.from({ length: 3 * MAX_PER_ROUND }, (_, at) => NodeId(`w${String(at).padStart(3, "0")}`));
  for (const node of lost) cluster.see([v1, v2, v3], node, "dead", life(1));
  for (const voter of [v1, v2, v3]) cluster.partition.set(voter, lost);
  await cluster.run(1_500);
  assert.equal(cluster.log.length, MAX_PER_ROUND);
  assert.match(cluster.log[0]!, /^partitionSuspected/);
  await cluster.run(10_000);
  assert.equal(cluster.log.length, lost.length + 1);
  assert.equal(new Set(cluster.log).size, cluster.log.length);
  for (const voter of [v1, v2, v3]) cluster.partition.delete(voter);
  await cluster.run(2_500);
  assert.equal(cluster.log.at(-1), "partitionHealed by v1 v2 v3");
});

test("what the log refuses is not offered in every round", async () => {
  const cluster = new Cluster({ maxNodes: 0 });
  cluster.see([v1, v2, v3], gpu, "dead", life(7));
  const seconds = 60;
  await cluster.run(seconds * 1_000);
  assert.deepEqual(cluster.log, nothing);
  const most = (seconds * 1_000) / REPEAT_MS;
  assert.ok(cluster.proposals.length > 2 && cluster.proposals.length <= most, String(cluster.proposals.length));
});

test("a node whose session spoke after the verdict is not declared down for that life again", async () => {
  const cluster = new Cluster();
  cluster.see([v1, v2, v3], gpu, "dead", life(7));
  await cluster.run(2_500);
  cluster.apply({
    kind: "openSession",
    nodeId: gpu,
    incarnation: 1,
    principal: "",
    purpose: "",
    ttlMs: 30_000,
    capabilities: null,
  });
  await cluster.run(10_000);
  assert.deepEqual(cluster.log, ["nodeDown gpu-1 7.0 by v1 v2 v3"]);
});

test("who was forgotten is forgotten by the SWIM of every voter, and let in again when the log readmits", async () => {
  const cluster = new Cluster();
  const barrier = life(2 ** 20);
  cluster.see([v1, v2, v3], gpu, "dead", life(7));
  cluster.apply({ kind: "forgetNode", nodeId: gpu, barrier, reason: "", by: "" });
  await cluster.run(1_500);
  const forget = { kind: "forget", member: gpu, barrier };
  assert.deepEqual(cluster.removals, { v1: [forget], v2: [forget], v3: [forget] });
  cluster.see([v1, v2, v3], gpu, "removed", barrier);
  cluster.apply({ kind: "readmitNode", nodeId: gpu, reason: "", by: "" });
  await cluster.run(1_000);
  const readmit = { kind: "readmit", member: gpu };
  assert.deepEqual(cluster.removals, { v1: [forget, readmit], v2: [forget, readmit], v3: [forget, readmit] });
  assert.deepEqual(cluster.log, nothing);
});

test("a closed loop asks and proposes nothing more", async () => {
  const cluster = new Cluster();
  cluster.see([v1, v2, v3], gpu, "dead", life(7));
  cluster.answerMs = 700;
  await cluster.run(1_200);
  cluster.close();
  await cluster.run(10_000);
  assert.deepEqual([cluster.questions, cluster.proposals], [2, nothing]);
});

interface ClusterOptions {
  readonly voters?: readonly (readonly NodeId[])[];
  /** Who leads at first; default v1. */
  readonly leads?: readonly NodeId[];
  readonly maxNodes?: number;
}

/** Voters that see what a test says, around one log. A proposal is committed after a while, unless its leader falls. */
class Cluster {
  /** What the log has taken, as text. */
  readonly log: string[] = [];
  readonly proposals: string[] = [];
  readonly told: string[] = [];
  readonly removals: Record<string, Removal[]> = {};
  readonly healthMultiplier = new Map<NodeId, number>();
  readonly partition = new Map<NodeId, readonly NodeId[]>();
  unreachable: ReadonlySet<NodeId> = new Set();
  answerMs = 5;
  commitMs = 10;
  questions = 0;
  readonly #loop = new FakeLoop(new Scheduler());
  readonly #seen = new Map<NodeId, Map<NodeId, { readonly state: MemberState; readonly incarnation: Incarnation }>>();
  readonly #machine;
  readonly #voters: readonly (readonly NodeId[])[];
  readonly #loops: readonly Verdicts[];
  #leader: NodeId | null;
  #term = Term(5);
  #lastIndex: number;

  constructor({ voters = [[v1, v2, v3]], leads = [v1], maxNodes }: ClusterOptions = {}) {
    this.#voters = voters;
    this.#machine = createStateMachine(maxNodes === undefined ? {} : { maxNodes });
    this.#lastIndex = 0;
    this.#leader = leads[0] ?? null;
    this.apply({ kind: "raiseFeatureLevel", level: 1 });
    this.#loops = [...new Set(voters.flat())].map((voter) => new Verdicts(voter, this.#ports(voter)));
  }

  see(voters: readonly NodeId[], node: NodeId, state: MemberState, incarnation: Incarnation): void {
    for (const voter of voters) this.#membersOf(voter).set(node, { state, incarnation });
  }

  /** What the old leader had in flight is lost. */
  elect(leader: NodeId | null): void {
    this.#leader = leader;
    this.#term = Term(this.#term + 1);
  }

  /** Straight into the log. */
  apply(operation: Operation): boolean {
    this.#lastIndex += 1;
    return this.#commit(operation, this.#lastIndex);
  }

  close(): void {
    for (const loop of this.#loops) loop.close();
  }

  async run(ms: number): Promise<void> {
    const { scheduler } = this.#loop;
    const until = scheduler.nowMs + ms;
    // Promises settle between two events, as in an event loop.
    while (scheduler.step(until)) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  #ports(voter: NodeId): ConstructorParameters<typeof Verdicts>[1] {
    const { clock, timers } = this.#loop;
    return {
      clock,
      timers,
      log: { ...quiet, info: (message) => void this.told.push(message), warn: (message) => void this.told.push(message) },
      look: (about) => Promise.resolve(this.#testimony(voter, about)),
      ask: async (peer, about) => {
        this.questions += 1;
        if (this.unreachable.has(peer)) return null;
        await new Promise<void>((resolve) => timers.after(this.answerMs, resolve));
        return this.#testimony(peer, about);
      },
      committed: () => Promise.resolve(this.#committed(voter)),
      propose: (proposals) => this.#propose(voter, proposals),
      remove: (removals) => void (this.removals[voter] ??= []).push(...removals),
      onProposed: () => {},
    };
  }

  #testimony(voter: NodeId, about: readonly NodeId[]): Testimony {
    const told = [...this.#membersOf(voter)].filter(
      ([id, { state }]) => (state !== "alive" && state !== "suspect") || about.includes(id),
    );
    return {
      healthMultiplier: this.healthMultiplier.get(voter) ?? 1,
      members: new Map(told),
      partition: this.partition.get(voter) ?? null,
    };
  }

  #committed(voter: NodeId) {
    const reader = this.#machine.read();
    const partition = reader.partition();
    return {
      index: LogIndex(this.#machine.revision),
      leads: voter === this.#leader ? { term: this.#term, voters: this.#voters } : null,
      nodes: new Map(reader.listNodes().map(({ node }) => [node.nodeId, node])),
      partition: partition?.state === "SUSPECTED" ? partition.lost : null,
    };
  }

  #propose(voter: NodeId, proposals: readonly Operation[]) {
    if (voter !== this.#leader) return null;
    const term = this.#term;
    const firstIndex = LogIndex(this.#lastIndex + 1);
    for (const operation of proposals) {
      const index = ++this.#lastIndex;
      this.proposals.push(textOf(operation));
      this.#loop.timers.after(this.commitMs, () => {
        if (term !== this.#term) return;
        const by = "observedBy" in operation ? ` by ${operation.observedBy.join(" ")}` : "";
        if (this.#commit(operation, index)) this.log.push(`${textOf(operation)}${by}`);
      });
    }
    return { term, firstIndex };
  }

  #commit(operation: Operation, index: number): boolean {
    const now = this.#loop.scheduler.nowMs;
    const entry = { index: LogIndex(index), clusterTimeMs: now as ClusterTimeMs, wallTimeMs: now as WallTimeMs };
    const command = { sessionId: null, sequence: null, firstUnackedSequence: 0 as Sequence, operation };
    return this.#machine.apply(command, entry).decision.outcome.ok;
  }

  #membersOf(voter: NodeId) {
    const known = this.#seen.get(voter) ?? new Map<NodeId, { readonly state: MemberState; readonly incarnation: Incarnation }>();
    this.#seen.set(voter, known);
    return known;
  }
}

function textOf(operation: Operation): string {
  const about = "nodeId" in operation && "incarnation" in operation && typeof operation.incarnation === "object";
  return about ? `${operation.kind} ${operation.nodeId} ${incarnationText(operation.incarnation)}` : operation.kind;
}

const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };
