import { type Outcome, refused } from "#kernel";
import { checkCount, firstOf, refuse } from "../check.ts";
import type { Command } from "../command.ts";
import type { Decision } from "../reply.ts";
import type { SessionRecord, State } from "../state.ts";

/**
 * Exactly-once (Raft dissertation §6.3): what is known about (session, sequence) before it is executed. Null: it is new.
 * Sequences of one session may arrive in any order; only the client says, by `firstUnackedSequence`, what it no longer needs.
 */
export function remembered(state: State, session: SessionRecord, command: Command): Decision | Outcome<never> | null {
  const { sequence, firstUnackedSequence } = command;
  if (sequence === null) return null;
  const problem = firstOf(
    checkCount("sequence", sequence, 1, Number.MAX_SAFE_INTEGER),
    checkCount("first_unacked_sequence", firstUnackedSequence, 0, sequence),
  );
  if (problem !== null) return refused(problem);
  forgetBelow(state, session, firstUnackedSequence);
  if (sequence < session.firstUnacked) {
    return refuse("BAD_STATE", `sequence ${sequence} was acknowledged: everything below ${session.firstUnacked} is forgotten`);
  }
  const known = session.replies.get(sequence);
  if (known !== undefined) return known;
  if (session.replies.size >= state.limits.maxRepliesPerSession) {
    return refuse(
      "QUOTA_EXCEEDED",
      `session ${session.session.sessionId} has ${session.replies.size} replies that it has not acknowledged`,
      "first_unacked_sequence",
    );
  }
  return null;
}

/** Keeps the decision for every later copy of the command. */
export function remember(state: State, session: SessionRecord, sequence: number, decision: Decision): void {
  session.replies.set(sequence, decision);
  state.digest.addReply(session.session.createRevision, sequence, decision);
}

function forgetBelow(state: State, session: SessionRecord, first: number): void {
  if (first <= session.firstUnacked) return;
  const id = session.session.createRevision;
  if (first - session.firstUnacked <= session.replies.size) {
    for (let sequence = session.firstUnacked; sequence < first; sequence += 1) forget(state, session, id, sequence);
  } else {
    // A client may leap; walking the gap could take for ever.
    for (const sequence of session.replies.keys()) if (sequence < first) forget(state, session, id, sequence);
  }
  state.digest.moveFirstUnacked(id, session.firstUnacked, first);
  session.firstUnacked = first;
}

function forget(state: State, session: SessionRecord, id: number, sequence: number): void {
  const decision = session.replies.get(sequence);
  if (decision === undefined) return;
  session.replies.delete(sequence);
  state.digest.removeReply(id, sequence, decision);
}
