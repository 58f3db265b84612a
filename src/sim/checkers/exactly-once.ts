import type { LogIndex } from "#kernel";
import type { Operation } from "../history.ts";
import type { Observer } from "../observer.ts";
import { changeOf, decisionOf } from "./answers.ts";
import type { CheckerReport } from "./checker.ts";
import type { Executed, Replay } from "./replay.ts";

/** A (session, sequence) has one effect and one answer, however often and wherever its bytes arrive. */
export class ExactlyOnce implements Observer {
  readonly #report: CheckerReport;
  readonly #effects = new Map<string, LogIndex>();
  readonly #answers = new Map<string, LogIndex>();

  constructor(replay: Pick<Replay, "onExecuted">, report: CheckerReport) {
    this.#report = report;
    replay.onExecuted((executed) => this.#executed(executed));
  }

  returned(operation: Operation): void {
    const { request } = operation;
    const decision = decisionOf(operation);
    // An acquire that waited is answered by its grant; the reply table has its place in line.
    if (decision?.outcome.ok !== true || request.kind !== "write" || changeOf(operation, "acquireLock") !== null) return;
    if (request.command.sequence === null) return;
    const name = `${request.command.sessionId}/${request.command.sequence}`;
    // The effect as the log has it: a node that has forgotten the first answer does it again on its own state alone.
    const known = this.#effects.get(name) ?? this.#answers.get(name);
    if (known === undefined) this.#answers.set(name, decision.revision);
    else if (known !== decision.revision) {
      this.#report("exactly-once", `${name} was answered from index ${decision.revision}, after ${known}`);
    }
  }

  #executed({ entry, command, decision }: Executed): void {
    if (command === null || command.sequence === null || decision?.outcome.ok !== true) return;
    // A copy is answered with the first one's decision, which stands at the first one's index.
    if (decision.revision !== entry.index) return;
    const name = `${command.sessionId}/${command.sequence}`;
    const known = this.#effects.get(name);
    if (known === undefined) this.#effects.set(name, entry.index);
    else this.#report("exactly-once", `${name} had its effect at index ${known} and again at ${entry.index}`);
  }
}
