import type { WorkId } from "#kernel";
import type { ObjectValue, Reader, WorkItem } from "#statemachine";
import type { Operation } from "../history.ts";
import type { Observer } from "../observer.ts";
import { changeOf, replyOf } from "./answers.ts";
import type { CheckerReport } from "./checker.ts";

/**
 * Jepsen's total-queue, after the drain: every item whose enqueue was acknowledged is there and finished, and nothing is
 * there that nobody tried to enqueue, or twice.
 */
export class NoLostJob implements Observer {
  readonly #final: FinalState;
  readonly #report: CheckerReport;
  readonly #acknowledged = new Set<WorkId>();
  /** Payloads are unique. */
  readonly #attempted = new Set<string>();

  constructor(final: FinalState, report: CheckerReport) {
    this.#final = final;
    this.#report = report;
  }

  invoked(operation: Operation): void {
    const enqueue = changeOf(operation, "enqueueWork");
    if (enqueue !== null) this.#attempted.add(enqueue.spec.payload);
    for (const { payload } of changeOf(operation, "submitJob")?.items ?? []) this.#attempted.add(payload);
  }

  returned(operation: Operation): void {
    const reply = replyOf(operation);
    if (reply?.kind === "work") this.#acknowledged.add(reply.item.workId);
    if (reply?.kind === "job") for (const id of reply.items) this.#acknowledged.add(id as WorkId);
  }

  ended(): void {
    const { reader } = this.#final;
    for (const id of this.#acknowledged) {
      const item = reader.work(id) ?? this.#removed(id);
      if (item === null) this.#report("no-lost-job", `${id} was acknowledged and is gone`);
      else if (!isFinished(item)) this.#report("no-lost-job", `${id} was acknowledged and is ${item.state} after the drain`);
    }
    const found = new Set<string>();
    for (const { workId, spec } of reader.listWork({ limit: Number.POSITIVE_INFINITY })) {
      if (!this.#attempted.has(spec.payload)) this.#report("no-lost-job", `nobody enqueued ${workId}`);
      if (found.has(spec.payload)) this.#report("exactly-once", `${workId} was enqueued a second time`);
      found.add(spec.payload);
    }
  }

  /** Only what asked for it is removed, some time after its end. */
  #removed(id: WorkId): WorkItem | null {
    const last = this.#final.lastOf("work", id);
    return last?.kind === "work" && last.value.spec.ttlAfterFinishedMs > 0 ? last.value : null;
  }
}

/** What is left after the drain, and how removed items stood before they were removed. */
interface FinalState {
  readonly reader: Pick<Reader, "work" | "listWork">;
  lastOf(kind: "work", id: string): ObjectValue | null;
}

function isFinished({ state }: WorkItem): boolean {
  return state !== "PENDING" && state !== "CLAIMED" && state !== "RUNNING";
}
