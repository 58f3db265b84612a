import { accepted, type ClusterTimeMs, NO_INDEX, type Outcome, refused, Sequence } from "#kernel";
import { checkCount, checkDuration, checkName, checkText, firstOf, refuse } from "../check.ts";
import type { Operation } from "../command.ts";
import { fixedLimits } from "../limits.ts";
import type { Lock, LockWaiter } from "../objects.ts";
import type { Reply } from "../reply.ts";
import { liveSession, type LockRecord, type SessionRecord, type State } from "../state.ts";
import { arm, earlier, newTimer } from "../timers.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { readonly kind: K }>;

/** HELD at once when nobody is before you; else in line, or BAD_STATE if `wait` is false. The holder gets its grant again. */
export function acquireLock(
  state: State,
  session: SessionRecord | null,
  sequence: Sequence | null,
  acquire: Of<"acquireLock">,
): Outcome<Reply> {
  if (session === null) return refuse("INVALID_ARGUMENT", "a lock is held by a session", "session_id");
  const problem = firstOf(
    checkName("name", acquire.name),
    checkDuration("wait_timeout_ms", acquire.waitTimeoutMs),
    checkCount("lock_delay_ms", acquire.lockDelayMs, 0, fixedLimits.lockDelayMs),
    checkText("purpose", acquire.purpose, fixedLimits.textBytes),
  );
  if (problem !== null) return refused(problem);
  const existing = state.locks.get(acquire.name);
  if (existing === undefined && state.locks.size >= state.limits.maxLocks) {
    return refuse("QUOTA_EXCEEDED", `there are ${state.limits.maxLocks} locks already`);
  }
  const { sessionId, nodeId } = session.session;
  const lock = existing?.lock ?? unheard(acquire.name);
  if (lock.holder?.sessionId === sessionId) return lockReply(lock, true);
  if (lock.waiters.some((waiter) => waiter.sessionId === sessionId)) return lockReply(lock, false);
  const isFree = lock.state === "FREE" && lock.waiters.length === 0 && lock.lastToken !== state.revision;
  if (!isFree && !acquire.wait)
    return refuse("BAD_STATE", `lock ${lock.name} is ${lock.state === "DELAY" ? "in its delay" : "held"}`);
  if (!isFree && lock.waiters.length >= state.limits.maxWaitersPerLock) {
    return refuse("QUOTA_EXCEEDED", `${lock.waiters.length} sessions wait for lock ${lock.name} already`);
  }
  const record = existing ?? newLock(state, lock);
  const waiter: LockWaiter = {
    sessionId,
    nodeId,
    sequence: sequence ?? Sequence(0),
    enqueuedAtMs: state.now,
    waitTimeoutMs: acquire.waitTimeoutMs,
    lockDelayMs: acquire.lockDelayMs,
    purpose: acquire.purpose,
  };
  putLock(state, record, isFree ? grantedTo(state, lock, waiter, []) : { ...lock, waiters: [...lock.waiters, waiter] });
  return lockReply(record.lock, isFree);
}

/** Orderly: no delay, and the next live waiter holds it in the same entry. */
export function releaseLock(state: State, session: SessionRecord | null, release: Of<"releaseLock">): Outcome<Reply> {
  const record = state.locks.get(release.name);
  if (record === undefined) return unknownLock(release.name);
  const { holder } = record.lock;
  if (holder?.fencingToken !== release.fencingToken || holder.sessionId !== session?.session.sessionId) {
    return refuse("FENCED", `token ${release.fencingToken} does not hold lock ${release.name} any more`, "fencing_token");
  }
  passOn(state, record);
  return lockReply(record.lock, false);
}

/** Leaves the line. `granted` in the reply: too late, the grant came first, and the caller holds the lock. */
export function cancelAcquire(state: State, session: SessionRecord | null, name: string): Outcome<Reply> {
  const record = state.locks.get(name);
  if (record === undefined) return unknownLock(name);
  const sessionId = session?.session.sessionId;
  const { lock } = record;
  const waiters = lock.waiters.filter((waiter) => waiter.sessionId !== sessionId);
  if (waiters.length < lock.waiters.length) putLock(state, record, { ...lock, waiters });
  return lockReply(record.lock, lock.holder !== null && lock.holder.sessionId === sessionId);
}

/** An operator's hand: as if the holder had been lost. */
export function forceReleaseLock(state: State, force: Of<"forceReleaseLock">): Outcome<Reply> {
  const problem = firstOf(
    checkText("reason", force.reason, fixedLimits.textBytes),
    checkText("by", force.by, fixedLimits.nameBytes),
  );
  if (problem !== null) return refused(problem);
  const record = state.locks.get(force.name);
  if (record === undefined) return unknownLock(force.name);
  if (record.lock.holder === null) return refuse("BAD_STATE", `lock ${force.name} is not held`);
  loseHolder(state, record);
  if (isGrantable(record.lock)) passOn(state, record);
  return lockReply(record.lock, false);
}

/** A session is gone: it leaves every line, and what it held goes into its delay. */
export function dropFromLocks(state: State, session: SessionRecord): void {
  for (const record of [...session.locks].sort((a, b) => (a.lock.name < b.lock.name ? -1 : 1))) {
    if (record.lock.holder?.sessionId === session.session.sessionId) loseHolder(state, record);
    else {
      const waiters = record.lock.waiters.filter((waiter) => waiter.sessionId !== session.session.sessionId);
      putLock(state, record, { ...record.lock, waiters });
    }
  }
}

