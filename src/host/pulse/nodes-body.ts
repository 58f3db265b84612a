import { incarnationText, type NodeId } from "#kernel";
import type { Clause, MembershipLook } from "#membership";
import type { ComparisonView, HttpPollView, MembershipView, MemberView, PeerView } from "#membership/core";

/** The body of `GET /v1/nodes`: this node's view of everyone, in the protocol's spelling. One node's view, not the cluster's. */
export function nodesBody(nodeId: string, look: MembershipLook): Readonly<Record<string, unknown>> {
  const { swim, http } = look;
  return {
    node_id: nodeId,
    ...summaryBody(look),
    clauses: look.clauses.map(({ name, broken }) => ({ name, holds: broken === null, detail: broken })),
    nodes: swim === null ? (http?.peers ?? []).map((peer) => polledBody(peer, http!)) : membersBody(swim.view, http),
    traffic: swim === null ? null : { ...countersBody(swim.view), ...snakeCase(swim.counters) },
    comparison: look.comparison === null ? null : comparisonBody(look.comparison),
  };
}

/** What `GET /status` says under `membership`. */
export function summaryBody(look: MembershipLook): Readonly<Record<string, unknown>> {
  const { mode, boot, swim, http, clauses } = look;
  const detector = mode === "hybrid" ? { authority: "swim" } : {};
  const common = { mode, ...detector, boot, converged: isConverged(clauses), counts: countsOf(look) };
  if (swim === null) return mode === "http" ? { ...common, polls: http?.polls ?? 0 } : { ...common, lifecycle: "starting" };
  const { view, selfTest } = swim;
  return {
    ...common,
    lifecycle: view.lifecycle,
    incarnation: incarnationText(view.self.incarnation),
    digest: hex(view.digest),
    agreeing: view.agreeing,
    sampled: view.sampled,
    health_multiplier: view.healthMultiplier,
    partition: partitionBody(view),
    other_voters: view.otherVoters,
    self_test: snakeCase(selfTest),
  };
}

export function isConverged(clauses: readonly Clause[]): boolean {
  return clauses.every(({ broken }) => broken === null);
}

/** Members by state, this node included where SWIM runs. */
export function countsOf({ swim, http }: MembershipLook): Readonly<Record<string, number>> {
  const states =
    swim === null ? (http?.peers ?? []).map(({ state }) => state) : swim.view.members.map(({ record }) => record.state);
  const counts: Record<string, number> = {
    alive: 0,
    suspect: 0,
    dead: 0,
    ...(swim === null ? { unknown: 0 } : { left: 0, removed: 0 }),
  };
  for (const state of states) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

function membersBody(view: MembershipView, http: HttpPollView | null): readonly object[] {
  const polled = new Map<NodeId, PeerView>((http?.peers ?? []).map((peer) => [peer.id, peer]));
  return view.members.map((member) => ({
    ...memberBody(member, view),
    ...(http === null ? {} : { http_state: polled.get(member.record.id)?.state ?? null }),
  }));
}

function memberBody({ record, since, reach, rttMs, flapsPerHour, heardAt }: MemberView, { at, self }: MembershipView): object {
  const { id, state, addresses, relays, metadata, accuser } = record;
  return {
    node_id: id,
    state,
    is_self: id === self.id,
    incarnation: incarnationText(record.incarnation),
    for_ms: Math.round(at - since),
    path: reach,
    relays,
    rtt_ms: rttMs === null ? null : Math.round(rttMs * 10) / 10,
    heard_ms_ago: heardAt === null ? null : Math.round(at - heardAt),
    flaps_per_hour: Math.round(flapsPerHour * 10) / 10,
    accuser,
    addresses,
    role: metadata.role,
    provider: metadata.provider,
    capabilities: metadata.capabilities,
    version: metadata.version,
    degraded: metadata.degraded,
    keys: keyNames(metadata.keys),
    voters: metadata.voters === null ? null : hex(metadata.voters),
  };
}

/** Gossip keys as operators read and type them: the first eight digits of a fingerprint. */
export function keyNames(keys: readonly number[]): readonly string[] {
  return keys.map(hex);
}

/** A number of 32 bits that names something, as it is shown everywhere. */
export function hex(name: number): string {
  return name.toString(16).padStart(8, "0");
}

function polledBody({ id, state, since, address, heardAt, rttMs, failuresInARow, boot }: PeerView, { at }: HttpPollView): object {
  return {
    node_id: id,
    state,
    is_self: false,
    boot,
    for_ms: Math.round(at - since),
    rtt_ms: rttMs === null ? null : Math.round(rttMs * 10) / 10,
    heard_ms_ago: heardAt === null ? null : Math.round(at - heardAt),
    failures_in_a_row: failuresInARow,
    addresses: [address],
  };
}

/** The two sides of what looks like a cut network, as seen from this one. */
function partitionBody(view: MembershipView): object | null {
  if (view.partition === null) return null;
  const lost = new Set(view.partition);
  const here = view.members.filter(
    ({ record }) => !lost.has(record.id) && (record.state === "alive" || record.state === "suspect"),
  );
  return { here: here.map(({ record }) => record.id), lost: [...lost] };
}

function comparisonBody({ forMs, swim, http, open, ...rest }: ComparisonView): object {
  const figures = ({ detection, ...counts }: ComparisonView["swim"]): object => ({
    ...snakeCase(counts),
    detection:
      detection === null
        ? null
        : snakeCase({ ...detection, p50Ms: Math.round(detection.p50Ms), p99Ms: Math.round(detection.p99Ms) }),
  });
  return {
    for_ms: Math.round(forMs),
    swim: figures(swim),
    http: figures(http),
    ...snakeCase({
      ...rest,
      swimLeadMs: rest.swimLeadMs === null ? null : Math.round(rest.swimLeadMs),
      disagreedMs: Math.round(rest.disagreedMs),
    }),
    open: open.map(({ id, swim: bySwim, http: byHttp }) => ({ node_id: id, swim: bySwim, http: byHttp })),
  };
}

function countersBody({ counters }: MembershipView): object {
  const { rejected, ...counts } = counters;
  return { ...snakeCase(counts), rejected: Object.fromEntries(Object.entries(rejected).filter(([, count]) => count > 0)) };
}

/** Keys as the protocol spells them. */
export function snakeCase(values: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value as unknown,
    ]),
  );
}
