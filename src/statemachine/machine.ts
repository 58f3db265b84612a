import { accepted, assertNever, invariant, type Outcome, refused, SessionId, type WallTimeMs, WorkId } from "#kernel";
import { invalid, refuse } from "./check.ts";

import type { Command } from "./command.ts";
import { cancelJob, submitJob } from "./jobs/jobs.ts";
import { refreshJobs } from "./jobs/progress.ts";
import { raiseFeatureLevel } from "./features.ts";
import { defaultLimits } from "./limits.ts";
import { acquireLock, cancelAcquire, forceReleaseLock, grantFreedLocks, lockTimerFired, releaseLock } from "./locks/locks.ts";
import type { Applied, EntryContext, MachineLimits, Restoration, StateMachine } from "./machine-types.ts";
import { commitVersion, registerVersion, setAlias } from "./models/registry.ts";
import { forgetNode, readmitNode, setNodeScheduling } from "./nodes/operators.ts";
import { nodeDown, nodeUp, partitionHealed, partitionSuspected } from "./nodes/verdicts.ts";
import { readerOf } from "./reader.ts";
import type { Decision, Event, Reply } from "./reply.ts";
import { remember, remembered } from "./sessions/replies.ts";
import { closeSession, expireSessions, extendSessions, openSession, renewSessions } from "./sessions/sessions.ts";
import { Refill, snapshotOf } from "./snapshot.ts";
import { liveSession, type SessionRecord, State } from "./state.ts";
import { claimWork } from "./work/claim.ts";
import { enqueueWork } from "./work/enqueue.ts";
import { workTimerFired } from "./work/expiry.ts";
import { promoteScheduled } from "./work/items.ts";
import { cancelWork, completeWork, progressWork, releaseWork, requeueWork, startWork } from "./work/lifecycle.ts";

/** A {@link StateMachine} that also tells what its claims cost. */
export interface InspectableStateMachine extends StateMachine {
  /** How many heads of requirement classes claims have looked at so far. */
  readonly candidatesInspected: number;
}

export function createStateMachine(limits: Partial<MachineLimits> = {}): InspectableStateMachine {
  return new Machine(new State({ ...defaultLimits, ...limits }));
}

/**
 * A machine that goes on exactly where the saved one stood. Throws {@link InvariantError} when the documents are not a
 * whole snapshot of a known format.
 */
export function restoreStateMachine(documents: Iterable<string>, limits: Partial<MachineLimits> = {}): InspectableStateMachine {
  const restoration = restoringStateMachine(limits);
  for (const document of documents) restoration.add(document);
  return restoration.finish();
}

/** The same piece by piece, for a caller that has other things to do in between. */
export function restoringStateMachine(limits: Partial<MachineLimits> = {}): Restoration<InspectableStateMachine> {
  const state = new State({ ...defaultLimits, ...limits });
  const refill = new Refill(state);
  return {
    add: (document) => refill.add(document),
    finish: () => {
      refill.finish();
      return new Machine(state);
    },
  };
}

class Machine implements InspectableStateMachine {
  readonly #state: State;
  readonly #reader: ReturnType<typeof readerOf>;

  constructor(state: State) {
    this.#state = state;
    this.#reader = readerOf(state);
  }

  apply(command: Command, context: EntryContext): Applied {
    const state = this.#state;
    enterEntry(state, context);
    fireTimers(state);
    const decision = decide(state, command);
    leaveEntry(state);
    return { decision, events: state.takeEvents() };
  }

  leaderChanged(context: EntryContext, electionGraceMs: number): readonly Event[] {
    const state = this.#state;
    enterEntry(state, context);
    // Before the timers: a lease that ran out while nobody led must not end now.
    extendSessions(state, electionGraceMs);
    fireTimers(state);
    leaveEntry(state);
    return state.takeEvents();
  }

  skip(context: EntryContext): readonly Event[] {
    const state = this.#state;
    enterEntry(state, context);
    fireTimers(state);
    leaveEntry(state);
    return state.takeEvents();
  }

  get revision(): State["revision"] {
    return this.#state.revision;
  }

  get clusterTimeMs(): State["now"] {
    return this.#state.now;
  }

  get candidatesInspected(): number {
    return this.#state.candidatesInspected;
  }

  nextDeadlines(): ReturnType<StateMachine["nextDeadlines"]> {
    const { sessionTimers, objectTimers, scheduled, grantable, now } = this.#state;
    const session = sessionTimers.peek()?.deadlineMs ?? null;
    const object = objectTimers.peek()?.deadlineMs ?? null;
    const timer = session !== null && (object === null || session < object) ? session : object;
    // A lock that was freed by its second holder in one entry is granted by whatever entry comes next.
    const clusterMs = grantable.size > 0 ? now : timer;
    return { clusterMs, wallMs: (scheduled.peek()?.version.availableAtMs ?? null) as WallTimeMs | null };
  }

