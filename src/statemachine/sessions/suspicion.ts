import type { ClusterTimeMs, NodeId } from "#kernel";
import type { Session } from "../objects.ts";
import type { SessionRecord, State } from "../state.ts";
import { arm } from "../timers.ts";

/** Clients renew at a third of the time to live; silence of fewer than two such intervals is no silence. */
const KEEPALIVES_PER_TTL = 3;
const KEEPALIVES_HEARD = 2;

/**
 * The node was declared down: each of its sessions becomes SUSPECT and ends after the grace, or when two keepalives are missed
 * if that is later (a renewal is direct evidence, and beats gossip). Never later than it would have ended anyway; a
 * renewal makes up for all of it.
 */
export function suspectSessions(state: State, nodeId: NodeId): void {
  for (const record of state.sessions.values()) {
    const { session } = record;
    if (session.nodeId !== nodeId || session.state === "SUSPECT" || session.deadlineMs <= state.now) continue;
    const renewedAtMs = session.deadlineMs - session.ttlMs;
    const heardUntilMs = renewedAtMs + Math.ceil((session.ttlMs * KEEPALIVES_HEARD) / KEEPALIVES_PER_TTL);
    const endsAtMs = Math.max(state.now + state.limits.nodeDownGraceMs, heardUntilMs);
    changeSession(state, record, "SUSPECT", Math.min(session.deadlineMs, endsAtMs));
  }
}

/** OPEN ⇄ SUSPECT is news for whoever watches, other than a deadline that moves. */
export function changeSession(state: State, record: SessionRecord, next: Session["state"], deadlineMs: number): void {
  const { session } = record;
  const isNews = next !== session.state;
  const news = isNews ? { state: next, modRevision: state.revision, version: session.version + 1 } : null;
  state.digest.remove({ kind: "session", value: session });
  record.session = { ...session, deadlineMs: deadlineMs as ClusterTimeMs, ...news };
  state.digest.add({ kind: "session", value: record.session });
  arm(state.sessionTimers, record.timer, record.session.deadlineMs);
  if (isNews) state.emit("session", session.sessionId, { kind: "session", value: record.session });
}
