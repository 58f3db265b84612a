/**
 * Every event that the core tells of in `Ready.trace`: metrics, the trace and the simulator's counters rely on these names.
 * A mark is a fact about one node's core, never an instruction; nothing in the core depends on who listens.
 */
export const marks = [
  // elections and leadership
  "election started",
  "election lost",
  "became leader",
  "stepped down: later term",
  "stepped down: handed over",
  "stepped down: disk stalled",
  "stepped down: must not lead",
  "stepped down: not a voter any more",
  "checkQuorum: stepped down",
  "transfer started",
  "transfer aborted",
  "timeoutNow ignored",
  "leader suspected: link lost",
  "leader forgotten: silent",
  "campaign ignored: leading",
  "campaign ignored: not promotable",
  "campaign ignored: a lease may be held",
  "vote refused",
  "vote refused: live leader",
  "stale vote reply ignored",
  // reads
  "lease granted",
  "lease expired",
  "read by lease",
  "read answer ignored: nobody waits",
  // the log
  "append below commit",
  "append ignored: installing a snapshot",
  "append rejected",
  "conflict truncated",
  "stale rejection ignored",
  // membership
  "configuration appended",
  "learners promoted",
  "reply of a non-member ignored",
  // snapshots
  "snapshot started",
  "snapshot postponed: peer silent",
  "snapshot chunk repeated",
  "snapshot chunk ignored: installing",
  "snapshot incomplete",
  "snapshot installed",
  "snapshot given up: no room",
  "snapshot ignored: behind commit",
  "snapshot ignored: log matches",
  "stale snapshot reply ignored",
  // a log or a state in doubt
  "peer is suspect",
  "peer is no longer suspect",
  "suspicion lifted",
  "state digest ignored",
  // the rest
  "late tick skipped",
  "misdirected message ignored",
  "stale message ignored",
  "reply ignored: not leading",
] as const;

export type Mark = (typeof marks)[number];