  read(): ReturnType<StateMachine["read"]> {
    return this.#reader;
  }

  snapshot(): Iterable<string> {
    return snapshotOf(this.#state);
  }

  digest(): string {
    const { digest, revision, now, wall } = this.#state;
    return digest.hex(revision, now, wall);
  }
}

function enterEntry(state: State, context: EntryContext): void {
  invariant(context.index > state.revision, `entry ${context.index} is applied after ${state.revision}`);
  state.revision = context.index;
  if (context.clusterTimeMs > state.now) state.now = context.clusterTimeMs;
  if (context.wallTimeMs > state.wall) state.wall = context.wallTimeMs;
}

/**
 * Everything that time alone decides, before the command: first all sessions that are due end, then the other timers
 * in order of deadline and id, then freed locks are granted. At most `maxTimersPerEntry` in all, so that no single
 * entry holds up the log (etcd's cap on lease revocation); the rest fire in the next one.
 */
function fireTimers(state: State): void {
  let left = state.limits.maxTimersPerEntry;
  left -= expireSessions(state, left);
  for (; left > 0; left -= 1) {
    const timer = state.objectTimers.peek();
    if (timer === undefined || timer.deadlineMs > state.now) break;
    if (timer.kind === "work") workTimerFired(state, state.work.get(WorkId(timer.key))!);
    else lockTimerFired(state, state.locks.get(timer.key)!);
  }
  grantFreedLocks(state);
  promoteScheduled(state);
}

function leaveEntry(state: State): void {
  grantFreedLocks(state);
  refreshJobs(state);
}

function decide(state: State, command: Command): Decision {
  if (command.sessionId === null) {
    const stray = command.sequence === null ? null : refused(invalid("sequence", "needs a session_id"));
    return decisionOf(state, stray ?? execute(state, command, null));
  }
  const session = liveSession(state, command.sessionId);
  if (session === null) {
    return decisionOf(state, refuse("SESSION_EXPIRED", `session ${command.sessionId} is not open`, "session_id"));
  }
  const known = remembered(state, session, command);
  if (known !== null) return "outcome" in known ? known : decisionOf(state, known);
  const decision = decisionOf(state, execute(state, command, session));
  const isOpen = state.sessions.has(SessionId(command.sessionId));
  if (command.sequence !== null && isOpen) remember(state, session, command.sequence, decision);
  return decision;
}

const decisionOf = (state: State, outcome: Outcome<Reply>): Decision => ({
  outcome,
  revision: state.revision,
  clusterTimeMs: state.now,
});

function execute(state: State, { operation, sequence }: Command, session: SessionRecord | null): Outcome<Reply> {
  switch (operation.kind) {
    case "openSession":
      return openSession(state, operation);
    case "renewSessions":
      return renewSessions(state, operation.sessionIds);
    case "closeSession":
      return closeSession(state, session);
    case "advanceClock":
      return accepted({ kind: "none" });
    case "enqueueWork":
      return enqueueWork(state, operation.spec);
    case "claimWork":
      return claimWork(state, session, operation);
    case "startWork":
      return startWork(state, session, operation);
    case "progressWork":
      return progressWork(state, session, operation);
    case "completeWork":
      return completeWork(state, session, operation);
    case "releaseWork":
      return releaseWork(state, session, operation);
    case "cancelWork":
      return cancelWork(state, operation);
    case "requeueWork":
      return requeueWork(state, operation.workId);
    case "submitJob":
      return submitJob(state, operation);
    case "cancelJob":
      return cancelJob(state, operation);
    case "registerVersion":
      return registerVersion(state, session, operation);
    case "commitVersion":
      return commitVersion(state, session, operation);
    case "setAlias":
      return setAlias(state, operation);
    case "acquireLock":
      return acquireLock(state, session, sequence, operation);
    case "releaseLock":
      return releaseLock(state, session, operation);
    case "cancelAcquire":
      return cancelAcquire(state, session, operation.name);
    case "forceReleaseLock":
      return forceReleaseLock(state, operation);
    case "setNodeScheduling":
      return setNodeScheduling(state, operation);
    case "forgetNode":
      return forgetNode(state, operation);
    case "readmitNode":
      return readmitNode(state, operation);
    case "nodeDown":
      return nodeDown(state, operation);
    case "nodeUp":
      return nodeUp(state, operation);
    case "partitionSuspected":
      return partitionSuspected(state, operation);
    case "partitionHealed":
      return partitionHealed(state, operation);
    case "raiseFeatureLevel":
      return raiseFeatureLevel(state, operation.level);
    default:
      return assertNever(operation, "operation");
  }
}
