import type { NodeId } from "#kernel";
import type { Configuration } from "../types.ts";

export function isJoint(configuration: Configuration): boolean {
  return configuration.votersOutgoing !== null;
}

/**
 * What is wrong with a configuration that the log is to hold, or null. Whoever votes in either half is no learner yet, even
 * when it becomes one in the end: one node never counts and does not count at once.
 */
export function whyInvalid(configuration: Configuration): string | null {
  const { voters, votersOutgoing, learners, learnersNext, promoting, admissions } = configuration;
  const outgoing = votersOutgoing ?? [];
  const admitted = admissions.map(({ node }) => node);
  for (const [name, ids] of Object.entries({ voters, votersOutgoing: outgoing, learners, learnersNext, promoting, admitted })) {
    if (new Set(ids).size !== ids.length) return `${name} names a node twice: ${ids.join(", ")}`;
  }
  if (voters.length === 0) return "there is no voter";
  if (votersOutgoing?.length === 0) return "the outgoing half of a joint configuration has no voter";
  const both = first(learners, (id) => voters.includes(id) || outgoing.includes(id));
  if (both !== null) return `${both} is a voter and a learner`;
  const stays = first(learnersNext, (id) => !outgoing.includes(id) || voters.includes(id));
  if (stays !== null) return `${stays} is to become a learner, but is no voter of the outgoing half alone`;
  const stranger = first(promoting, (id) => !learners.includes(id));
  if (stranger !== null) return `${stranger} is to be promoted, but is no learner`;
  const guest = first(admitted, (id) => ![...voters, ...outgoing, ...learners].includes(id));
  if (guest !== null) return `${guest} was admitted, but is no member`;
  return null;
}

function first(ids: readonly NodeId[], holds: (id: NodeId) => boolean): NodeId | null {
  return ids.find(holds) ?? null;
}
