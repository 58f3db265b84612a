import { ClusterId, LogIndex, NodeId, Term } from "#kernel";
import type { NodeView } from "#observe";

/** The failover runbook's five voters with hetzner-cpu1 leading, everything well. */
export const healthyLeader: NodeView = {
  nodeId: NodeId("hetzner-cpu1"),
  clusterId: ClusterId("c-1"),
  version: "0.1.0",
  role: "leader",
  leaderId: NodeId("hetzner-cpu1"),
  raft: {
    term: Term(7),
    commitIndex: LogIndex(9_007_199_254),
    appliedIndex: LogIndex(9_007_199_250),
    electionCount: 3,
    suspect: false,
    isMember: true,
    disk: { freeBytes: 1_099_511_627_776, isLow: false, lowBytes: 268_435_456 },
    divergence: null,
    directoryRefusedBy: [],
    snapshotFailures: 0,
    clockEntries: 4,
  },
  voters: ["nebius-backbone-1", "nebius-h100-3", "hetzner-cpu1", "hetzner-cpu2", "vultr-a100-20gb"].map((name) => ({
    name: NodeId(name),
    alive: true,
    matchIndex: LogIndex(9_007_199_244),
    suspect: false,
  })),
  alivePeers: 8,
  totalPeers: 36,
  state: {
    queues: new Map([
      ["selfplay", { PENDING: 4, RUNNING: 2 }],
      ["training", { PENDING: 1 }],
    ]),
    jobs: 3,
    sessions: 3,
    locks: { held: 1, waiters: 2 },
    models: [{ name: "hex8_2p", versions: 4, canonical: 3, canonicalReason: "elo 87.5" }],
    nodes: [
      {
        nodeId: NodeId("runpod-h100"),
        state: "DOWN",
        scheduling: "CORDONED",
        sinceWallMs: 1_795_000_000_000,
        event: "NODE_DOWN",
        sessions: 1,
        claims: 2,
      },
    ],
    holders: [{ nodeId: NodeId("lambda-gh200-1"), claims: 2, locks: 1 }],
    partition: null,
  },
};

export const loseVoters = (view: NodeView, lost: number): NodeView => ({
  ...view,
  voters: view.voters.map((voter, i) => ({ ...voter, alive: i >= lost })),
});

export const leaderless: NodeView = { ...healthyLeader, role: "candidate", leaderId: null };

/** A worker knows the leader from its client and nothing about voters or the log. */
export const worker: NodeView = {
  ...healthyLeader,
  nodeId: NodeId("runpod-h100"),
  role: "worker",
  raft: null,
  voters: healthyLeader.voters.map(({ name }) => ({ name, alive: null, matchIndex: null, suspect: null })),
  state: null,
};
