import type { Knob, Knobs } from "../knobs.ts";

/**
 * Every number that the SWIM detector goes by. Nobody sets forty numbers: a profile (profiles.ts) does, and single ones are
 * overridden. Durations are whole milliseconds. Safe ranges stand in {@link swimKnobs}, what must hold between the numbers
 * in relations.ts, what follows from them in explain.ts.
 */
export interface SwimOptions {
  // Probing: one member is pinged in every period.

  /**
   * T, the protocol period. Larger: fewer packets, slower detection. Smaller: the reverse, and more false suspicion on slow
   * machines. Everything else is measured in it. At least twice `probeTimeoutMs`.
   */
  readonly periodMs: number;
  /**
   * Longest wait for the answer to a direct ping, and the wait before a peer's round trip is known. At most half the period:
   * the relays, asked after it, must answer before the period ends. Per peer it shrinks to `rttMultiplier` times its p95.
   */
  readonly probeTimeoutMs: number;
  /** The wait never shrinks below this: a fast peer may pause for a collection of garbage. At most `probeTimeoutMs`. */
  readonly probeTimeoutFloorMs: number;
  /** How many p95 round trips a direct ping may take. Larger: relays are asked later. Smaller: without need. */
  readonly rttMultiplier: number;
  /** k, members asked to ping a silent one. Each cuts the chance of a false suspicion and costs up to four packets then. */
  readonly indirectProbes: number;
  /** A relay reports "no answer" (NACK) after this share of the probe timeout, so that its report is back in time. */
  readonly nackShare: number;
  /** Also ping a silent member over a stream, beside the relays: for networks that drop UDP. */
  readonly streamProbe: boolean;
  /** An overdue verdict waits one poll phase if it is later than this: after a stall the answer may be in the socket unread. */
  readonly verdictSlackMs: number;

  // Suspicion: how long a silent member may still refute.

  /**
   * α. Shortest suspicion = α × max(1, log10 n) × period. Larger: fewer false deaths, slower detection. 3 instead of 4 saves
   * a fifth of the time and costs about seven times the false deaths.
   */
  readonly suspicionMultiplier: number;
  /** β. Longest suspicion = β × shortest. It applies while nobody confirms, which is when this node itself may be the sick one. */
  readonly suspicionMaxMultiplier: number;
  /** K, independent confirmations that shorten a suspicion from its longest to its shortest. 0: always the shortest. */
  readonly suspicionConfirmations: number;
  /** Highest local health score; period and probe timeout are multiplied by score + 1, so 7 means 8 times at most. 0: off. */
  readonly awarenessMax: number;
  /** An event loop later than this counts as sickness of this node. */
  readonly lagLimitMs: number;
  /**
   * Tell a suspect that it is one in the very ping that probes it, so that it can refute at once (Lifeguard's buddy system); ask it early,
   * and once more before a verdict.
   */
  readonly buddy: boolean;

  // Dissemination.

  /** λ. A record is sent λ × ⌈log10(n + 1)⌉ times by each member. Larger: surer spread, more bytes after each change. */
  readonly retransmitMultiplier: number;
  /** Pace of datagrams that carry gossip alone. Nothing is sent while there is nothing to tell. Below the period. */
  readonly gossipIntervalMs: number;
  /** Members told per gossip tick. Peak = fan-out × `datagramBytes` per interval. */
  readonly gossipFanOut: number;
  /** The dead are told for this long that they are held dead, so that those that live can refute. */
  readonly gossipToDeadMs: number;
  /** Full exchange with one random member, both ways, over a stream. Repairs whatever gossip missed. */
  readonly pushPullIntervalMs: number;
  /** Up to this many members the interval is as set; beyond, it grows with the logarithm of the number, and differing views are asked again half as soon. */
  readonly pushPullScaleFrom: number;
  /** Floor between two exchanges that a differing digest asks for. Below `pushPullIntervalMs`. */
  readonly repairIntervalMs: number;
  /** Largest datagram. 1,200 bytes pass every tunnel seen (tailscale0 has an MTU of 1,280); larger ones are dropped silently. */
  readonly datagramBytes: number;
  /** Opening a stream and one exchange on it. A probe's stream must answer within its period instead. */
  readonly streamTimeoutMs: number;

  // Joining, healing, leaving.

  /** First pause between two attempts to join by the seeds; it doubles, with jitter. */
  readonly joinBackoffMinMs: number;
  /** Longest such pause. Seeds are tried for ever, so this bounds how long a cluster stays apart after all seeds were down. */
  readonly joinBackoffMaxMs: number;
  /** A member that knows others also tries one configured seed that it does not hold alive, this often: partitions heal. */
  readonly healIntervalMs: number;
  /** First pause between two attempts to reach a dead member; it doubles, with jitter, and grows with the members above 64. */
  readonly reconnectMinMs: number;
  /** Longest such pause. Larger: less traffic to machines that never return. */
  readonly reconnectMaxMs: number;
  /** A leaving member goes on telling others for at most this long. */
  readonly leaveTimeoutMs: number;
  /** How long the dead and the left are remembered, so that late gossip cannot revive them. Far above `reconnectMaxMs`. */
  readonly tombstoneMs: number;
  /** Half-life of a member's flap score, which rises by one with every return from the dead. */
  readonly flapHalfLifeMs: number;
  /** From this flap score on a member counts as flapping. */
  readonly flapLimit: number;

