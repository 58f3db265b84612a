import type { LogIndex, WorkId } from "#kernel";
import type { WorkItem } from "#statemachine";
import type { Operation } from "../history.ts";
import type { Observer } from "../observer.ts";
import { changeOf, replyOf } from "./answers.ts";
import type { CheckerReport } from "./checker.ts";
import type { Executed, Replay } from "./replay.ts";

/**
 * "Nothing to do" may be said only when no item was there to be claimed through the whole call. Looks at items that were
 * pending, and due, in what a client had been shown before the call, and still are after the claim's index.
 */
export class EmptyClaim implements Observer {
  readonly #replay: Pick<Replay, "at">;
  readonly #report: CheckerReport;
  readonly #pending = new Map<WorkId, WorkItem>();
  readonly #before = new Map<Operation, LogIndex>();
  #shown = 0 as LogIndex;

  constructor(replay: Pick<Replay, "at" | "onExecuted">, report: CheckerReport) {
    this.#replay = replay;
    this.#report = report;
    replay.onExecuted((executed) => this.#executed(executed));
  }

  invoked(operation: Operation): void {
    if (changeOf(operation, "claimWork") !== null) this.#before.set(operation, this.#shown);
  }

  returned(operation: Operation): void {
    const { outcome } = operation;
    const claim = changeOf(operation, "claimWork");
    const before = this.#before.get(operation);
    this.#before.delete(operation);
    if (claim !== null && before !== undefined) this.#check(operation, claim.queues, before);
    if (outcome?.kind === "ok" && operation.request.kind === "write" && outcome.index > this.#shown) this.#shown = outcome.index;
  }

  #check(operation: Operation, queues: readonly string[], before: LogIndex): void {
    const reply = replyOf(operation);
    if (reply?.kind !== "claimed" || reply.items.length > 0 || operation.outcome?.kind !== "ok") return;
    const { index } = operation.outcome;
    // A copy is answered with what was said long ago.
    if (index <= before) return;
    const wallMs = this.#replay.at(before)?.entry.wallTimeMs ?? 0;
    for (const { workId, spec, modRevision, availableAtMs } of this.#pending.values()) {
      if (modRevision > before || availableAtMs > wallMs || spec.requires !== null || !queues.includes(spec.queue)) continue;
      this.#report(
        "empty-claim",
        `claim at index ${index} found nothing; ${workId} was pending in ${spec.queue} since ${modRevision}`,
      );
    }
  }

  #executed({ events }: Executed): void {
    for (const { kind, key, object } of events) {
      if (kind !== "work") continue;
      if (object?.kind === "work" && object.value.state === "PENDING") this.#pending.set(object.value.workId, object.value);
      else this.#pending.delete(key as WorkId);
    }
  }
}
