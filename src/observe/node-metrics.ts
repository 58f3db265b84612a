import { votesOf, type NodeView, type StateView } from "./node-view.ts";
import { Registry, type Counter, type Histogram } from "./registry.ts";

/** What the operating system and the runtime say about this process. */
export interface ProcessView {
  readonly eventLoopLagSeconds: number;
  readonly residentBytes: number;
  readonly cpuSeconds: number;
  readonly startTimeSeconds: number;
}

/** A node's metrics: handles for what is counted as it happens, and `update` for what is looked at. */
export interface NodeMetrics {
  readonly proposals: Counter;
  readonly proposalsFailed: Counter;
  /** Seconds. */
  readonly commitDuration: Histogram;
  /** Seconds. */
  readonly fsyncDuration: Histogram;
  readonly batchEntries: Histogram;
  readonly clockJumps: Counter;
  raftEvent(name: string): void;
  /** A verdict of the detectors was proposed to the log. */
  verdicts(name: string): void;
  update(view: NodeView, process: ProcessView): void;
  /** Prometheus text. */
  render(): string;
}

export function nodeMetrics(): NodeMetrics {
  const registry = new Registry();
  /** Rendered once the node turns out to keep a log: a worker's zeros would be read as a voter that does nothing. */
  const log = new Registry();
  let keepsLog = false;
  const leaderChanges = registry.counter("ringrift_raft_leader_changes_total");
  let lastLeader: string | null = null;
  return {
    proposals: log.counter("ringrift_raft_proposals_total"),
    proposalsFailed: log.counter("ringrift_raft_proposals_failed_total"),
    commitDuration: log.histogram("ringrift_raft_commit_duration_seconds"),
    fsyncDuration: log.histogram("ringrift_raft_fsync_duration_seconds"),
    batchEntries: log.histogram("ringrift_raft_batch_entries"),
    clockJumps: registry.counter("ringrift_clock_jumps_total"),
    raftEvent: (name) => log.counter("ringrift_raft_events_total", name).add(),
    verdicts: (name) => log.counter("ringrift_membership_verdicts_total", name).add(),
    update(view, process) {
      // The first leader is no change; "none" in between is not a leader.
      if (view.leaderId !== null) {
        if (lastLeader !== null && lastLeader !== view.leaderId) leaderChanges.add();
        lastLeader = view.leaderId;
      }
      keepsLog ||= view.raft !== null;
      updateCluster(registry, view);
      updateRaft(registry, view);
      if (view.state !== null) updateState(registry, view.state);
      updateProcess(registry, process);
    },
    render: () => registry.render() + (keepsLog ? log.render() : ""),
  };
}

function updateCluster(registry: Registry, view: NodeView): void {
  const leads = view.role === "leader" ? 1 : 0;
  const { reachable, needed, total } = votesOf(view);
  registry.gauge("ringrift_p2p_is_leader").set(leads);
  registry.gauge("ringrift_p2p_alive_peers").set(view.alivePeers);
  registry.counter("ringrift_p2p_election_count").set(view.raft?.electionCount ?? 0);
  registry.clear("ringrift_p2p_leader_info");
  if (view.leaderId !== null) registry.gauge("ringrift_p2p_leader_info", view.leaderId).set(1);
  registry.clear("ringrift_node_info");
  registry.gauge("ringrift_node_info", view.nodeId, view.role === "worker" ? "worker" : "voter", view.version).set(1);
  registry.gauge("ringrift_raft_has_leader").set(view.leaderId === null ? 0 : 1);
  registry.gauge("ringrift_raft_voters").set(total);
  if (reachable === null) return;
  registry.gauge("ringrift_raft_voters_healthy").set(reachable);
  registry.gauge("ringrift_raft_fault_tolerance").set(reachable - needed);
}

function updateRaft(registry: Registry, { raft, role, voters }: NodeView): void {
  if (raft === null) return;
  registry.gauge("ringrift_raft_is_leader").set(role === "leader" ? 1 : 0);
  registry.gauge("ringrift_raft_term").set(raft.term);
  registry.gauge("ringrift_raft_commit_index").set(raft.commitIndex);
  registry.gauge("ringrift_raft_applied_index").set(raft.appliedIndex);
  registry.gauge("ringrift_raft_apply_lag_entries").set(raft.commitIndex - raft.appliedIndex);
  registry.gauge("ringrift_raft_suspect").set(raft.suspect ? 1 : 0);
  registry.gauge("ringrift_raft_member").set(raft.isMember ? 1 : 0);
  registry.gauge("ringrift_raft_directory_refused").set(raft.directoryRefusedBy.length);
  registry.counter("ringrift_raft_snapshot_failures_total").set(raft.snapshotFailures);
  registry.counter("ringrift_raft_clock_entries_total").set(raft.clockEntries);
  registry.gauge("ringrift_raft_disk_low").set(raft.disk.isLow ? 1 : 0);
  if (raft.disk.freeBytes !== null) registry.gauge("ringrift_raft_disk_free_bytes").set(raft.disk.freeBytes);
  registry.gauge("ringrift_raft_state_divergence").set(raft.divergence === null ? 0 : 1);
  registry.gauge("ringrift_raft_quarantined").set(raft.divergence?.quarantined === true ? 1 : 0);
  registry.clear("ringrift_raft_peer_match_lag_entries");
  registry.clear("ringrift_raft_peer_suspect");
  for (const { name, matchIndex, suspect } of voters) {
    if (matchIndex === null) continue;
    registry.gauge("ringrift_raft_peer_suspect", name).set(suspect === true ? 1 : 0);
    registry.gauge("ringrift_raft_peer_match_lag_entries", name).set(Math.max(0, raft.commitIndex - matchIndex));
  }
}

function updateState(registry: Registry, state: StateView): void {
  registry.clear("ringrift_queue_items");
  for (const [queue, states] of state.queues) {
    for (const [name, items] of Object.entries(states)) registry.gauge("ringrift_queue_items", queue, name).set(items);
  }
  registry.gauge("ringrift_job_count").set(state.jobs);
  registry.gauge("ringrift_session_open").set(state.sessions);
  registry.gauge("ringrift_lock_held").set(state.locks.held);
  registry.gauge("ringrift_lock_waiters").set(state.locks.waiters);
  registry.clear("ringrift_registry_versions");
  registry.clear("ringrift_registry_canonical_version");
  for (const model of state.models) {
    registry.gauge("ringrift_registry_versions", model.name).set(model.versions);
    if (model.canonical !== null) registry.gauge("ringrift_registry_canonical_version", model.name).set(model.canonical);
  }
}

function updateProcess(registry: Registry, process: ProcessView): void {
  registry.gauge("nodejs_eventloop_lag_seconds").set(process.eventLoopLagSeconds);
  registry.gauge("process_resident_memory_bytes").set(process.residentBytes);
  registry.counter("process_cpu_seconds_total").set(process.cpuSeconds);
  registry.gauge("process_start_time_seconds").set(process.startTimeSeconds);
}
