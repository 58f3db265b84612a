/** The stable names of the properties: reports, mutants and documentation use these. */
export const checkerNames = [
  "election-safety",
  "vote-safety",
  "log-matching",
  "leader-completeness",
  "state-machine-safety",
  "commit-monotone",
  "durable-ack",
  "linearizability",
  "linearizability-search",
  "exactly-once",
  "no-lost-job",
  "double-success",
  "lock-exclusion",
  "fencing",
  "empty-claim",
  "watch",
  "liveness",
  "recovery",
  "reference",
  "throughput",
] as const;

export type CheckerName = (typeof checkerNames)[number];

/** {@link Report}, held to the names above. */
export type CheckerReport = (checker: CheckerName, problem: string) => void;
