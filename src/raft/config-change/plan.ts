import {
  accepted,
  assertNever,
  invariant,
  type LogIndex,
  type NodeId,
  type Outcome,
  type Reason,
  refusal,
  refused,
} from "#kernel";
import type { Configuration, MembershipChange } from "../types.ts";
import { isJoint, whyInvalid } from "./invariants.ts";

/**
 * The configuration to enter for `change`. Whenever the set of voters changes it is joint (§6), also where one voter more or
 * less could go in a single step: one way to change is easier to trust than two. Refused with BAD_STATE (a change is under
 * way, or nothing would be left), NOT_FOUND, ALREADY_EXISTS or INVALID_ARGUMENT; the message names the node. `index` is that of
 * the entry to be.
 */
export function planChange(current: Configuration, change: MembershipChange, index: LogIndex): Outcome<Configuration> {
  if (isJoint(current)) return no("BAD_STATE", "another membership change is under way: the configuration is joint");
  const planned = plan(current, change, index);
  if (planned.ok) requireValid(planned.value);
  return planned;
}

/** Makes voters of `caughtUp`, all learners to be promoted, in one joint step. `current` must not be joint. */
export function planPromotion(current: Configuration, caughtUp: readonly NodeId[]): Configuration {
  invariant(!isJoint(current), "a promotion cannot start in a joint configuration");
  invariant(caughtUp.length > 0, "a promotion of nobody");
  return requireValid({
    voters: [...current.voters, ...caughtUp],
    votersOutgoing: current.voters,
    learners: without(current.learners, caughtUp),
    learnersNext: [],
    promoting: without(current.promoting, caughtUp),
    admissions: current.admissions,
  });
}

/** The settled configuration that a joint one leads to. */
export function leaveJoint(joint: Configuration): Configuration {
  invariant(isJoint(joint), "only a joint configuration can be left");
  const { voters, promoting } = joint;
  const learners = [...joint.learners, ...joint.learnersNext];
  const admissions = joint.admissions.filter(({ node }) => voters.includes(node) || learners.includes(node));
  return requireValid({ voters, votersOutgoing: null, learners, learnersNext: [], promoting, admissions });
}

function plan(current: Configuration, change: MembershipChange, index: LogIndex): Outcome<Configuration> {
  switch (change.kind) {
    case "add":
      return add(current, change.node, change.promote, index);
    case "promote":
      return promote(current, change.node);
    case "demote":
      return demote(current, change.node);
    case "remove":
      return remove(current, change.node);
    case "replace":
      return replace(current, change.remove, change.add, index);
    default:
      return assertNever(change, "membership change");
  }
}

function add(current: Configuration, node: NodeId, andPromote: boolean, index: LogIndex): Outcome<Configuration> {
  if (isMember(current, node)) return no("ALREADY_EXISTS", `${node} is a ${kindOf(current, node)} already`);
  const learners = [...current.learners, node];
  const promoting = andPromote ? [...current.promoting, node] : current.promoting;
  return accepted({ ...current, learners, promoting, admissions: [...current.admissions, { node, index }] });
}

function promote(current: Configuration, node: NodeId): Outcome<Configuration> {
  if (!isMember(current, node)) return notFound(node);
  if (current.voters.includes(node)) return no("ALREADY_EXISTS", `${node} is a voter already`);
  if (current.promoting.includes(node)) {
    return no("ALREADY_EXISTS", `${node} is to be promoted already: it becomes a voter as soon as it has caught up`);
  }
  return accepted({ ...current, promoting: [...current.promoting, node] });
}

/** Of a learner that is to be promoted: it is no longer. */
function demote(current: Configuration, node: NodeId): Outcome<Configuration> {
  if (!isMember(current, node)) return notFound(node);
  if (current.promoting.includes(node)) return accepted({ ...current, promoting: without(current.promoting, [node]) });
  if (current.learners.includes(node)) return no("BAD_STATE", `${node} is a learner already`);
  const voters = without(current.voters, [node]);
  if (voters.length === 0) return lastVoter(node);
  return accepted({ ...current, voters, votersOutgoing: current.voters, learnersNext: [node] });
}

function remove(current: Configuration, node: NodeId): Outcome<Configuration> {
  if (!isMember(current, node)) return notFound(node);
  if (current.learners.includes(node)) {
    const learners = without(current.learners, [node]);
    const admissions = current.admissions.filter((admission) => admission.node !== node);
    return accepted({ ...current, learners, promoting: without(current.promoting, [node]), admissions });
  }
  const voters = without(current.voters, [node]);
  if (voters.length === 0) return lastVoter(node);
  return accepted({ ...current, voters, votersOutgoing: current.voters });
}

/**
 * The newcomer votes from the first entry on, whether it has caught up or not: meant for the place of a voter that is lost
 * for good. For a voter that is well, `add` with `promote` first, then `remove`, keeps its vote until the other can replace it.
 */
function replace(current: Configuration, gone: NodeId, node: NodeId, index: LogIndex): Outcome<Configuration> {
  if (gone === node) return no("INVALID_ARGUMENT", `${node} cannot replace itself`, "add");
  if (!isMember(current, gone)) return notFound(gone);
  if (current.learners.includes(gone)) return no("BAD_STATE", `${gone} is a learner: only a voter can be replaced`);
  if (current.voters.includes(node)) return no("ALREADY_EXISTS", `${node} is a voter already`);
  return accepted({
    voters: [...without(current.voters, [gone]), node],
    votersOutgoing: current.voters,
    learners: without(current.learners, [node]),
    learnersNext: [],
    promoting: without(current.promoting, [node]),
    admissions: isMember(current, node) ? current.admissions : [...current.admissions, { node, index }],
  });
}

function isMember({ voters, learners }: Configuration, node: NodeId): boolean {
  return voters.includes(node) || learners.includes(node);
}

function kindOf({ voters }: Configuration, node: NodeId): string {
  return voters.includes(node) ? "voter" : "learner";
}

function without(ids: readonly NodeId[], gone: readonly NodeId[]): readonly NodeId[] {
  return ids.filter((id) => !gone.includes(id));
}

function requireValid(configuration: Configuration): Configuration {
  const why = whyInvalid(configuration);
  invariant(why === null, `a planned configuration is invalid: ${why}`);
  return configuration;
}

function notFound(node: NodeId): Outcome<Configuration> {
  return no("NOT_FOUND", `${node} is not a member`);
}

function lastVoter(node: NodeId): Outcome<Configuration> {
  return no("BAD_STATE", `${node} is the last voter: without it nothing could be decided any more`);
}

function no(reason: Reason, message: string, field?: string): Outcome<Configuration> {
  return refused(refusal(reason, message, field === undefined ? {} : { field }));
}
