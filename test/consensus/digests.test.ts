import assert from "node:assert/strict";
import { test } from "node:test";
import { type NodeId, type Refusal, Sequence } from "#kernel";
import type { Command, StateMachine } from "#statemachine";
import { enqueue } from "../replica/operations.ts";
import { ask, reasonOf, TestCluster, type TestNode } from "./cluster.ts";

const nothing: Command = {
  sessionId: null,
  sequence: null,
  firstUnackedSequence: Sequence(0),
  operation: { kind: "advanceClock" },
};

/** Fails to carry out one command, and says nothing of it. */
function forgetting(machine: StateMachine, isFaulty: () => boolean): StateMachine {
  let isForgotten = false;
  return new Proxy(machine, {
    get(target, name) {
      if (name === "apply") {
        return (command: Command, context: Parameters<StateMachine["apply"]>[1]) => {
          const forgets = isFaulty() && !isForgotten && command.operation.kind === "enqueueWork";
          isForgotten ||= forgets;
          return target.apply(forgets ? nothing : command, context);
        };
      }
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
}

async function clusterWithFaults(size = 3) {
  const faulty = new Set<NodeId>();
  const machine = (id: NodeId, whole: StateMachine): StateMachine => forgetting(whole, () => faulty.has(id));
  const cluster = await TestCluster.start({ machine }, size);
  return { cluster, faulty };
}

/** Past the next index at which voters compare. */
async function thousand(cluster: TestCluster, leader: TestNode): Promise<void> {
  for (let round = 0; round < 5; round += 1) {
    const asked = Array.from({ length: 210 }, () => ask(leader, enqueue("q", "x")));
    await cluster.until(() => asked.every(({ answers }) => answers.length === 1) || !leader.engine.leader().isSelf);
  }
  await cluster.run(200);
}

test("a follower whose state differs is quarantined: it shows its state to nobody, stands for nothing, and still votes", async () => {
  const { cluster, faulty } = await clusterWithFaults();
  const leader = await cluster.leader();
  const [odd, other] = cluster.followers(leader) as [TestNode, TestNode];
  faulty.add(odd.id);
  await thousand(cluster, leader);

  const { quarantined, divergence } = odd.replica.status();
  assert.equal(quarantined, true);
  assert.deepEqual(divergence?.odd, [odd.id]);
  const read = await odd.replica.read({ mode: "stale" }, (reader) => reader.counts());
  assert.equal(read.ok ? null : read.refusal.reason, "UNAVAILABLE");
  let ended: string | null = null;
  const watch = { fromRevision: 0 as never, snapshot: true, kinds: [], keyPrefix: "" };
  odd.replica.watch(watch, { push: () => {}, end: (why: Refusal) => void (ended = why.reason), ready: true } as never);
  assert.equal(ended, "UNAVAILABLE");
  for (const node of [leader, other]) {
    assert.deepEqual(node.replica.status().divergence?.odd, [odd.id]);
    assert.equal(node.replica.status().quarantined, false);
  }

  odd.engine.campaign();
  await cluster.kill(leader.id);
  assert.equal(await cluster.leader(), other);
  assert.equal(odd.replica.appliedIndex, other.replica.appliedIndex);
});

test("a leader whose state differs gives up the lead", async () => {
  const { cluster, faulty } = await clusterWithFaults();
  const odd = await cluster.leader();
  faulty.add(odd.id);
  await thousand(cluster, odd);
  const next = await cluster.leader();
  assert.notEqual(next, odd);
  assert.equal(odd.replica.status().quarantined, true);
  assert.equal(reasonOf(ask(odd, enqueue("q", "x"))), "UNAVAILABLE");
});

test("two voters that differ both say so, and neither is quarantined", async () => {
  const { cluster, faulty } = await clusterWithFaults(2);
  const leader = await cluster.leader();
  const [other] = cluster.followers(leader) as [TestNode];
  faulty.add(other.id);
  await thousand(cluster, leader);
  for (const node of [leader, other]) {
    assert.deepEqual(node.replica.status().divergence?.odd, []);
    assert.equal(node.replica.status().quarantined, false);
  }
});

test("a restart is no pardon: only a state that is right again lifts the quarantine", async () => {
  const { cluster, faulty } = await clusterWithFaults();
  const leader = await cluster.leader();
  const [odd] = cluster.followers(leader) as [TestNode, TestNode];
  faulty.add(odd.id);
  await thousand(cluster, leader);
  await cluster.kill(odd.id);
  // The same fault again: the others, who have long passed that index, answer what it missed.
  const again = await cluster.boot(odd.id);
  await cluster.until(() => again.replica.status().quarantined);
  await cluster.kill(odd.id);
  faulty.clear();
  const healed = await cluster.boot(odd.id);
  await cluster.until(() => healed.replica.appliedIndex === leader.replica.appliedIndex);
  assert.equal(healed.replica.status().quarantined, false);
  await thousand(cluster, leader);
  for (const node of cluster.nodes.values()) assert.equal(node.replica.status().divergence, null);
});