  // Paths.

  /** Relays that a member without a direct path keeps open. Two: the death of one costs nothing. */
  readonly relays: number;
  /** A relay gives up a member that was silent for twice as long. The member asks its relays once a period. */
  readonly keepaliveMs: number;

  // Bounds.

  /** Datagrams per second and source that reach the cipher without proving genuine; those above are dropped before it. */
  readonly sourcePacketsPerSecond: number;
  /** As many at once. At least `sourcePacketsPerSecond`. */
  readonly sourceBurst: number;
  /** Counters behind the newest of a sender at which a late datagram is still taken, once. */
  readonly replayWindow: number;
  /** Members, the dead included, beyond which unknown ones are refused. */
  readonly maxMembers: number;

  // Convergence.

  /** Peers heard in the last this many periods are compared with this node's digest. */
  readonly convergedPeriods: number;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** The only list of knobs: the configuration's schema, the documentation's table and the range checks are held to it. */
export const swimKnobs = {
  periodMs: knob("period", "duration", 50, MINUTE),
  probeTimeoutMs: knob("probe_timeout", "duration", 10, 30 * SECOND),
  probeTimeoutFloorMs: knob("probe_timeout_floor", "duration", 5, 30 * SECOND),
  rttMultiplier: knob("rtt_multiplier", "factor", 2, 20),
  indirectProbes: knob("indirect_probes", "count", 0, 10),
  nackShare: knob("nack_share", "share", 0.1, 0.95),
  streamProbe: knob("stream_probe", "switch", 0, 1),
  verdictSlackMs: knob("verdict_slack", "duration", 1, SECOND),
  suspicionMultiplier: knob("suspicion_multiplier", "factor", 1, 20),
  suspicionMaxMultiplier: knob("suspicion_max_multiplier", "factor", 1, 20),
  suspicionConfirmations: knob("suspicion_confirmations", "count", 0, 10),
  awarenessMax: knob("awareness_max", "count", 0, 20),
  lagLimitMs: knob("lag_limit", "duration", 10, MINUTE),
  buddy: knob("buddy", "switch", 0, 1),
  retransmitMultiplier: knob("retransmit_multiplier", "count", 1, 20),
  gossipIntervalMs: knob("gossip_interval", "duration", 20, MINUTE),
  gossipFanOut: knob("gossip_fan_out", "count", 1, 20),
  gossipToDeadMs: knob("gossip_to_dead", "duration", 0, HOUR),
  pushPullIntervalMs: knob("push_pull_interval", "duration", SECOND, HOUR),
  pushPullScaleFrom: knob("push_pull_scale_from", "count", 2, 10_000),
  repairIntervalMs: knob("repair_interval", "duration", 100, 10 * MINUTE),
  datagramBytes: knob("datagram_size", "bytes", 576, 1_400),
  streamTimeoutMs: knob("stream_timeout", "duration", 100, 2 * MINUTE),
  joinBackoffMinMs: knob("join_backoff_min", "duration", 100, MINUTE),
  joinBackoffMaxMs: knob("join_backoff_max", "duration", SECOND, HOUR),
  healIntervalMs: knob("heal_interval", "duration", SECOND, HOUR),
  reconnectMinMs: knob("reconnect_min", "duration", SECOND, HOUR),
  reconnectMaxMs: knob("reconnect_max", "duration", SECOND, 24 * HOUR),
  // A stop is cut off after ten seconds.
  leaveTimeoutMs: knob("leave_timeout", "duration", 100, 8 * SECOND),
  tombstoneMs: knob("tombstone", "duration", MINUTE, 30 * 24 * HOUR),
  flapHalfLifeMs: knob("flap_half_life", "duration", SECOND, 24 * HOUR),
  flapLimit: knob("flap_limit", "factor", 1, 100),
  relays: knob("relays", "count", 0, 5),
  keepaliveMs: knob("keepalive", "duration", SECOND, 5 * MINUTE),
  sourcePacketsPerSecond: knob("source_packets_per_second", "count", 10, 100_000),
  sourceBurst: knob("source_burst", "count", 10, 100_000),
  replayWindow: knob("replay_window", "count", 64, 65_536),
  maxMembers: knob("max_members", "count", 2, 100_000),
  convergedPeriods: knob("converged_periods", "count", 1, 100),
} as const satisfies Knobs<SwimOptions>;

function knob<const K extends string, const U extends Knob["unit"]>(key: K, unit: U, min: number, max: number) {
  return { key, unit, min, max } as const;
}
