import { MonotonicMs, type NodeId } from "#kernel";
import { spread } from "./gossip.ts";
import { pingTo } from "./ping.ts";
import { sendTo } from "./send.ts";
import type { SwimState } from "./state.ts";
import { Suspicion, suspicionBounds } from "./suspicion.ts";
import type { MemberRecord } from "./types.ts";

/** So many of those that hear of a suspicion ask the suspect soon: gossip may have missed it, or what it answered. */
const EARLY_ASKERS = 32;
/** Between two last questions, about, while many suspicions run. */
const QUESTION_MS = 1;

export interface RunningSuspicion {
  readonly number: number;
  readonly suspicion: Suspicion;
  /** How long this node had stood still in all when it began: time in which nobody listens does not count. */
  readonly stalledMs: number;
  /** The verdict may fall from then on: the suspect was asked once more and had time to answer. Null: not asked yet. */
  readonly heardOutAt: MonotonicMs | null;
  /** So much earlier than it must the last question goes: after a cut thousands of suspicions run out at one time. */
  readonly aheadMs: number;
}

/** A suspicion at a higher incarnation is another one: it starts anew. */
export function beginSuspicion(state: SwimState, member: MemberRecord): void {
  const { members, options, now } = state;
  const bounds = suspicionBounds(members.present, options);
  const suspicion = new Suspicion(now, member.accuser ?? member.id, bounds);
  const aheadMs = state.random() * Math.min(state.suspicions.size * QUESTION_MS, bounds.minMs / 2);
  const running = { number: state.newSuspicionNumber(), suspicion, stalledMs: state.stalledMs, heardOutAt: null, aheadMs };
  const { id } = member;
  state.suspicions.set(id, running);
  setVerdict(state, id, running);
  if (!options.buddy || state.random() * members.present >= EARLY_ASKERS) return;
  const askAt = MonotonicMs(now + (state.random() * bounds.minMs) / 2);
  state.timers.set(askAt, { kind: "ask-suspect", id, number: running.number });
}

/** Another accuser: the time to refute may be shorter for it. */
export function confirmSuspicion(state: SwimState, member: MemberRecord, accuser: NodeId): void {
  const running = state.suspicions.get(member.id);
  if (running === undefined) {
    // A suspect without a running suspicion would stay one for ever.
    state.selfHealed("suspect without a suspicion");
    return beginSuspicion(state, member);
  }
  if (!running.suspicion.confirm(accuser)) return;
  setVerdict(state, member.id, running);
  spread(state, { ...member, accuser });
}

export function askSuspect(state: SwimState, id: NodeId, number: number): void {
  const suspect = state.members.get(id);
  if (suspect === null || state.suspicions.get(id)?.number !== number) return;
  sendTo(state, suspect, pingTo(state, suspect, state.newProbeNumber()), true);
}

/**
 * Whether the verdict falls now; when it is not its time, it is looked at again. Nobody gives it who has not just asked the suspect: the
 * refutation that all others know may have passed this node by, as when both sides of a healed cut refute at once.
 */
export function fallsNow(state: SwimState, id: NodeId, number: number): boolean {
  const running = state.suspicions.get(id);
  if (running === undefined || running.number !== number) return false;
  if (state.now < dueAt(state, id, running)) {
    setVerdict(state, id, running);
    return false;
  }
  if (running.heardOutAt !== null || !state.options.buddy) return true;
  askSuspect(state, id, number);
  const asked = { ...running, heardOutAt: MonotonicMs(state.now + patienceMs(state, id)) };
  state.suspicions.set(id, asked);
  setVerdict(state, id, asked);
  return false;
}

/** A confirmation may put it into the past; a timer set there would look as if this node had stood still since. */
function setVerdict(state: SwimState, id: NodeId, running: RunningSuspicion): void {
  const at = MonotonicMs(Math.max(state.now, dueAt(state, id, running)));
  state.timers.set(at, { kind: "suspicion", id, number: running.number });
}

/** Of the last question, so long before the verdict that it can be answered; then of the verdict. */
function dueAt(state: SwimState, id: NodeId, { suspicion, stalledMs, heardOutAt, aheadMs }: RunningSuspicion): MonotonicMs {
  const deadline = suspicion.deadline + state.stalledMs - stalledMs;
  if (!state.options.buddy) return MonotonicMs(deadline);
  return MonotonicMs(heardOutAt === null ? deadline - aheadMs - patienceMs(state, id) : Math.max(deadline, heardOutAt));
}

function patienceMs(state: SwimState, id: NodeId): number {
  return state.path(id).timeoutMs(state.options);
}
