import { type LogIndex, NO_INDEX, type NodeId } from "#kernel";
import type { Configuration } from "../types.ts";

export type VoteResult = "won" | "lost" | "pending";

/**
 * The highest index that a quorum holds: of both halves when the configuration is joint (§6).
 *
 * Naive on purpose: sort and take the middle. A clever incremental version once committed without a quorum (openraft#1802).
 */
export function committedIndex(configuration: Configuration, matchOf: (voter: NodeId) => LogIndex): LogIndex {
  const incoming = majorityIndex(configuration.voters, matchOf);
  if (configuration.votersOutgoing === null) return incoming;
  const outgoing = majorityIndex(configuration.votersOutgoing, matchOf);
  return incoming < outgoing ? incoming : outgoing;
}

/** Counts the votes of voters only; one vote each, whoever else answered. */
export function voteResult(configuration: Configuration, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  const incoming = majorityVote(configuration.voters, votes);
  if (configuration.votersOutgoing === null) return incoming;
  const outgoing = majorityVote(configuration.votersOutgoing, votes);
  if (incoming === outgoing) return incoming;
  return incoming === "lost" || outgoing === "lost" ? "lost" : "pending";
}

/** Whether the voters that satisfy `holds` are a quorum. */
export function isQuorum(configuration: Configuration, holds: (voter: NodeId) => boolean): boolean {
  return (
    isMajority(configuration.voters, holds) &&
    (configuration.votersOutgoing === null || isMajority(configuration.votersOutgoing, holds))
  );
}

function majorityIndex(voters: readonly NodeId[], matchOf: (voter: NodeId) => LogIndex): LogIndex {
  const matches = voters.map(matchOf).sort((a, b) => b - a);
  return matches[majorityOf(voters) - 1] ?? NO_INDEX;
}

function majorityVote(voters: readonly NodeId[], votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  let granted = 0;
  let refused = 0;
  for (const voter of voters) {
    const vote = votes.get(voter);
    if (vote === true) granted++;
    else if (vote === false) refused++;
  }
  const needed = majorityOf(voters);
  if (granted >= needed) return "won";
  return voters.length - refused < needed ? "lost" : "pending";
}

function isMajority(voters: readonly NodeId[], holds: (voter: NodeId) => boolean): boolean {
  let count = 0;
  for (const voter of voters) if (holds(voter)) count++;
  return count >= majorityOf(voters);
}

/** An empty voter set has no majority at all: it can neither commit nor elect. */
function majorityOf(voters: readonly NodeId[]): number {
  return Math.floor(voters.length / 2) + 1;
}
