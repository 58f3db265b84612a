import { accepted, type Outcome, type Refusal, refused } from "#kernel";
import { checkCount, checkName, firstOf, invalid, refuse } from "../check.ts";
import type { Operation } from "../command.ts";
import { fixedLimits } from "../limits.ts";
import type { Claim } from "../objects.ts";
import { nodeOf } from "../nodes/records.ts";
import type { Reply } from "../reply.ts";
import type { RequirementClass, SessionRecord, State } from "../state.ts";
import { claimedBefore, putWork } from "./items.ts";
import { fits } from "./match.ts";
import type { WorkRecord } from "./record.ts";

type ClaimWork = Extract<Operation, { readonly kind: "claimWork" }>;

/**
 * Hands out up to `max_items` ready items that fit, best first over all the named queues. Every item's token is this
 * entry's index. Costs one look per distinct requirement and item handed out, however many items wait. A cordoned or draining
 * node gets nothing.
 */
export function claimWork(state: State, session: SessionRecord | null, claim: ClaimWork): Outcome<Reply> {
  if (session === null) return refuse("INVALID_ARGUMENT", "a claim needs a session", "session_id");
  const problem = firstOf(
    checkName("worker_id", claim.workerId),
    checkCount("max_items", claim.maxItems, 1, state.limits.maxClaimItems),
    checkQueues(claim.queues),
  );
  if (problem !== null) return refused(problem);
  if (session.session.capabilities === null) {
    return refuse("BAD_STATE", `session ${session.session.sessionId} declared no capabilities when it was opened`);
  }
  const items = [];
  while (items.length < claim.maxItems) {
    const best = bestReady(state, session, claim.queues);
    if (best === null) break;
    grant(state, best, session, claim.workerId);
    items.push(best.item);
  }
  return accepted({ kind: "claimed", items });
}

/** Whether {@link claimWork} would find something at wall time `wallMs`, also among items not yet promoted. */
export function isClaimable(state: State, session: SessionRecord, queues: readonly string[], wallMs: number): boolean {
  if (!isSchedulable(state, session)) return false;
  if (bestReady(state, session, queues) !== null) return true;
  return state.scheduled.some(
    (record) => record.version.availableAtMs <= wallMs,
    (record) => queues.includes(record.version.queue) && fits(record.item.spec.requires, session),
  );
}

function bestReady(state: State, session: SessionRecord, queues: readonly string[]): WorkRecord | null {
  if (!isSchedulable(state, session)) return null;
  let best: WorkRecord | null = null;
  for (const name of queues) {
    const queue = state.queues.get(name);
    if (queue === undefined) continue;
    for (const group of queue.classes.values()) best = betterOf(state, best, group, session);
  }
  return best;
}

function isSchedulable(state: State, { session }: SessionRecord): boolean {
  return state.nodes.size === 0 || nodeOf(state, session.nodeId).scheduling === "OPEN";
}

function betterOf(state: State, best: WorkRecord | null, group: RequirementClass, session: SessionRecord): WorkRecord | null {
  state.candidatesInspected += 1;
  const head = group.ready.peek();
  if (head === undefined || (best !== null && !claimedBefore(head, best))) return best;
  return fits(group.requires, session) ? head : best;
}

function grant(state: State, record: WorkRecord, session: SessionRecord, workerId: string): void {
  const claim: Claim = {
    workerId,
    nodeId: session.session.nodeId,
    incarnation: session.session.incarnation,
    sessionId: session.session.sessionId,
    fencingToken: state.revision,
    claimedAtMs: state.now,
    startedAtMs: null,
    lastHeartbeatAtMs: state.now,
  };
  const { item } = record;
  putWork(state, record, {
    ...item,
    state: "CLAIMED",
    claim,
    progress: null,
    modRevision: state.revision,
    version: item.version + 1,
  });
}

function checkQueues(queues: readonly string[]): Refusal | null {
  if (queues.length === 0) return invalid("queues", "must name at least one queue");
  if (queues.length > fixedLimits.listEntries) return invalid("queues", `has more than ${fixedLimits.listEntries} entries`);
  for (const queue of queues) {
    const problem = checkName("queues", queue);
    if (problem !== null) return problem;
  }
  return null;
}
