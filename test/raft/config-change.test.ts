import assert from "node:assert/strict";
import { test } from "node:test";
import { assertNever, LogIndex, NO_INDEX, type NodeId, type Random, seededRandom } from "#kernel";
import { type Configuration, type MembershipChange, admissionOf, isJoint, settledConfiguration } from "#raft";
import { leaveJoint, planChange, planPromotion, whyInvalid } from "../../src/raft/config-change/index.ts";
import { id, voters } from "./network.ts";

const [n1, n2, n3, n4] = [id(1), id(2), id(3), id(4)];
const three = voters(3);
/** Of the entry to be. */
const at = LogIndex(20);
/** Members that entry 20 made such. */
const admitting = (...nodes: NodeId[]) => ({ admissions: nodes.map((node) => ({ node, index: at })) });

test("a new learner takes one step, because no majority changes", () => {
  assert.deepEqual(planned(three, { kind: "add", node: n4, promote: false }), {
    ...settledConfiguration([n1, n2, n3], [n4]),
    ...admitting(n4),
  });
  assert.deepEqual(planned(three, { kind: "add", node: n4, promote: true }), {
    ...settledConfiguration([n1, n2, n3], [n4]),
    promoting: [n4],
    ...admitting(n4),
  });
});

test("a learner that is marked for promotion stays a learner until it has caught up, and then goes through a joint step", () => {
  const marked = planned(voters(3, [n4]), { kind: "promote", node: n4 });
  assert.deepEqual(marked, { ...voters(3, [n4]), promoting: [n4] });
  const joint = planPromotion(marked, [n4]);
  assert.deepEqual(joint, { ...settledConfiguration([n1, n2, n3, n4]), votersOutgoing: [n1, n2, n3] });
  assert.deepEqual(leaveJoint(joint), settledConfiguration([n1, n2, n3, n4]));
});

test("a demoted voter keeps its vote in the outgoing half, and is a learner only after the joint configuration is left", () => {
  const joint = planned(three, { kind: "demote", node: n3 });
  assert.deepEqual(joint, { ...settledConfiguration([n1, n2]), votersOutgoing: [n1, n2, n3], learnersNext: [n3] });
  assert.deepEqual(leaveJoint(joint), settledConfiguration([n1, n2], [n3]));
});

test("demoting a learner that is to be promoted withdraws the promotion", () => {
  assert.deepEqual(planned({ ...voters(3, [n4]), promoting: [n4] }, { kind: "demote", node: n4 }), voters(3, [n4]));
});

test("removing a voter is joint, removing a learner is not and forgets its promotion", () => {
  assert.deepEqual(planned(three, { kind: "remove", node: n1 }), {
    ...settledConfiguration([n2, n3]),
    votersOutgoing: [n1, n2, n3],
  });
  assert.deepEqual(planned({ ...voters(3, [n4]), promoting: [n4] }, { kind: "remove", node: n4 }), three);
});

test("one voter takes the place of another in one joint step, whether it was a learner before or is new", () => {
  const joint = { ...settledConfiguration([n2, n3, n4]), votersOutgoing: [n1, n2, n3] };
  assert.deepEqual(planned(three, { kind: "replace", remove: n1, add: n4 }), { ...joint, ...admitting(n4) });
  assert.deepEqual(planned({ ...voters(3, [n4]), promoting: [n4] }, { kind: "replace", remove: n1, add: n4 }), joint);
});

test("a membership lasts through every change of role and ends when the node is out: added again, it has another one", () => {
  const steps: readonly MembershipChange[] = [
    { kind: "promote", node: n4 },
    { kind: "demote", node: n4 },
    { kind: "replace", remove: n1, add: n4 },
    { kind: "demote", node: n3 },
    { kind: "remove", node: n4 },
  ];
  let configuration = planned(three, { kind: "add", node: n4, promote: false });
  for (const change of steps) {
    configuration = planned(configuration, change, 30);
    if (configuration.promoting.length > 0) configuration = planPromotion(configuration, [n4]);
    assert.equal(admissionOf(configuration, n4), at, `${change.kind}: leaving is not over before the joint step is`);
    if (isJoint(configuration)) configuration = leaveJoint(configuration);
  }
  assert.equal(admissionOf(configuration, n4), null);
  assert.equal(admissionOf(configuration, n2), NO_INDEX, "a founder");
  assert.deepEqual(configuration.admissions, []);
  assert.equal(admissionOf(planned(configuration, { kind: "add", node: n4, promote: true }, 40), n4), 40);
});

