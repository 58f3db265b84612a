import { isDeepStrictEqual } from "node:util";
import { type LogIndex, NO_INDEX, type SessionId } from "#kernel";
import type { Command, Decision } from "#statemachine";
import type { Operation, OperationOutcome, OperationRequest } from "../history.ts";
import type { Observer } from "../observer.ts";
import type { CheckerReport } from "./checker.ts";
import type { Executed, Replay } from "./replay.ts";

type Answered = Extract<OperationOutcome, { kind: "ok" }>;
type ReadRequest = Extract<OperationRequest, { kind: "read" }>;
type WriteRequest = Extract<OperationRequest, { kind: "write" }>;

/**
 * The commit order is a linearization, and the world knows it: every reply is what the model answers at that index, every
 * value read is the model's at that revision, and the order keeps real time. Linear cost, every run.
 */
export class Linearizability implements Observer {
  readonly #replay: Replay;
  readonly #report: CheckerReport;
  /** The highest index that any client has been shown. */
  #shown: LogIndex = NO_INDEX;
  /** {@link #shown} as it was when the operation was called; copies of one command share the first call's. */
  readonly #before = new Map<string, LogIndex>();

  constructor(replay: Replay, report: CheckerReport) {
    this.#replay = replay;
    this.#report = report;
  }

  invoked(operation: Operation): void {
    const name = nameOf(operation);
    if (!this.#before.has(name)) this.#before.set(name, this.#shown);
  }

  returned(operation: Operation): void {
    const { request, outcome } = operation;
    if (outcome?.kind !== "ok") return;
    const before = this.#before.get(nameOf(operation)) ?? NO_INDEX;
    const problem = request.kind === "write" ? this.#checkWrite(request, outcome) : this.#checkRead(request, outcome);
    const isOrdered = request.kind === "write" || request.mode === "linearizable";
    if (problem !== null) this.#complain(operation, problem);
    else if (isOrdered && outcome.index < before) {
      this.#complain(operation, `it took effect at ${outcome.index}; ${before} had been answered before it was called`);
    }
    if (isOrdered && outcome.index > this.#shown) this.#shown = outcome.index;
  }

  #complain({ number, client, request }: Operation, problem: string): void {
    const what =
      request.kind === "write" ? request.command.operation.kind : `${request.mode} read of ${request.what} ${request.key}`;
    this.#report("linearizability", `${what} (operation ${number} of client ${client}): ${problem}`);
  }

  #checkWrite({ command }: WriteRequest, { index, answer }: Answered): string | null {
    const executed = this.#replay.at(index);
    if (executed === null) return `answered with index ${index}, but only ${this.#replay.index} are committed`;
    if (answer?.kind !== "decided") return "answered without a decision";
    if (!isOwn(executed, command)) {
      return command.operation.kind === "acquireLock" && command.operation.wait
        ? this.#checkGrant(command.operation.name, command.sessionId, answer.decision)
        : `answered with index ${index}, which holds another command`;
    }
    if (isDeepStrictEqual(executed.decision, answer.decision)) return null;
    if (command.operation.kind === "acquireLock" && command.operation.wait && executed.decision !== null) {
      return this.#checkGrant(command.operation.name, command.sessionId, answer.decision);
    }
    return `answered ${JSON.stringify(answer.decision)}, the log says ${JSON.stringify(executed.decision)}`;
  }

  /** An acquire that waited in line is answered by whatever entry has granted it. */
  #checkGrant(name: string, session: SessionId | null, { outcome, revision }: Decision): string | null {
    if (!outcome.ok || outcome.value.kind !== "lock" || !outcome.value.granted)
      return "a wait was answered with something else than a grant";
    const { lock } = outcome.value;
    if (lock.holder?.sessionId !== session) return `granted to ${lock.holder?.sessionId ?? "nobody"}, asked for by ${session}`;
    // Not the last state at this revision: in the entry that granted it, its own command may have changed the lock once more.
    const known = this.#replay.at(revision)?.events.filter(({ kind, key }) => kind === "lock" && key === name) ?? [];
    if (known.some(({ object }) => isDeepStrictEqual(object?.value, lock))) return null;
    return `granted ${JSON.stringify(lock)}, the log says ${JSON.stringify(known.map(({ object }) => object?.value))}`;
  }

  #checkRead({ mode, minRevision, what, key }: ReadRequest, { index, value }: Answered): string | null {
    if (mode === "min_revision" && index < minRevision) return `served at revision ${index}, asked for ${minRevision}`;
    if (index > this.#replay.index) return `served at revision ${index}, but only ${this.#replay.index} are committed`;
    // Renewals move a session's deadline without a change that the model would see.
    if (what === "counts" || what === "session") return null;
    const expected = what === "list work" ? this.#listAt(key, index) : this.#replay.objectAt(what, key, index);
    const known = JSON.stringify(what === "list work" ? expected : ((expected as { value: unknown } | null)?.value ?? null));
    if (known === value || isDeepStrictEqual(JSON.parse(known), JSON.parse(value ?? "null"))) return null;
    return `read ${value}, the log says ${known} at ${index}`;
  }

  /** Ids of all items of a queue. */
  #listAt(queue: string, revision: LogIndex): readonly string[] {
    return [...this.#replay.keys("work")].filter((id) => {
      const object = this.#replay.objectAt("work", id, revision);
      return object?.kind === "work" && object.value.spec.queue === queue;
    });
  }
}

function isOwn({ command }: Executed, asked: Command): boolean {
  if (command === null) return false;
  if (asked.sequence !== null) return command.sessionId === asked.sessionId && command.sequence === asked.sequence;
  // The leader writes the caller's proven name over the given one.
  return isDeepStrictEqual({ ...command.operation, principal: "" }, { ...asked.operation, principal: "" });
}

function nameOf({ number, request }: Operation): string {
  if (request.kind === "read" || request.command.sequence === null) return `${number}`;
  return `${request.command.sessionId}/${request.command.sequence}`;
}
