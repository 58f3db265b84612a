import type { NodeId } from "#kernel";
import type { Cluster } from "../cluster.ts";
import type { Dice } from "../time/random.ts";

export interface DeafVoter {
  readonly node: NodeId;
  readonly mend: () => void;
}

/**
 * Cuts the way from the leader to one voter, while all else goes on: a switch that is half dead (Cloudflare, 2020-11-02). Only
 * where a majority is whole without that voter, so that nothing excuses an election; null elsewhere.
 */
export function deafen(cluster: Cluster, leader: NodeId, dice: Dice): DeafVoter | null {
  const status = cluster.status(leader);
  if (status === null || !status.ownTermCommitted || status.transferee !== null) return null;
  const { voters, votersOutgoing, learners } = status.configuration;
  if (votersOutgoing !== null || learners.length > 0) return null;
  const followers = voters.filter((voter) => voter !== leader);
  const whole = followers.filter((voter) => {
    const progress = status.progress?.get(voter);
    return cluster.isUp(voter) && progress?.state === "replicate" && progress.recentlyActive && !progress.suspect;
  });
  // With the leader itself, and without the one that is to be deaf.
  if (!voters.includes(leader) || whole.length <= voters.length / 2) return null;
  const node = dice.pick(whole);
  cluster.network.cut(leader, node);
  return { node, mend: () => cluster.network.heal(cluster.network.link(leader, node)) };
}
