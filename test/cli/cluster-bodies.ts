import type { Answered, Body } from "../../src/cli/monitor/picture.ts";

/** Bodies as nodes answer them, for screens. */

export const NOW = Date.UTC(2026, 0, 25, 17, 4, 5);

export interface MemberBody {
  readonly id: string;
  readonly provider: string;
  readonly more?: Body;
}

export function statusBody(nodeId: string, more: Body = {}): Body {
  return {
    status: "ok",
    reasons: [],
    node_id: nodeId,
    cluster_id: "hex-1",
    role: nodeId === "hetzner-cpu1" ? "leader" : "follower",
    leader_id: "hetzner-cpu1",
    term: "12",
    commit_index: "91234",
    applied_index: "91234",
    alive_peers: 5,
    total_peers: 6,
    cluster_health: "healthy",
    quorum_ok: true,
    votes: "3/2/3",
    voters: {
      "hetzner-cpu1": { alive: true, is_leader: true, match_index: "91240", suspect: false },
      "hetzner-cpu2": { alive: true, is_leader: false, match_index: "91240", suspect: false },
      "nebius-h100-3": { alive: true, is_leader: false, match_index: "91200", suspect: false },
    },
    work: { PENDING: 5, RUNNING: 2 },
    queues: { selfplay: { PENDING: 4, CLAIMED: 1, RUNNING: 2 }, training: { PENDING: 1 } },
    jobs: 3,
    sessions: 5,
    locks: { held: 1, waiters: 2 },
    membership: membershipBody(),
    stale_ms: 40,
    ...more,
  };
}

export function membershipBody(more: Body = {}): Body {
  return {
    mode: "swim",
    converged: true,
    lifecycle: "joined",
    digest: "5f3a00c1",
    agreeing: 4,
    sampled: 4,
    health_multiplier: 1,
    partition: null,
    self_test: { udp: "ok", clock: "unknown" },
    ...more,
  };
}

export function nodesBody(members: readonly MemberBody[], more: Body = {}): Body {
  return {
    nodes: members.map(({ id, provider, more: own = {} }) => ({
      node_id: id,
      state: "alive",
      for_ms: 7_200_000,
      path: "direct",
      relays: [],
      rtt_ms: 21.4,
      flaps_per_hour: 0,
      provider,
      degraded: false,
      ...own,
    })),
    committed: {
      nodes: { "lambda-gh200-2": { state: "UP", scheduling: "DRAINING" } },
      holders: { "lambda-gh200-1": { claims: 2, locks: 1 } },
    },
    events: [
      {
        at_wall_ms: NOW - 65_000,
        level: "warn",
        message: "member suspected",
        fields: { member: "vast-29118471", accuser: "hetzner-cpu2" },
      },
    ],
    ...more,
  };
}

export const sixMembers: readonly MemberBody[] = [
  { id: "hetzner-cpu1", provider: "hetzner" },
  { id: "hetzner-cpu2", provider: "hetzner" },
  { id: "lambda-gh200-1", provider: "lambda" },
  { id: "lambda-gh200-2", provider: "lambda" },
  { id: "nebius-h100-3", provider: "nebius" },
  {
    id: "vast-29118471",
    provider: "vast",
    more: {
      state: "suspect",
      for_ms: 3_000,
      path: "relay",
      relays: ["hetzner-cpu1", "nebius-h100-3"],
      rtt_ms: 180.2,
      flaps_per_hour: 1.3,
    },
  },
];

export function answered(door: string, status: Body): Answered {
  return { door, status, problem: null };
}

export function silent(door: string, problem = "ECONNREFUSED"): Answered {
  return { door, status: null, problem };
}
