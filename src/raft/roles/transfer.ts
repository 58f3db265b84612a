import { accepted, type NodeId, type Outcome, type Refusal, refusal, refused } from "#kernel";
import { isVoter } from "../configuration.ts";
import type { Progress } from "../progress/index.ts";
import type { Leading, RaftState, Transfer } from "../state.ts";
import type { Message } from "../types.ts";
import { campaignForTransfer } from "./candidate.ts";

/**
 * Leadership transfer (dissertation 3.10): the leader takes no more proposals, brings its successor up to its own last entry
 * and tells it to campaign at once. Given up after an election timeout. `to` null = the voter that is best fit.
 */
export function transferLeadership(state: RaftState, leading: Leading, to: NodeId | null): Outcome<NodeId> {
  const successor = to ?? bestSuccessor(state, leading);
  if (successor === null) return refused(refusal("BAD_STATE", "no other voter has been heard from lately"));
  const why = whyNotTo(state, successor);
  if (why !== null) return refused(why);
  startTransfer(state, leading, successor, "asked");
  return accepted(successor);
}

/** Another target replaces the first; the same one again changes nothing, its deadline neither. */
export function startTransfer(state: RaftState, leading: Leading, to: NodeId, cause: Transfer["cause"]): void {
  if (leading.transfer?.to === to) return;
  if (leading.transfer !== null) abortTransfer(state, leading, "another target");
  leading.transfer = { to, cause, startedTick: state.ticks, sent: false };
  leading.flushNeeded = true;
  state.mark("transfer started", { to, cause, term: state.term });
}

/** Once per drain: the successor may have caught up. It stays a voter, because no change of membership starts meanwhile. */
export function advanceTransfer(state: RaftState, leading: Leading): void {
  const { transfer } = leading;
  if (transfer === null || transfer.sent) return;
  const progress = leading.progress.get(transfer.to);
  // A suspect would not stand, and the lease would be gone for nothing: it may be whole before the time is up.
  if (progress === undefined || progress.suspect || progress.matchIndex < state.log.lastIndex) return;
  transfer.sent = true;
  leading.lease.untilMs = null;
  leading.lease.allowed = false;
  state.send({ kind: "timeoutNow", from: state.id, to: transfer.to, term: state.term });
}

export function tickTransfer(state: RaftState, leading: Leading): void {
  const { transfer } = leading;
  if (transfer === null) return;
  if (state.ticks - transfer.startedTick >= state.options.electionTicks) abortTransfer(state, leading, "timeout");
}

/** Why no proposal is taken now. Both reasons make a client send the same command again; the second tells it where to. */
export function whyHandingOver(state: RaftState, { transfer }: Leading): Refusal | null {
  if (transfer === null) return null;
  const { id, term } = state;
  if (transfer.sent) return refusal("NOT_LEADER", `${id} hands term ${term} over to ${transfer.to}`, { leader: transfer.to });
  return refusal("NO_LEADER", `${id} is about to hand term ${term} over to ${transfer.to}`, { retryAfterMs: RETRY_MS });
}

/** The follower's side: campaign, now. A late word of a leader that is none any more never gets here, its term is over. */
export function handleTimeoutNow(state: RaftState, { from, term }: Extract<Message, { kind: "timeoutNow" }>): void {
  const isFromLeader = state.role.kind !== "leader" && (state.leader === null || state.leader === from);
  if (isFromLeader && state.isPromotable) campaignForTransfer(state);
  else state.mark("timeoutNow ignored", { from, term, isFromLeader });
}

/** Furthest along, then preferred, then by name; null when none was heard from within an election timeout. */
export function bestSuccessor(state: RaftState, leading: Leading): NodeId | null {
  let best: { readonly id: NodeId; readonly progress: Progress } | null = null;
  for (const [id, progress] of leading.progress) {
    if (!isSuccessor(state, id) || progress.suspect || !progress.heardWithin(state.options.electionTicks, state.ticks)) continue;
    if (best === null || isBetter(state, { id, progress }, best)) best = { id, progress };
  }
  return best?.id ?? null;
}

/** Of a joint configuration the voters to come, so that the next step of the change does not end the new leadership. */
export function isSuccessor(state: RaftState, id: NodeId): boolean {
  return id !== state.id && state.configuration.voters.includes(id);
}

export function priorityOf({ options }: RaftState, id: NodeId): number {
  return options.priorities.get(id) ?? 0;
}

function abortTransfer(state: RaftState, leading: Leading, why: string): void {
  if (leading.transfer === null) return;
  const { to, cause } = leading.transfer;
  leading.transfer = null;
  leading.steadySinceTick = state.ticks;
  state.mark("transfer aborted", { to, cause, why, term: state.term });
}

type Candidate = { readonly id: NodeId; readonly progress: Progress };

function isBetter(state: RaftState, one: Candidate, other: Candidate): boolean {
  const ahead = one.progress.matchIndex - other.progress.matchIndex;
  const preferred = priorityOf(state, one.id) - priorityOf(state, other.id);
  return (ahead || preferred || (one.id < other.id ? 1 : -1)) > 0;
}

function whyNotTo(state: RaftState, to: NodeId): Refusal | null {
  if (to === state.id) return refusal("BAD_STATE", `${to} leads already`);
  if (isSuccessor(state, to)) return null;
  if (isVoter(state.configuration, to)) return refusal("BAD_STATE", `${to} is about to lose its vote`);
  if (state.configuration.learners.includes(to)) return refusal("BAD_STATE", `${to} is a learner and cannot lead`);
  return refusal("NOT_FOUND", `${to} is not in the configuration`, { field: "to" });
}

/** About what the catching-up of a live voter takes. */
const RETRY_MS = 10;
