/** What one node answered to one look: the body of its `/status` as it came, or why there is none. */
export interface Answered {
  /** As the caller names the node. */
  readonly door: string;
  readonly status: Body | null;
  readonly problem: string | null;
}

export type Body = Readonly<Record<string, unknown>>;

/** The cluster at one moment, put together from all answers. What is unknown is null, and nothing is invented. */
export interface Picture {
  readonly at: number;
  /** Whose words the rest is, save where it says otherwise: the leader's if it answered, else a voter's, else anybody's. */
  readonly teller: string | null;
  readonly tellerRole: string | null;
  readonly staleMs: number;
  readonly clusterId: string | null;
  readonly leader: string | null;
  readonly term: string | null;
  readonly quorumOk: boolean;
  readonly votes: string | null;
  readonly health: string | null;
  readonly commitIndex: string | null;
  readonly appliedIndex: string | null;
  readonly alivePeers: number | null;
  readonly totalPeers: number | null;
  readonly voters: readonly VoterRow[];
  readonly membership: MembershipRow | null;
  readonly members: readonly MemberRow[];
  readonly queues: readonly QueueRow[];
  readonly locks: { readonly held: number; readonly waiters: number } | null;
  readonly sessions: number | null;
  readonly jobs: number | null;
  /** `node: sentence`, the gravest first. */
  readonly alarms: readonly string[];
  readonly events: readonly EventRow[];
  readonly doors: readonly { readonly door: string; readonly problem: string | null }[];
}

export interface VoterRow {
  readonly name: string;
  readonly alive: boolean | null;
  readonly suspect: boolean;
  readonly matchIndex: string | null;
  /** Entries behind the leader's last one; null where the leader does not answer. */
  readonly lag: number | null;
}

export interface MembershipRow {
  readonly mode: string;
  readonly converged: boolean;
  readonly digest: string | null;
  readonly agreeing: number | null;
  readonly sampled: number | null;
  readonly lost: readonly string[];
}

export interface MemberRow {
  readonly id: string;
  readonly state: string;
  readonly degraded: boolean;
  /** OPEN, CORDONED or DRAINING; null where no voter told. */
  readonly scheduling: string | null;
  readonly provider: string;
  readonly path: string;
  readonly rttMs: number | null;
  readonly flapsPerHour: number | null;
  readonly forMs: number;
  readonly claims: number | null;
  readonly locks: number | null;
}

export interface QueueRow {
  readonly name: string;
  readonly states: Readonly<Record<string, number>>;
}

export interface EventRow {
  readonly at: number;
  readonly level: string;
  readonly text: string;
}

/** `nodes`: the teller's `/v1/nodes`; null where it did not answer that, or no detector runs there. */
export function pictureOf(answers: readonly Answered[], nodes: Body | null, at: number): Picture {
  const teller = tellerOf(answers);
  const status = teller?.status ?? {};
  const work = status["queues"] as Readonly<Record<string, Readonly<Record<string, number>>>> | undefined;
  return {
    at,
    teller: teller === null ? null : (textIn(status, "node_id") ?? teller.door),
    tellerRole: textIn(status, "role"),
    staleMs: numberIn(status, "stale_ms") ?? 0,
    clusterId: textIn(status, "cluster_id"),
    leader: textIn(status, "leader_id"),
    term: textIn(status, "term"),
    quorumOk: status["quorum_ok"] === true,
    votes: textIn(status, "votes"),
    health: textIn(status, "cluster_health"),
    commitIndex: textIn(status, "commit_index"),
    appliedIndex: textIn(status, "applied_index"),
    alivePeers: numberIn(status, "alive_peers"),
    totalPeers: numberIn(status, "total_peers"),
    voters: votersIn(status),
    membership: membershipIn(status),
    members: nodes === null ? [] : membersIn(nodes),
    queues: Object.entries(work ?? {}).map(([name, states]) => ({ name, states })),
    locks: (status["locks"] as Picture["locks"] | undefined) ?? null,
    sessions: numberIn(status, "sessions"),
    jobs: numberIn(status, "jobs"),
    alarms: [...voterAlarms(status), ...alarmsIn(answers), ...voterListAlarms(status)],
    events: nodes === null ? [] : eventsIn(nodes),
    doors: answers.map(({ door, problem }) => ({ door, problem })),
  };
}

