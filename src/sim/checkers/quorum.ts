import type { NodeId } from "#kernel";
import { type Configuration, votersOf } from "#raft";

/** Null when those that satisfy `holds` are a majority of both halves; else who they are, for the message. */
export function missingQuorum(configuration: Configuration, holds: (voter: NodeId) => boolean): string | null {
  const majority = (voters: readonly NodeId[]) => voters.filter(holds).length > voters.length / 2;
  const { voters, votersOutgoing } = configuration;
  if (majority(voters) && (votersOutgoing === null || majority(votersOutgoing))) return null;
  const all = [...votersOf(configuration)];
  return `${all.filter(holds).join(", ") || "nobody"} of ${all.join(", ")}`;
}
