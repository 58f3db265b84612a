import { clusterHealth, healthOf, votesOf, type NodeView, type StateView } from "#observe";

/**
 * The body of `GET /status`, in the shape that the runbooks' jq and python read: `voters` is an object by name, `leader_id`
 * is null while there is none. Indexes and the term are strings (64 bits do not fit a JSON number); counts are numbers.
 */
export function statusBody(view: NodeView): Readonly<Record<string, unknown>> {
  const votes = votesOf(view);
  const { healthy, reasons } = healthOf(view);
  return {
    status: healthy ? "ok" : "degraded",
    reasons,
    alarms: alarmsBody(view),
    node_id: view.nodeId,
    cluster_id: view.clusterId,
    version: view.version,
    role: view.role,
    leader_id: view.leaderId,
    term: text(view.raft?.term),
    commit_index: text(view.raft?.commitIndex),
    applied_index: text(view.raft?.appliedIndex),
    election_count: view.raft?.electionCount ?? 0,
    ...divergenceBody(view),
    alive_peers: view.alivePeers,
    total_peers: view.totalPeers,
    cluster_health: clusterHealth(view),
    // A quorum without a leader decides nothing: both are said, and the numbers beside them.
    quorum_ok: votes.reachable === null ? view.leaderId !== null : votes.reachable >= votes.needed,
    votes: `${votes.reachable ?? "?"}/${votes.needed}/${votes.total}`,
    voters: votersBody(view),
    ...(view.state === null ? {} : stateBody(view.state)),
  };
}

/** Null on workers, which have no log. `jq ".alarms | with_entries(select(.value))"` shows those that are raised. */
function alarmsBody({ raft }: NodeView): Readonly<Record<string, boolean>> | null {
  if (raft === null) return null;
  return {
    not_a_member: !raft.isMember,
    suspect: raft.suspect,
    disk_low: raft.disk.isLow,
    data_directory_refused: raft.directoryRefusedBy.length > 0,
    state_divergence: raft.divergence !== null,
    quarantined: raft.divergence?.quarantined ?? false,
  };
}

/** Only while there is something to say: voters whose states differ. */
function divergenceBody({ raft }: NodeView): Readonly<Record<string, unknown>> {
  const divergence = raft?.divergence ?? null;
  if (divergence === null) return {};
  const { index, odd, quarantined } = divergence;
  return { state_divergence: { index: text(index), odd, quarantined } };
}

/** An object by name, as the runbooks' jq and python read it. */
export function votersBody(view: NodeView): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    view.voters.map(({ name, alive, matchIndex, suspect }) => [
      name,
      { alive, is_leader: name === view.leaderId, match_index: text(matchIndex), suspect },
    ]),
  );
}

function stateBody(state: StateView): Readonly<Record<string, unknown>> {
  const totals: Record<string, number> = {};
  for (const states of state.queues.values()) {
    for (const [name, items] of Object.entries(states)) totals[name] = (totals[name] ?? 0) + items;
  }
  return {
    work: totals,
    queues: Object.fromEntries(state.queues),
    jobs: state.jobs,
    sessions: state.sessions,
    locks: state.locks,
    models: Object.fromEntries(
      state.models.map((model) => [
        model.name,
        { versions: model.versions, canonical_version: model.canonical, canonical_reason: model.canonicalReason },
      ]),
    ),
    committed_nodes: committedNodesBody(state),
    holders: Object.fromEntries(state.holders.map(({ nodeId, ...held }) => [nodeId, held])),
    committed_partition: state.partition,
  };
}

/** What the log holds about nodes, by name; who is not in it is up and gets work. `GET /v1/nodes` shows it beside the node's own view. */
function committedNodesBody({ nodes }: StateView): Readonly<Record<string, object>> {
  return Object.fromEntries(nodes.map(({ nodeId, sinceWallMs, ...node }) => [nodeId, { ...node, since_wall_ms: sinceWallMs }]));
}

function text(count: number | null | undefined): string | null {
  return count === null || count === undefined ? null : String(count);
}
