import { accepted, type ClusterTimeMs, type Outcome, refused, SessionId } from "#kernel";
import { checkCount, checkName, checkText, checkTextMap, firstOf, refuse } from "../check.ts";
import type { Operation } from "../command.ts";
import { fixedLimits } from "../limits.ts";
import { dropFromLocks } from "../locks/locks.ts";
import { abortUploads } from "../models/registry.ts";
import { nodeOf } from "../nodes/records.ts";
import { evicted, heardFrom } from "../nodes/verdicts.ts";
import type { Capabilities, Session } from "../objects.ts";
import type { Reply } from "../reply.ts";
import { byAge, liveSession, type SessionRecord, type State } from "../state.ts";
import { arm, newTimer } from "../timers.ts";
import { giveBack, lose } from "../work/endings.ts";
import { changeSession } from "./suspicion.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { readonly kind: K }>;

/** A new session, named after the entry that opens it. Opened twice by a lost answer, the spare one just expires. */
export function openSession(state: State, open: Of<"openSession">): Outcome<Reply> {
  const problem = firstOf(
    checkName("node_id", open.nodeId),
    checkCount("incarnation", open.incarnation, 0, Number.MAX_SAFE_INTEGER),
    checkText("principal", open.principal, fixedLimits.textBytes),
    checkText("purpose", open.purpose, fixedLimits.textBytes),
    checkCount("ttl_ms", open.ttlMs, state.limits.minTtlMs, state.limits.maxTtlMs),
    open.capabilities === null ? null : checkCapabilities(open.capabilities),
  );
  if (problem !== null) return refused(problem);
  if (nodeOf(state, open.nodeId).state === "EVICTED") return evicted(open.nodeId);
  if (state.sessions.size >= state.limits.maxSessions) {
    return refuse("QUOTA_EXCEEDED", `${state.sessions.size} sessions are open, which is the limit`);
  }
  const session: Session = {
    sessionId: SessionId(`s-${state.revision}`),
    nodeId: open.nodeId,
    incarnation: open.incarnation,
    principal: open.principal,
    purpose: open.purpose,
    state: "OPEN",
    ttlMs: open.ttlMs,
    deadlineMs: (state.now + open.ttlMs) as ClusterTimeMs,
    capabilities: open.capabilities,
    openedAtMs: state.now,
    openedWallMs: state.wall,
    createRevision: state.revision,
    modRevision: state.revision,
    version: 1,
  };
  insertSession(state, session, 1);
  state.emit("session", session.sessionId, { kind: "session", value: session });
  heardFrom(state, open.nodeId);
  return accepted({ kind: "session", session });
}

/** Adds a new session, or one from a snapshot. */
export function insertSession(state: State, session: Session, firstUnacked: number): SessionRecord {
  const record: SessionRecord = {
    session,
    timer: newTimer("session", session.sessionId),
    firstUnacked,
    replies: new Map(),
    claims: new Set(),
    reserved: { gpuCount: 0, gpuMemoryMib: 0, cpu: 0, memoryMib: 0, diskMib: 0 },
    locks: new Set(),
    uploads: new Map(),
  };
  state.sessions.set(session.sessionId, record);
  state.digest.add({ kind: "session", value: session });
  state.digest.moveFirstUnacked(session.createRevision, null, firstUnacked);
  arm(state.sessionTimers, record.timer, session.deadlineMs);
  return record;
}

/**
 * Renewals are many and say nothing new: they move deadlines without an event and without a new revision of the object. Only
 * that of a SUSPECT session is news: it is OPEN again, and so its node is not down.
 */
export function renewSessions(state: State, sessionIds: readonly SessionId[]): Outcome<Reply> {
  if (sessionIds.length > fixedLimits.sessionsPerRenewal) {
    return refuse("INVALID_ARGUMENT", `session_ids has more than ${fixedLimits.sessionsPerRenewal} entries`, "session_ids");
  }
  const expired: SessionId[] = [];
  for (const id of sessionIds) {
    const record = liveSession(state, id);
    if (record === null) expired.push(id);
    else renew(state, record);
  }
  return accepted({ kind: "renewed", expired });
}

/** A new leader: its clients need time to find it, so nobody's lease ends within the grace, due or not. */
export function extendSessions(state: State, graceMs: number): void {
  for (const record of state.sessions.values()) extend(state, record, state.now + graceMs);
}

/** Goodbye: claims go back uncharged, uploads are aborted, waits end; a lock still held goes into its delay, as a lost one. */
export function closeSession(state: State, session: SessionRecord | null): Outcome<Reply> {
  if (session === null) return refuse("INVALID_ARGUMENT", "closing needs a session", "session_id");
  for (const record of [...session.claims].sort(byAge)) giveBack(state, record);
  removeSession(state, session);
  return accepted({ kind: "none" });
}

/** Ends the due sessions in order of deadline and id, at most `most`. Returns how many. */
export function expireSessions(state: State, most: number): number {
  let ended = 0;
  while (ended < most) {
    const timer = state.sessionTimers.peek();
    if (timer === undefined || timer.deadlineMs > state.now) break;
    const session = state.sessions.get(SessionId(timer.key))!;
    for (const record of [...session.claims].sort(byAge)) {
      lose(state, record, "SESSION_EXPIRED", `session ${timer.key} on node ${session.session.nodeId} expired`);
    }
    removeSession(state, session);
    ended += 1;
  }
  return ended;
}

function removeSession(state: State, record: SessionRecord): void {
  const { session } = record;
  abortUploads(state, record);
  dropFromLocks(state, record);
  for (const [sequence, decision] of record.replies) state.digest.removeReply(session.createRevision, sequence, decision);
  arm(state.sessionTimers, record.timer, null);
  state.sessions.delete(session.sessionId);
  state.digest.remove({ kind: "session", value: session });
  state.digest.moveFirstUnacked(session.createRevision, record.firstUnacked, null);
  state.emit("session", session.sessionId, null);
}

function renew(state: State, record: SessionRecord): void {
  const wasSuspect = record.session.state === "SUSPECT";
  if (wasSuspect) changeSession(state, record, "OPEN", record.session.deadlineMs);
  extend(state, record, state.now + record.session.ttlMs);
  if (wasSuspect) heardFrom(state, record.session.nodeId);
}

/** Deadlines only move outwards here. */
function extend(state: State, record: SessionRecord, deadlineMs: number): void {
  if (deadlineMs > record.session.deadlineMs) changeSession(state, record, record.session.state, deadlineMs);
}

function checkCapabilities(offered: Capabilities) {
  const most = 4_294_967_295;
  return firstOf(
    checkCount("capabilities.resources.gpu_count", offered.gpuCount, 0, most),
    checkCount("capabilities.resources.gpu_memory_mib", offered.gpuMemoryMib, 0, most),
    checkCount("capabilities.resources.cpu", offered.cpu, 0, most),
    checkCount("capabilities.resources.memory_mib", offered.memoryMib, 0, most),
    checkCount("capabilities.resources.disk_mib", offered.diskMib, 0, most),
    checkCount("capabilities.cuda", offered.cuda, 0, most),
    checkText("capabilities.gpu_model", offered.gpuModel, fixedLimits.nameBytes),
    checkTextMap("capabilities.labels", offered.labels),
  );
}
