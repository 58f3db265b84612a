/**
 * What a run is measured by, and what a scenario can expect something of.
 *
 * - `samples`: many numbers a run; expectations name a statistic, taken over all runs together.
 * - `events`: how many there were, in the whole run or in a time of it (`from`, `to`); expected of every run, or as `mean`
 *   or `total` of all runs.
 * - `count`: one number of the whole run, expected likewise.
 * - `traffic`: a count that can be asked of some nodes (`of`) and of a time (`from`, `to`).
 */
export const METRICS = {
  "first-suspicion": metric("samples", "ms", "from a crash to the first suspicion of the crashed member anywhere"),
  "first-dead": metric("samples", "ms", "from a crash to the first verdict anywhere"),
  "known-everywhere": metric("samples", "ms", "from a crash to the moment when no healthy member holds the crashed one running"),
  rejoined: metric("samples", "ms", "from a start to the moment when all healthy members hold this life of the member alive"),
  moved: metric("samples", "ms", "from a change of address to the moment when all healthy members hold the new one"),
  "relay-replaced": metric(
    "samples",
    "ms",
    "from the crash of a relay to the moment when all healthy members hold the one behind it by others",
  ),
  "suspicion-cleared": metric("samples", "ms", "how long a member that runs was suspected anywhere"),
  converged: metric(
    "samples",
    "ms",
    "from the last change to equal digests at all running members, who hold those that run and no others",
  ),
  "called-converged": metric(
    "samples",
    "ms",
    "from the last start to the moment when all running members' health says that the cluster has converged",
  ),
  missing: metric(
    "samples",
    "number",
    "members that one does not hold running, both having run for 10 s: the worst of every second",
  ),
  undetected: metric("events", "number", "crashes not known everywhere when the member returned or the run ended"),
  "odd-detections": metric(
    "events",
    "number",
    "healthy observers of a crash that reported anything but at most one suspicion and then one verdict",
  ),
  "not-rejoined": metric("count", "number", "starts and changes of address not known everywhere when the run ended"),
  "not-converged": metric("count", "number", "1 when the digests of the running members differed at the end"),
  crashes: metric("events", "number", "crashes, kills included"),
  "false-deaths": metric("events", "number", "verdicts about healthy members, one for every observer"),
  "false-deaths-at-healthy": metric("events", "number", "those of them at healthy observers"),
  "false-deaths-at-faulty": metric("events", "number", "those of them at observers that a fault held"),
  "deaths-of-running": metric(
    "events",
    "number",
    "verdicts about members whose process ran, healthy or not, one for every observer",
  ),
  suspicions: metric("events", "number", "suspected incarnations of healthy members"),
  flaps: metric("events", "number", "returns from the dead of members that had not restarted, one for every observer"),
  comings: metric("events", "number", "reports that a member joined or returned, by observers that ran for 10 s"),
  goings: metric("events", "number", "reports that a member died, left or was removed, one for every observer"),
  "path-changes": metric("events", "number", "reports that a member is reached in another way, one for every observer"),
  "called-converged-too-soon": metric(
    "events",
    "number",
    "looks at members whose health says converged while two digests have differed for over 5 s",
  ),
  conflicts: metric("events", "number", "processes that gave way to another of the same id"),
  "address-flips": metric("count", "number", "most changes of address of one member that one observer reported"),
  "profile-mismatches": metric("count", "number", "members found to run by other numbers than most"),
  "rejected-packets": metric("count", "number", "datagrams and frames that members refused"),
  "self-healed": metric("count", "number", "states that the core's contract rules out, met and put right"),
  "late-packets-to-old-addresses": metric("count", "number", "datagrams to an address that was given up over 60 s before"),
  "packets-under-removed-keys": metric(
    "count",
    "number",
    "datagrams and frames sealed with a key that was removed at their sender",
  ),
  "packets-per-node-minute": metric("traffic", "number", "datagrams sent"),
  "packets-to-the-gone-per-node-minute": metric(
    "traffic",
    "number",
    "datagrams to machines on which nothing runs, and segments that ask them for a stream",
  ),
  "bytes-per-node-minute": metric("traffic", "number", "bytes of datagrams sent, without the headers of IP and UDP"),
  "streams-per-node-minute": metric("traffic", "number", "streams opened"),
  "stream-bytes-per-node-minute": metric("traffic", "number", "bytes sent over streams"),
  "packets-in-any-second": metric("count", "number", "most datagrams that one member sent in any window of one second"),
} as const satisfies Readonly<Record<string, Metric>>;

export interface Metric {
  readonly kind: "samples" | "events" | "count" | "traffic";
  readonly unit: "ms" | "number";
  readonly meaning: string;
}

export type MetricName = keyof typeof METRICS;
export const METRIC_NAMES = Object.keys(METRICS) as readonly MetricName[];

export type MetricOf<Kind extends Metric["kind"]> = {
  [Name in MetricName]: (typeof METRICS)[Name]["kind"] extends Kind ? Name : never;
}[MetricName];

function metric<const K extends Metric["kind"], const U extends Metric["unit"]>(kind: K, unit: U, meaning: string) {
  return { kind, unit, meaning } as const;
}
