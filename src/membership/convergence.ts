import { type HttpPollView, type MembershipView, type SwimOptions, isPresent, suspicionBounds } from "#membership/core";

/** One condition of "everybody sees the same cluster", as far as one node can tell. */
export interface Clause {
  readonly name: "joined" | "digest_agrees" | "no_young_suspicion" | "local_health" | "peers_known" | "no_suspect";
  /** Null while it holds; else one sentence with the numbers. */
  readonly broken: string | null;
}

const AGREEING_SHARE = 0.8;
/** One agreeing peer of one proves little among thirty-six. */
const MIN_SAMPLED = 4;
const MAX_HEALTH_MULTIPLIER = 3;

/**
 * Whether this node's view can be taken for the cluster's: it has joined, at least 80 % of the distinct peers that were heard in
 * the last periods hold the same digest, nobody's death is being decided, and this node itself is well. A node that holds
 * everybody for dead agrees with nobody: to itself, one that was cut off looks like the last one left.
 */
export function swimConvergence(view: MembershipView, options: SwimOptions): readonly Clause[] {
  const { lifecycle, sampled, agreeing, healthMultiplier, youngestSuspicion, members, self, at } = view;
  const others = members.filter(({ record }) => record.id !== self.id && isPresent(record)).length;
  const dead = members.filter(({ record }) => record.state === "dead").length;
  const needed = Math.min(MIN_SAMPLED, others);
  const agrees = agreeing >= AGREEING_SHARE * sampled;
  const young = youngestSuspicion === null ? null : at - youngestSuspicion;
  const { minMs } = suspicionBounds(others + 1, options);
  return [
    { name: "joined", broken: lifecycle === "joined" ? null : `this node is ${lifecycle}` },
    {
      name: "digest_agrees",
      broken:
        others === 0 && dead > 0
          ? `nobody else is alive in this node's view, which holds ${dead} for dead: forget those that are gone for good`
          : sampled < needed
            ? `${sampled} of ${others} peers heard lately, ${needed} needed`
            : agrees
              ? null
              : `${agreeing} of ${sampled} peers heard lately hold this node's digest, 80 % needed`,
    },
    {
      name: "no_young_suspicion",
      broken: young === null || young >= minMs ? null : `a suspicion is ${Math.round(young)} ms old, ${minMs} needed`,
    },
    {
      name: "local_health",
      broken:
        healthMultiplier <= MAX_HEALTH_MULTIPLIER
          ? null
          : `this node's health multiplier is ${healthMultiplier}, at most ${MAX_HEALTH_MULTIPLIER}`,
    },
  ];
}

/** Polling has no digest: all that a node can tell is that it has a verdict about everyone. */
export function httpConvergence({ peers }: HttpPollView): readonly Clause[] {
  const count = (state: string): number => peers.filter((peer) => peer.state === state).length;
  const unknown = count("unknown");
  const suspect = count("suspect");
  return [
    { name: "peers_known", broken: unknown === 0 ? null : `${unknown} of ${peers.length} peers have not been heard yet` },
    { name: "no_suspect", broken: suspect === 0 ? null : `${suspect} of ${peers.length} peers missed their last poll` },
  ];
}