test("what makes no sense is refused by name", () => {
  const withLearner = voters(3, [n4]);
  const cases: readonly (readonly [Configuration, MembershipChange, string, RegExp])[] = [
    [three, { kind: "add", node: n1, promote: false }, "ALREADY_EXISTS", /n1 is a voter already/],
    [withLearner, { kind: "add", node: n4, promote: true }, "ALREADY_EXISTS", /n4 is a learner already/],
    [three, { kind: "promote", node: n4 }, "NOT_FOUND", /n4 is not a member/],
    [three, { kind: "promote", node: n1 }, "ALREADY_EXISTS", /n1 is a voter already/],
    [{ ...withLearner, promoting: [n4] }, { kind: "promote", node: n4 }, "ALREADY_EXISTS", /n4 is to be promoted already/],
    [three, { kind: "demote", node: n4 }, "NOT_FOUND", /n4 is not a member/],
    [withLearner, { kind: "demote", node: n4 }, "BAD_STATE", /n4 is a learner already/],
    [voters(1), { kind: "demote", node: n1 }, "BAD_STATE", /n1 is the last voter/],
    [three, { kind: "remove", node: n4 }, "NOT_FOUND", /n4 is not a member/],
    [voters(1, [n4]), { kind: "remove", node: n1 }, "BAD_STATE", /n1 is the last voter/],
    [three, { kind: "replace", remove: n1, add: n1 }, "INVALID_ARGUMENT", /n1 cannot replace itself/],
    [three, { kind: "replace", remove: n4, add: id(5) }, "NOT_FOUND", /n4 is not a member/],
    [withLearner, { kind: "replace", remove: n4, add: id(5) }, "BAD_STATE", /n4 is a learner/],
    [three, { kind: "replace", remove: n1, add: n2 }, "ALREADY_EXISTS", /n2 is a voter already/],
    [{ ...three, votersOutgoing: [n1] }, { kind: "add", node: n4, promote: false }, "BAD_STATE", /joint/],
  ];
  for (const [current, change, reason, message] of cases) {
    const outcome = planChange(current, change, at);
    assert.ok(!outcome.ok, `${change.kind} was not refused`);
    assert.equal(outcome.refusal.reason, reason, JSON.stringify(change));
    assert.match(outcome.refusal.message, message);
  }
});

test("a configuration that contradicts itself is recognised", () => {
  const cases: readonly (readonly [Partial<Configuration>, RegExp])[] = [
    [{ voters: [] }, /no voter/],
    [{ voters: [n1, n1] }, /names a node twice/],
    [{ votersOutgoing: [] }, /outgoing half.*no voter/],
    [{ learners: [n2] }, /n2 is a voter and a learner/],
    [{ votersOutgoing: [n1, n4], learners: [n4] }, /n4 is a voter and a learner/],
    [{ learnersNext: [n4] }, /n4 is to become a learner/],
    [{ votersOutgoing: [n1], learnersNext: [n1] }, /n1 is to become a learner/],
    [{ promoting: [n4] }, /n4 is to be promoted, but is no learner/],
    [admitting(n4), /n4 was admitted, but is no member/],
    [admitting(n1, n1), /admitted names a node twice/],
  ];
  for (const [change, why] of cases) assert.match(whyInvalid({ ...three, ...change }) ?? "valid", why);
  assert.equal(whyInvalid(three), null);
});