/** In how many of the picture's rows a member counts, by state. */
export function countsOf(members: readonly MemberRow[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { state } of members) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

/** Whom to believe. The higher term is the newer word; within it the leader knows more than a voter, and a voter more than a worker. */
export function tellerOf(answers: readonly Answered[]): Answered | null {
  const rank = ({ status }: Answered): number => {
    const role = textIn(status ?? {}, "role");
    return role === "leader" ? 3 : role === "worker" || role === null ? 1 : 2;
  };
  const term = ({ status }: Answered): number => Number(textIn(status ?? {}, "term") ?? -1);
  const answered = answers.filter(({ status }) => status !== null);
  return answered.toSorted((a, b) => term(b) - term(a) || rank(b) - rank(a))[0] ?? null;
}

function votersIn(status: Body): readonly VoterRow[] {
  const voters = (status["voters"] ?? {}) as Readonly<Record<string, Body>>;
  const leader = textIn(status, "leader_id");
  const last = leader === null ? null : textIn(voters[leader] ?? {}, "match_index");
  const isLeaders = textIn(status, "role") === "leader";
  return Object.entries(voters).map(([name, voter]) => {
    const matchIndex = textIn(voter, "match_index");
    const known = isLeaders && last !== null && matchIndex !== null;
    return {
      name,
      alive: typeof voter["alive"] === "boolean" ? voter["alive"] : null,
      suspect: voter["suspect"] === true,
      matchIndex,
      lag: known ? Math.max(0, Number(BigInt(last) - BigInt(matchIndex))) : null,
    };
  });
}

function membershipIn(status: Body): MembershipRow | null {
  const own = status["membership"] as Body | undefined;
  if (own === undefined) return null;
  const partition = own["partition"] as { readonly lost: readonly string[] } | null | undefined;
  return {
    mode: textIn(own, "mode") ?? "?",
    converged: own["converged"] === true,
    digest: textIn(own, "digest"),
    agreeing: numberIn(own, "agreeing"),
    sampled: numberIn(own, "sampled"),
    lost: partition?.lost ?? [],
  };
}

function membersIn(nodes: Body): readonly MemberRow[] {
  const committed = nodes["committed"] as {
    readonly nodes: Readonly<Record<string, Body>>;
    readonly holders?: Readonly<Record<string, Body>>;
  } | null;
  const rows = (nodes["nodes"] ?? []) as readonly Body[];
  return rows.map((row) => {
    const id = textIn(row, "node_id") ?? "?";
    const held = committed?.holders?.[id] ?? {};
    const relays = (row["relays"] ?? []) as readonly string[];
    return {
      id,
      state: textIn(row, "state") ?? "?",
      degraded: row["degraded"] === true,
      scheduling: committed == null ? null : (textIn(committed.nodes[id] ?? {}, "scheduling") ?? "OPEN"),
      provider: textIn(row, "provider") ?? "",
      path: [textIn(row, "path") ?? "http", ...relays].join(" "),
      rttMs: numberIn(row, "rtt_ms"),
      flapsPerHour: numberIn(row, "flaps_per_hour"),
      forMs: numberIn(row, "for_ms") ?? 0,
      claims: committed?.holders === undefined ? null : (numberIn(held, "claims") ?? 0),
      locks: committed?.holders === undefined ? null : (numberIn(held, "locks") ?? 0),
    };
  });
}

function eventsIn(nodes: Body): readonly EventRow[] {
  const events = (nodes["events"] ?? []) as readonly Body[];
  return events.map((event) => {
    const fields = Object.entries((event["fields"] ?? {}) as Body).map(([key, value]) => `${key}=${String(value)}`);
    const text = [textIn(event, "message") ?? "", ...fields].join(" ");
    return { at: numberIn(event, "at_wall_ms") ?? 0, level: textIn(event, "level") ?? "info", text };
  });
}

function voterAlarms(status: Body): readonly string[] {
  const down = votersIn(status).filter(({ alive }) => alive === false);
  const teller = textIn(status, "node_id") ?? "?";
  return down.map(({ name }) => `voter ${name} is not reached by ${teller}`);
}

/** As the teller compares what members say of their configuration with its own. Which of the two is right, the log knows. */
function voterListAlarms(status: Body): readonly string[] {
  const odd = ((status["membership"] ?? {}) as Body)["other_voters"] as readonly string[] | undefined;
  if (odd === undefined || odd.length === 0) return [];
  return [`${odd.join(", ")}: other voters in the configuration than on ${textIn(status, "node_id") ?? "?"}`];
}

/** First what touches the cluster, then what single nodes say of themselves, then who disagrees with whom. */
function alarmsIn(answers: readonly Answered[]): readonly string[] {
  const answered = answers.flatMap(({ door, status }) =>
    status === null ? [] : [{ door: textIn(status, "node_id") ?? door, status }],
  );
  const own = answered.flatMap(({ door, status }) => [
    ...((status["reasons"] ?? []) as readonly string[]).map((reason) => `${door}: ${reason}`),
    ...staleIn(door, status),
    ...membershipAlarms(door, (status["membership"] ?? {}) as Body),
  ]);
  return [...leaderAlarms(answered), ...own, ...viewAlarms(answered)];
}

interface Named {
  readonly door: string;
  readonly status: Body;
}

/** Two leaders of one term cannot be; two of different terms are an old one that has not heard yet, for an election timeout. */
function leaderAlarms(answered: readonly Named[]): readonly string[] {
  const leaders = Map.groupBy(
    answered.filter(({ status }) => textIn(status, "leader_id") !== null),
    ({ status }) => textIn(status, "leader_id"),
  );
  if (leaders.size < 2) return [];
  const sides = [...leaders].map(([leader, those]) => `${leader} say ${those.map(({ door }) => door).join(", ")}`);
  return [`nodes name different leaders: ${sides.join("; ")}`];
}

function staleIn(door: string, status: Body): readonly string[] {
  const staleMs = numberIn(status, "stale_ms") ?? 0;
  return staleMs < STALE_MS ? [] : [`${door}: its main thread has said nothing for ${Math.round(staleMs / 1_000)} s`];
}

const STALE_MS = 2_000;

function membershipAlarms(door: string, membership: Body): readonly string[] {
  const alarms: string[] = [];
  const lifecycle = textIn(membership, "lifecycle");
  if (lifecycle !== null && lifecycle !== "joined") alarms.push(`${door}: membership is ${lifecycle}`);
  const multiplier = numberIn(membership, "health_multiplier") ?? 1;
  if (multiplier > SICK) alarms.push(`${door}: its own health is bad (multiplier ${multiplier}): its verdicts come late`);
  const partition = membership["partition"] as { readonly lost: readonly string[] } | null | undefined;
  if (partition != null) alarms.push(`${door}: the network looks cut; lost ${partition.lost.join(", ")}`);
  const failed = Object.entries((membership["self_test"] ?? {}) as Body).filter(([, found]) => found === "failed");
  if (failed.length > 0) alarms.push(`${door}: self-test failed: ${failed.map(([name]) => name).join(", ")}`);
  return alarms;
}

/** Above what `converged` allows. */
const SICK = 3;

/** Nodes whose digests differ from the one that most hold: each has another idea of who is there. */
function viewAlarms(answered: readonly Named[]): readonly string[] {
  const digestOf = ({ status }: Named): string | null => textIn((status["membership"] ?? {}) as Body, "digest");
  const groups = Map.groupBy(
    answered.filter((node) => digestOf(node) !== null),
    (node) => digestOf(node)!,
  );
  const [most, ...others] = [...groups.values()].toSorted((a, b) => b.length - a.length);
  if (most === undefined || others.length === 0) return [];
  const odd = others.flat().map(({ door }) => door);
  return [`${odd.join(", ")}: another view of the members than ${most.length} others`];
}

function textIn(body: Body, key: string): string | null {
  const value = body[key];
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : null;
}

function numberIn(body: Body, key: string): number | null {
  const value = body[key];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
