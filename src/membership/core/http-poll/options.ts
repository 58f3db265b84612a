import { checkKnobs, type BrokenRelation, type Knobs, type Relation } from "../knobs.ts";

/** Every number that the HTTP polling detector goes by. Durations are whole milliseconds. */
export interface HttpPollOptions {
  /** Pause between two polls of a peer that lives. Smaller: faster, and n × (n − 1) more requests in the cluster. */
  readonly intervalMs: number;
  /** One request for `/status`, from dialling to the last byte. Below the interval, so that polls of one peer never overlap. */
  readonly requestTimeoutMs: number;
  /** Polls in a row that must fail, and … */
  readonly failures: number;
  /** … how long there must have been no answer, before a peer is held dead. Both: a poller that stood still has heard nothing either. */
  readonly peerTimeoutMs: number;
  /** First pause between two polls of a dead peer. It doubles, and up to a quarter is added at random. At least the interval. */
  readonly recoveryMinMs: number;
  /** Longest such pause, before the quarter; without a word from the peer itself, its return goes unnoticed for as long. */
  readonly recoveryMaxMs: number;
}

export type HttpPollProfileName = "failover" | "connectivity";

/** The two runbooks disagree; each profile is named after its runbook. `failover` is the default. */
export const httpPollProfiles: Readonly<Record<HttpPollProfileName, HttpPollOptions>> = {
  /** Polled every 15 s, dead after 60 s without an answer. */
  failover: {
    intervalMs: 15_000,
    requestTimeoutMs: 5_000,
    failures: 4,
    peerTimeoutMs: 60_000,
    recoveryMinMs: 15_000,
    recoveryMaxMs: 300_000,
  },
  /** Polled every 5 s, dead after three misses, first recovery probe after 10 s. */
  connectivity: {
    intervalMs: 5_000,
    requestTimeoutMs: 3_000,
    failures: 3,
    peerTimeoutMs: 15_000,
    recoveryMinMs: 10_000,
    recoveryMaxMs: 300_000,
  },
};

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

export const httpPollKnobs = {
  intervalMs: { key: "interval", unit: "duration", min: 100, max: 10 * MINUTE },
  requestTimeoutMs: { key: "request_timeout", unit: "duration", min: 50, max: 5 * MINUTE },
  failures: { key: "failures", unit: "count", min: 1, max: 100 },
  peerTimeoutMs: { key: "peer_timeout", unit: "duration", min: 100, max: 60 * MINUTE },
  recoveryMinMs: { key: "recovery_min", unit: "duration", min: 100, max: 60 * MINUTE },
  recoveryMaxMs: { key: "recovery_max", unit: "duration", min: SECOND, max: 24 * 60 * MINUTE },
} as const satisfies Knobs<HttpPollOptions>;

/** Every rule that the options break, ranges first. */
export function checkHttpPollOptions(
  options: HttpPollOptions,
  nameOf?: (field: keyof HttpPollOptions) => string,
): readonly BrokenRelation<keyof HttpPollOptions>[] {
  return checkKnobs(options, httpPollKnobs, relations, nameOf);
}

const relations: readonly Relation<keyof HttpPollOptions, HttpPollOptions>[] = [
  {
    field: "requestTimeoutMs",
    other: "intervalMs",
    rule: "below",
    holds: ({ requestTimeoutMs, intervalMs }) => requestTimeoutMs < intervalMs,
    why: "polls of one peer would overlap",
  },
  {
    field: "intervalMs",
    other: "peerTimeoutMs",
    rule: "at most",
    holds: ({ intervalMs, peerTimeoutMs }) => intervalMs <= peerTimeoutMs,
    why: "a peer must be asked before it can be held silent",
  },
  {
    field: "intervalMs",
    other: "recoveryMinMs",
    rule: "at most",
    holds: ({ intervalMs, recoveryMinMs }) => intervalMs <= recoveryMinMs,
    why: "a dead peer must not be polled more often than a living one",
  },
  {
    field: "recoveryMinMs",
    other: "recoveryMaxMs",
    rule: "at most",
    holds: ({ recoveryMinMs, recoveryMaxMs }) => recoveryMinMs <= recoveryMaxMs,
    why: "the pause grows from the one to the other",
  },
];

export interface HttpPollFigures {
  readonly members: number;
  /** From the crash to a peer's verdict: soonest (it crashed just before a poll and refuses connections), latest (the reverse). */
  readonly detectionMinMs: number;
  readonly detectionMaxMs: number;
  readonly requestsPerMinute: number;
  readonly clusterRequestsPerMinute: number;
}

/** What the options mean for a cluster of `members`, each of which polls all others. */
export function explainHttpPoll(options: HttpPollOptions, members: number): HttpPollFigures {
  const { intervalMs, requestTimeoutMs, failures, peerTimeoutMs } = options;
  // The verdict falls with a failed poll: the first one at which both conditions hold.
  const polls = Math.max(failures, Math.ceil(peerTimeoutMs / intervalMs));
  const pollsPerMinute = ((members - 1) * MINUTE) / intervalMs;
  return {
    members,
    detectionMinMs: (polls - 1) * intervalMs,
    detectionMaxMs: polls * intervalMs + requestTimeoutMs,
    requestsPerMinute: Math.round(pollsPerMinute),
    clusterRequestsPerMinute: Math.round(pollsPerMinute * members),
  };
}