test("any sequence of changes ends, joint steps left, where a plain table of nodes and roles ends (2,000 seeds)", () => {
  const seen = { joint: 0, refused: 0, promoted: 0 };
  for (let seed = 1; seed <= 2_000; seed++) {
    const random = seededRandom(seed);
    let configuration = voters(1 + Math.floor(random() * 4));
    let table: Table = new Map(configuration.voters.map((voter) => [voter, "voter"]));
    for (let step = 0; step < 30; step++) {
      const ready = configuration.promoting.filter(() => random() < 0.5);
      if (ready.length > 0) {
        seen.promoted++;
        configuration = leaveJoint(valid(planPromotion(configuration, ready), seed));
        for (const node of ready) table.set(node, "voter");
      }
      const change = anyChange(random);
      const outcome = planChange(configuration, change, LogIndex(step + 1));
      const expected = inTable(table, change);
      assert.equal(outcome.ok, expected !== null, `seed ${seed}: ${JSON.stringify({ configuration, change })}`);
      if (!outcome.ok || expected === null) {
        seen.refused++;
        continue;
      }
      const next = valid(outcome.value, seed);
      const before = new Set(configuration.voters);
      const isSameElectorate = next.voters.length === before.size && next.voters.every((voter) => before.has(voter));
      assert.equal(isJoint(next), !isSameElectorate, `seed ${seed}: joint if and only if the voters change`);
      if (isJoint(next)) {
        seen.joint++;
        assert.deepEqual(next.votersOutgoing, configuration.voters, "the outgoing half is the electorate before");
      }
      configuration = isJoint(next) ? valid(leaveJoint(next), seed) : next;
      table = expected;
      assert.deepEqual(tableOf(configuration), inOrder(table), `seed ${seed}: ${JSON.stringify(change)}`);
    }
  }
  assert.ok(
    Object.values(seen).every((count) => count > 1_000),
    JSON.stringify(seen),
  );
});

type Table = Map<NodeId, "voter" | "learner" | "promoting">;

/** The naive model: null = refused. */
function inTable(table: Table, change: MembershipChange): Table | null {
  const next: Table = new Map(table);
  const isLastVoter = (node: NodeId) => [...table].every(([other, role]) => other === node || role !== "voter");
  switch (change.kind) {
    case "add":
      return table.has(change.node) ? null : next.set(change.node, change.promote ? "promoting" : "learner");
    case "promote":
      return table.get(change.node) === "learner" ? next.set(change.node, "promoting") : null;
    case "demote":
      if (!table.has(change.node) || table.get(change.node) === "learner" || isLastVoter(change.node)) return null;
      return next.set(change.node, "learner");
    case "remove":
      return !isLastVoter(change.node) && next.delete(change.node) ? next : null;
    case "replace":
      if (table.get(change.remove) !== "voter" || table.get(change.add) === "voter") return null;
      next.delete(change.remove);
      return next.set(change.add, "voter");
    default:
      return assertNever(change, "membership change");
  }
}

function tableOf({ voters: electorate, learners, promoting }: Configuration): Table {
  const rows = [
    ...electorate.map((node) => [node, "voter"] as const),
    ...learners.map((node) => [node, promoting.includes(node) ? "promoting" : "learner"] as const),
  ];
  return inOrder(rows);
}

function inOrder(rows: Iterable<readonly [NodeId, "voter" | "learner" | "promoting"]>): Table {
  return new Map([...rows].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function anyChange(random: Random): MembershipChange {
  const anyNode = () => id(1 + Math.floor(random() * 6));
  const node = anyNode();
  const kinds: readonly MembershipChange[] = [
    { kind: "add", node, promote: random() < 0.5 },
    { kind: "promote", node },
    { kind: "demote", node },
    { kind: "remove", node },
    { kind: "replace", remove: node, add: anyNode() },
  ];
  return kinds[Math.floor(random() * kinds.length)]!;
}

function planned(current: Configuration, change: MembershipChange, index: number = at): Configuration {
  const outcome = planChange(current, change, LogIndex(index));
  assert.ok(outcome.ok, outcome.ok ? "" : outcome.refusal.message);
  return outcome.value;
}

function valid(configuration: Configuration, seed: number): Configuration {
  assert.equal(whyInvalid(configuration), null, `seed ${seed}: ${JSON.stringify(configuration)}`);
  return configuration;
}