/** The one timer of a lock has fired: its delay is over, or somebody has waited long enough. */
export function lockTimerFired(state: State, record: LockRecord): void {
  const { lock } = record;
  const waiters = lock.waiters.filter((waiter) => !hasWaitedEnough(state, waiter));
  const delayIsOver = lock.delayUntilMs !== null && lock.delayUntilMs <= state.now;
  if (delayIsOver) putLock(state, record, { ...lock, state: "FREE", waiters, delayUntilMs: null });
  else putLock(state, record, { ...lock, waiters });
}

/** Grants every lock that became free with somebody in line. At the start of an entry, after all sessions that are due ended. */
export function grantFreedLocks(state: State): void {
  if (state.grantable.size === 0) return;
  const records = [...state.grantable].sort((a, b) => (a.lock.name < b.lock.name ? -1 : 1));
  for (const record of records) if (record.lock.lastToken !== state.revision) passOn(state, record);
}

/** Adds a lock from a snapshot, or a new one. */
export function newLock(state: State, lock: Lock): LockRecord {
  const record: LockRecord = { lock, timer: newTimer("lock", lock.name) };
  state.locks.set(lock.name, record);
  if (lock.version > 0) state.digest.add({ kind: "lock", value: lock });
  index(state, record);
  return record;
}

/**
 * FREE, or HELD by the first live waiter. One grant per lock and entry, since the entry's index is the token: a lock
 * that was granted in this very entry stays FREE until the next. Dead waiters are dropped before the grant (etcd#11456).
 */
function passOn(state: State, record: LockRecord): void {
  const { lock } = record;
  const live = lock.waiters.filter((waiter) => liveSession(state, waiter.sessionId) !== null);
  const free: Lock = { ...lock, state: "FREE", holder: null, delayUntilMs: null, waiters: live, purpose: "" };
  const [next, ...others] = live;
  const mayGrant = next !== undefined && lock.lastToken !== state.revision;
  putLock(state, record, mayGrant ? grantedTo(state, free, next, others) : free);
}

function grantedTo(state: State, lock: Lock, to: LockWaiter, waiters: readonly LockWaiter[]): Lock {
  return {
    ...lock,
    state: "HELD",
    holder: { sessionId: to.sessionId, nodeId: to.nodeId, fencingToken: state.revision, acquiredAtMs: state.now },
    waiters,
    lockDelayMs: to.lockDelayMs,
    delayUntilMs: null,
    purpose: to.purpose,
    lastToken: state.revision,
  };
}

function loseHolder(state: State, record: LockRecord): void {
  const { lock } = record;
  const delayed = lock.lockDelayMs > 0;
  putLock(state, record, {
    ...lock,
    state: delayed ? "DELAY" : "FREE",
    holder: null,
    delayUntilMs: delayed ? ((state.now + lock.lockDelayMs) as ClusterTimeMs) : null,
    purpose: "",
  });
}

function putLock(state: State, record: LockRecord, next: Lock): void {
  const previous = record.lock;
  if (previous.version > 0) state.digest.remove({ kind: "lock", value: previous });
  unindex(state, record);
  const isNew = previous.version === 0;
  record.lock = {
    ...next,
    createRevision: isNew ? state.revision : previous.createRevision,
    modRevision: state.revision,
    version: previous.version + 1,
  };
  state.digest.add({ kind: "lock", value: record.lock });
  index(state, record);
  state.emit("lock", record.lock.name, { kind: "lock", value: record.lock });
}

function index(state: State, record: LockRecord): void {
  const { lock } = record;
  if (lock.holder !== null) {
    state.locksHeld += 1;
    state.sessions.get(lock.holder.sessionId)?.locks.add(record);
  }
  for (const waiter of lock.waiters) state.sessions.get(waiter.sessionId)?.locks.add(record);
  if (isGrantable(lock)) state.grantable.add(record);
  arm(state.objectTimers, record.timer, lockDeadline(lock));
}

function unindex(state: State, record: LockRecord): void {
  const { lock } = record;
  if (lock.holder !== null) {
    state.locksHeld -= 1;
    state.sessions.get(lock.holder.sessionId)?.locks.delete(record);
  }
  for (const waiter of lock.waiters) state.sessions.get(waiter.sessionId)?.locks.delete(record);
  state.grantable.delete(record);
}

function lockDeadline(lock: Lock): number | null {
  let deadline: number | null = lock.delayUntilMs;
  for (const { waitTimeoutMs, enqueuedAtMs } of lock.waiters) {
    if (waitTimeoutMs > 0) deadline = earlier(deadline, enqueuedAtMs + waitTimeoutMs);
  }
  return deadline;
}

const hasWaitedEnough = (state: State, waiter: LockWaiter): boolean =>
  waiter.waitTimeoutMs > 0 && waiter.enqueuedAtMs + waiter.waitTimeoutMs <= state.now;

const isGrantable = (lock: Lock): boolean => lock.state === "FREE" && lock.waiters.length > 0;

/** A lock that nobody has asked for yet; its first change makes it version 1. */
const unheard = (name: string): Lock => ({
  name,
  state: "FREE",
  holder: null,
  waiters: [],
  lockDelayMs: 0,
  delayUntilMs: null,
  purpose: "",
  lastToken: NO_INDEX,
  createRevision: NO_INDEX,
  modRevision: NO_INDEX,
  version: 0,
});

const lockReply = (lock: Lock, granted: boolean): Outcome<Reply> => accepted({ kind: "lock", lock, granted });

const unknownLock = (name: string): Outcome<never> => refuse("NOT_FOUND", `no lock ${name}`, "name");
