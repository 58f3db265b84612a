import type { FencingToken, WorkId } from "#kernel";
import type { Operation } from "../history.ts";
import type { Observer } from "../observer.ts";
import { changeOf, replyOf } from "./answers.ts";
import type { CheckerReport } from "./checker.ts";

/**
 * At most one success of an item is ever accepted, and no end of an attempt under a token after a client was given a newer
 * one: judged by what clients were told, not by the log.
 */
export class DoubleSuccess implements Observer {
  readonly #report: CheckerReport;
  readonly #successes = new Map<WorkId, string>();
  readonly #newestToken = new Map<WorkId, FencingToken>();
  /** The newest token of the item that was known when the completion was called. */
  readonly #tokenAtCall = new Map<Operation, FencingToken>();
  /** Commands that have been called: a copy's call may come after its effect. */
  readonly #firstCalls = new Map<string, Operation>();

  constructor(report: CheckerReport) {
    this.#report = report;
  }

  invoked(operation: Operation): void {
    const complete = changeOf(operation, "completeWork");
    if (complete === null || this.#firstCalls.has(nameOf(operation))) return;
    this.#firstCalls.set(nameOf(operation), operation);
    const newest = this.#newestToken.get(complete.workId);
    if (newest !== undefined) this.#tokenAtCall.set(operation, newest);
  }

  returned(operation: Operation): void {
    const reply = replyOf(operation);
    if (reply?.kind === "claimed") for (const { workId, claim } of reply.items) this.#claimed(workId, claim!.fencingToken);
    const complete = changeOf(operation, "completeWork");
    if (complete !== null && reply !== null) this.#completed(operation, complete);
  }

  #claimed(workId: WorkId, token: FencingToken): void {
    if (token > (this.#newestToken.get(workId) ?? 0)) this.#newestToken.set(workId, token);
  }

  #completed(
    operation: Operation,
    { workId, fencingToken, error }: NonNullable<ReturnType<typeof changeOf<"completeWork">>>,
  ): void {
    const name = nameOf(operation);
    const newest = this.#tokenAtCall.get(this.#firstCalls.get(name) ?? operation);
    if (newest !== undefined && fencingToken < newest) {
      this.#report(
        "double-success",
        `${workId} was completed under token ${fencingToken}; token ${newest} had been given out before`,
      );
    }
    if (error !== null) return;
    const known = this.#successes.get(workId);
    if (known === undefined) this.#successes.set(workId, name);
    else if (known !== name) this.#report("double-success", `${workId} succeeded for ${known} and for ${name}`);
  }
}

function nameOf({ number, request }: Operation): string {
  if (request.kind !== "write" || request.command.sequence === null) return `operation ${number}`;
  return `${request.command.sessionId}/${request.command.sequence}`;
}
