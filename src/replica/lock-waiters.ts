import { type Refusal, type SessionId, accepted, refusal } from "#kernel";
import type { Decision, Event, Lock, Reader } from "#statemachine";
import type { Slot } from "./pending.ts";
import type { Answer, SubmitRequest } from "./types.ts";

/**
 * Acquires that stand in a lock's line: their command is in the log and decided ("you wait"), and the caller is answered once
 * the line has moved. The truth is the lock object; this only watches it.
 */
export class LockWaiters {
  readonly #byLock = new Map<string, Slot[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Answers with `decision` unless it says that the caller waits in line; then the answer comes when the wait has ended. */
  answerOrPark(slot: Slot, decision: Decision, reader: Reader): void {
    const name = waitedFor(slot, decision);
    if (name === null) return slot.respond({ kind: "decided", decision });
    // A repeated acquire is answered from the reply table with the old "you wait": look where the line stands now.
    const answer = answerNow(slot, reader.lock(name), reader);
    if (answer !== null) return slot.respond(answer);
    const line = this.#byLock.get(name);
    if (line === undefined) this.#byLock.set(name, [slot]);
    else line.push(slot);
    this.#size += 1;
  }

  onEvents(events: readonly Event[], reader: Reader): void {
    if (this.#size === 0) return;
    for (const { kind, key, object } of events) {
      if (kind !== "lock" || !this.#byLock.has(key)) continue;
      const lock = object?.kind === "lock" ? object.value : null;
      this.#settle(key, (slot) => answerNow(slot, lock, reader));
    }
  }

  /** The caller's time is up; its place in line stays, and so the outcome is not known. */
  expire(nowMs: number, why: Refusal): void {
    if (this.#size === 0) return;
    for (const name of this.#byLock.keys()) {
      this.#settle(name, (slot) => (slot.deadlineMs <= nowMs ? { kind: "refused", refusal: why } : null));
    }
  }

  refuseAll(why: Refusal): void {
    for (const name of this.#byLock.keys()) this.#settle(name, () => ({ kind: "refused", refusal: why }));
  }

  abandon(request: SubmitRequest): boolean {
    for (const [name, line] of this.#byLock) {
      const left = line.filter((slot) => slot.request !== request);
      if (left.length === line.length) continue;
      this.#store(name, line, left);
      return true;
    }
    return false;
  }

  #settle(name: string, answerTo: (slot: Slot) => Answer | null): void {
    const line = this.#byLock.get(name)!;
    const answers = line.map(answerTo);
    this.#store(
      name,
      line,
      line.filter((_, at) => answers[at] === null),
    );
    for (const [at, answer] of answers.entries()) if (answer !== null) line[at]!.respond(answer);
  }

  #store(name: string, before: readonly Slot[], left: Slot[]): void {
    this.#size -= before.length - left.length;
    if (left.length === 0) this.#byLock.delete(name);
    else this.#byLock.set(name, left);
  }
}

/** The lock in whose line this command waits; null when it does not wait. */
function waitedFor({ command }: Slot, { outcome }: Decision): string | null {
  const { operation, sessionId } = command;
  if (operation.kind !== "acquireLock" || !operation.wait || sessionId === null) return null;
  return outcome.ok && outcome.value.kind === "lock" && !outcome.value.granted ? operation.name : null;
}

function answerNow({ command }: Slot, lock: Lock | null, reader: Reader): Answer | null {
  const session = command.sessionId as SessionId;
  if (lock?.holder?.sessionId === session) {
    const outcome = accepted({ kind: "lock", lock, granted: true } as const);
    return { kind: "decided", decision: { outcome, revision: lock.modRevision, clusterTimeMs: lock.holder.acquiredAtMs } };
  }
  if (lock?.waiters.some((waiter) => waiter.sessionId === session) === true) return null;
  if (reader.session(session) === null) {
    return { kind: "refused", refusal: refusal("SESSION_EXPIRED", `session ${session} ended while it waited in line`) };
  }
  return { kind: "refused", refusal: refusal("TIMEOUT", "the wait in line ended without a grant") };
}
