import { NodeId, type Outcome, type Refusal, accepted, refusal, refused, surfaces } from "#kernel";
import { type NodeView, votesOf } from "#observe";
import { votersBody } from "./status.ts";

/** The body of `GET /election/status`. */
export function electionBody(view: NodeView): Readonly<Record<string, unknown>> {
  const { reachable, needed, total } = votesOf(view);
  return {
    node_id: view.nodeId,
    cluster_id: view.clusterId,
    role: view.role,
    leader_id: view.leaderId,
    term: view.raft === null ? null : String(view.raft.term),
    election_in_progress: view.leaderId === null,
    election_count: view.raft?.electionCount ?? 0,
    quorum_ok: reachable === null ? view.leaderId !== null : reachable >= needed,
    votes: `${reachable ?? "?"}/${needed}/${total}`,
    voters: votersBody(view),
  };
}

export interface ElectionDeps {
  readonly leader: () => Promise<Outcome<NodeId | null>>;
  /** Done here, or asked of the leader. Null: to whomever the leader chooses. */
  readonly transfer: (to: NodeId | null) => Promise<Outcome<NodeId>>;
  /** A voter stands for election: this one, or on a worker the one that it talks to. */
  readonly campaign: () => Promise<Outcome<null>>;
}

export interface HttpAnswer {
  readonly code: number;
  readonly body: object;
}

/**
 * `POST /election/trigger` and `POST /admin/trigger-election`: a transfer while somebody leads, so that nothing is lost; an
 * election when nobody does. The body may name the successor: `{"to": "voter-2"}`.
 */
export async function triggerElection(body: string, deps: ElectionDeps): Promise<HttpAnswer> {
  const to = successorIn(body);
  if (!to.ok) return refusalAnswer(to.refusal);
  const led = await deps.leader();
  if (!led.ok) return refusalAnswer(led.refusal);
  if (led.value === null) {
    const stood = await deps.campaign();
    return stood.ok ? { code: 202, body: { action: "election", leader_id: null } } : refusalAnswer(stood.refusal);
  }
  const leads = await deps.transfer(to.value);
  if (!leads.ok) return refusalAnswer(leads.refusal);
  return { code: 200, body: { action: "transfer", previous_leader_id: led.value, leader_id: leads.value } };
}

export function refusalAnswer({ reason, message, field }: Refusal): HttpAnswer {
  const code = surfaces[reason].http;
  return { code, body: { error: { code, reason, message, ...(field === null ? {} : { field }) } } };
}

function successorIn(body: string): Outcome<NodeId | null> {
  if (body.trim() === "") return accepted(null);
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return refused(refusal("INVALID_ARGUMENT", "the body is not JSON"));
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refused(refusal("INVALID_ARGUMENT", 'the body must be an object such as {"to": "voter-2"}'));
  }
  const stray = Object.keys(value).find((key) => key !== "to");
  if (stray !== undefined) return refused(refusal("INVALID_ARGUMENT", `unknown field ${stray}`, { field: stray }));
  const to = "to" in value ? value.to : undefined;
  if (to === undefined) return accepted(null);
  if (typeof to === "string" && /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(to)) return accepted(NodeId(to));
  return refused(refusal("INVALID_ARGUMENT", "to must be a node id", { field: "to" }));
}
