/** Every metric that exists, by family. docs/metrics.md is checked against this table. */
export interface MetricDefinition {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels?: readonly string[];
  /** Upper bounds of a histogram, rising. */
  readonly buckets?: readonly number[];
}

const SECONDS = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;
const ENTRIES = [1, 4, 16, 64, 256, 1_024, 4_096] as const;

export const catalogue = {
  ringrift_p2p_is_leader: { type: "gauge", help: "1 if this node is the leader." },
  ringrift_p2p_leader_info: {
    type: "gauge",
    help: "1 for the leader that this node knows; no series while none is known.",
    labels: ["leader_id"],
  },
  ringrift_p2p_alive_peers: {
    type: "gauge",
    help: "Members alive or suspect, this node included; without a detector: voters with a live stream plus open sessions.",
  },
  ringrift_p2p_election_count: { type: "counter", help: "Elections this node started or voted in since it came up." },
  ringrift_node_info: { type: "gauge", help: "Always 1; the labels say what runs here.", labels: ["node_id", "role", "version"] },
  ringrift_raft_is_leader: { type: "gauge", help: "1 if this voter leads." },
  ringrift_raft_has_leader: { type: "gauge", help: "1 if this node knows a leader." },
  ringrift_raft_term: { type: "gauge", help: "Current term." },
  ringrift_raft_commit_index: { type: "gauge", help: "Last committed log index known here." },
  ringrift_raft_applied_index: { type: "gauge", help: "Last log index applied here." },
  ringrift_raft_apply_lag_entries: { type: "gauge", help: "Committed entries that are not applied yet." },
  ringrift_raft_suspect: { type: "gauge", help: "1 while this voter counts for nothing, because its log may have lost its end." },
  ringrift_raft_member: { type: "gauge", help: "1 unless no configuration names this voter: removed, or not added yet." },
  ringrift_raft_directory_refused: { type: "gauge", help: "Voters that refuse this one because of its data directory." },
  ringrift_raft_disk_free_bytes: { type: "gauge", help: "Free space of the data directory's disk." },
  ringrift_raft_disk_low: { type: "gauge", help: "1 while that is below raft.min_free: a leader takes no command." },
  ringrift_raft_state_divergence: {
    type: "gauge",
    help: "1 while voters report different states after the same entries.",
  },
  ringrift_raft_quarantined: {
    type: "gauge",
    help: "1 while a majority of voters agrees against the state of this one.",
  },
  ringrift_raft_leader_changes_total: { type: "counter", help: "Times this node saw another leader than before." },
  ringrift_raft_events_total: {
    type: "counter",
    help: "What the Raft core did out of the ordinary on this voter, by event: elections, hand-overs, leases, snapshots, ….",
    labels: ["event"],
  },
  ringrift_raft_voters: { type: "gauge", help: "Configured voters." },
  ringrift_raft_voters_healthy: {
    type: "gauge",
    help: "Voters this node can reach, itself included, without those it knows as suspects.",
  },
  ringrift_raft_fault_tolerance: {
    type: "gauge",
    help: "Voters that may still be lost before nothing can be decided; below 0 there is no quorum.",
  },
  ringrift_raft_peer_match_lag_entries: {
    type: "gauge",
    help: "Leader only: entries that a voter is behind the commit index.",
    labels: ["peer"],
  },
  ringrift_raft_peer_suspect: {
    type: "gauge",
    help: "Leader only: 1 while a voter counts for nothing, because its log may have lost its end.",
    labels: ["peer"],
  },
  ringrift_raft_snapshot_failures_total: { type: "counter", help: "Snapshots that could not be saved." },
  ringrift_raft_clock_entries_total: { type: "counter", help: "Entries that this leader proposed only to let time pass." },
  ringrift_raft_proposals_total: { type: "counter", help: "Commands offered to the log on this node." },
  ringrift_raft_proposals_failed_total: { type: "counter", help: "Commands refused or dropped by the log." },
  ringrift_raft_commit_duration_seconds: {
    type: "histogram",
    help: "From proposal to commitment, on the leader.",
    buckets: SECONDS,
  },
  ringrift_raft_fsync_duration_seconds: { type: "histogram", help: "One write and fdatasync of the log.", buckets: SECONDS },
  ringrift_raft_batch_entries: { type: "histogram", help: "Entries made durable by one fdatasync.", buckets: ENTRIES },
  ringrift_queue_items: { type: "gauge", help: "Work items by queue and state.", labels: ["queue", "state"] },
  ringrift_job_count: { type: "gauge", help: "Jobs in the replicated state." },
  ringrift_session_open: { type: "gauge", help: "Open sessions." },
  ringrift_lock_held: { type: "gauge", help: "Training locks that are held." },
  ringrift_lock_waiters: { type: "gauge", help: "Sessions waiting for a training lock." },
  ringrift_registry_versions: { type: "gauge", help: "Versions of a model.", labels: ["model"] },
  ringrift_registry_canonical_version: { type: "gauge", help: "Version behind the alias canonical.", labels: ["model"] },
  ringrift_membership_info: { type: "gauge", help: "Always 1; which detector runs here.", labels: ["mode"] },
  ringrift_membership_members: {
    type: "gauge",
    help: "Members by their state as this node sees it, itself included where SWIM runs.",
    labels: ["state"],
  },
  ringrift_membership_converged: {
    type: "gauge",
    help: "1 while this node's view can be taken for the cluster's: every clause of /health?converged=true holds.",
  },
  ringrift_membership_events_total: {
    type: "counter",
    help: "What this node has seen of members, by event; those of HTTP polling begin with http-.",
    labels: ["event"],
  },
  ringrift_membership_verdicts_total: {
    type: "counter",
    help: "What this voter, as the leader, has proposed to the log for a majority of the voters.",
    labels: ["verdict"],
  },
  ringrift_membership_self_test: {
    type: "gauge",
    help: "What the network lets through: 1 it does, 0 it does not; absent while nobody was there to tell.",
    labels: ["check"],
  },
  ringrift_swim_boot: { type: "gauge", help: "Number of this life of the node: the epoch of its incarnation." },
  ringrift_swim_sampled_peers: { type: "gauge", help: "Distinct peers heard within the last periods." },
  ringrift_swim_agreeing_peers: { type: "gauge", help: "Of those, the ones that hold this node's digest." },
  ringrift_swim_health_multiplier: { type: "gauge", help: "1 is healthy; up to 8: probes of this node are that much slower." },
  ringrift_swim_partition_lost: {
    type: "gauge",
    help: "Members that were lost nearly at once, when that looks like a cut network.",
  },
  ringrift_swim_config_mismatch: { type: "gauge", help: "1 for each peer that runs other numbers.", labels: ["peer"] },
  ringrift_swim_voters_mismatch: {
    type: "gauge",
    help: "1 for each member whose configuration lists other voters than this node's.",
    labels: ["peer"],
  },
  ringrift_swim_messages_sent_total: { type: "counter", help: "Datagrams and stream frames sent." },
  ringrift_swim_datagrams_received_total: { type: "counter", help: "Datagrams received, those rejected included." },
  ringrift_swim_bytes_total: { type: "counter", help: "Bytes of datagrams and streams.", labels: ["direction"] },
  ringrift_swim_probes_total: { type: "counter", help: "Members probed." },
  ringrift_swim_failed_probes_total: {
    type: "counter",
    help: "Probes that nobody answered, directly, through others or over a stream.",
  },
  ringrift_swim_unknown_messages_total: {
    type: "counter",
    help: "Messages passed over because only a newer version knows their kind.",
  },
  ringrift_swim_rejected_total: { type: "counter", help: "Packets thrown away, by reason.", labels: ["reason"] },
  ringrift_swim_streams_refused_total: { type: "counter", help: "Inbound streams over the limits." },
  ringrift_detector_deaths_total: {
    type: "counter",
    help: "Mode hybrid: verdicts of each detector, by what came after: true (or standing), false, unclear.",
    labels: ["detector", "judged"],
  },
  ringrift_detector_messages_total: {
    type: "counter",
    help: "Mode hybrid: datagrams and frames, or requests.",
    labels: ["detector"],
  },
  ringrift_detector_detection_seconds: {
    type: "gauge",
    help: "Mode hybrid: from the last sign of life to the verdict.",
    labels: ["detector", "quantile"],
  },
  ringrift_detector_disagreements_total: {
    type: "counter",
    help: "Mode hybrid: times that exactly one detector held a member dead.",
  },
  ringrift_clock_jumps_total: {
    type: "counter",
    help: "Times the wall clock stepped by more than a second against the monotonic clock.",
  },
  nodejs_eventloop_lag_seconds: { type: "gauge", help: "99th percentile of the main thread's delay since the last snapshot." },
  process_resident_memory_bytes: { type: "gauge", help: "Resident memory of the process." },
  process_cpu_seconds_total: { type: "counter", help: "User and system time of the process." },
  process_start_time_seconds: { type: "gauge", help: "Start of the process, in seconds since 1970." },
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof catalogue;
