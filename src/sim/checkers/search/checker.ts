import type { SessionId } from "#kernel";
import type { Operation } from "../../history.ts";
import type { Observer, WorldView } from "../../observer.ts";
import { changeOf, replyOf } from "../answers.ts";
import type { CheckerReport } from "../checker.ts";
import { type Doubts, initialStates, meaningsOf } from "./models.ts";
import { search, type Step } from "./search.ts";

/**
 * Linearizability judged by the history alone, with models that share no code with the state machine. Locks, items and aliases
 * are searched one by one (P-compositionality). "Don't know" is a failure, not a pass. Costs the most, so some runs only.
 */
export class LinearizabilitySearch implements Observer {
  readonly #view: Pick<WorldView, "nowMs">;
  readonly #report: CheckerReport;
  readonly #operations = new Map<string, Operation>();
  readonly #certainUntilMs = new Map<SessionId, number>();
  /** Sessions that were not renewed in time, closed, or left alone by their client. */
  readonly #lapsed = new Set<SessionId>();
  readonly #sessionOfToken = new Map<string, SessionId>();
  /** Revisions that somebody was told of, and models whose alias somebody set without being told. */
  readonly #told = new Set<string>();
  readonly #maybeSet = new Set<string>();
  /** An operator's hand takes a lock from anyone. */
  readonly #forced = new Set<string>();

  constructor(view: Pick<WorldView, "nowMs">, report: CheckerReport) {
    this.#view = view;
    this.#report = report;
  }

  leased(session: SessionId, certainUntilMs: number): void {
    if (this.#view.nowMs > (this.#certainUntilMs.get(session) ?? Number.POSITIVE_INFINITY)) this.#lapsed.add(session);
    this.#certainUntilMs.set(session, certainUntilMs);
  }

  invoked(operation: Operation): void {
    const forced = changeOf(operation, "forceReleaseLock");
    if (forced !== null) this.#forced.add(`lock ${forced.name}`);
    const { request } = operation;
    if (request.kind === "write" && request.command.sessionId !== null && changeOf(operation, "closeSession") !== null) {
      this.#lapsed.add(request.command.sessionId);
    }
  }

  /** Copies of one command are one operation: the answer that came first counts. */
  returned(operation: Operation): void {
    const { request, number } = operation;
    const set = changeOf(operation, "setAlias");
    if (set !== null && operation.outcome?.kind === "unknown") this.#maybeSet.add(set.model);
    if (set !== null && operation.outcome?.kind === "ok") this.#told.add(`${operation.outcome.index}`);
    const isOwn = request.kind === "read" || request.command.sequence === null;
    const name = isOwn ? `${number}` : `${request.command.sessionId}/${request.command.sequence}`;
    if (operation.outcome?.kind !== "ok" || this.#operations.has(name)) return;
    this.#operations.set(name, operation);
    const reply = replyOf(operation);
    if (reply?.kind !== "lock" || !reply.granted || reply.lock.holder === null) return;
    this.#sessionOfToken.set(`${reply.lock.holder.fencingToken}`, reply.lock.holder.sessionId);
  }

  ended(): void {
    for (const [session, untilMs] of this.#certainUntilMs) if (untilMs < this.#view.nowMs) this.#lapsed.add(session);
    const mayLapse = (token: string): boolean => {
      const session = this.#sessionOfToken.get(token);
      return session === undefined || this.#lapsed.has(session);
    };
    const doubts: Doubts = {
      mayLapse,
      maybeSet: (model) => this.#maybeSet.has(model),
      wasTold: (revision) => this.#told.has(revision),
    };
    const histories = new Map<string, Step[]>();
    for (const operation of this.#operations.values()) {
      const { calledMs, outcome } = operation;
      for (const { object, apply } of meaningsOf(operation, doubts)) {
        const step = { calledMs, returnedMs: outcome!.atMs, apply };
        const history = histories.get(object);
        if (history === undefined) histories.set(object, [step]);
        else history.push(step);
      }
    }
    for (const [object, steps] of histories) if (!this.#forced.has(object)) this.#judge(object, steps);
  }

  #judge(object: string, steps: readonly Step[]): void {
    const kind = object.slice(0, object.indexOf(" ")) as keyof typeof initialStates;
    const verdict = search(steps, initialStates[kind]);
    if (verdict === "violation")
      this.#report("linearizability-search", `no order explains the ${steps.length} operations on ${object}`);
    else if (verdict === "unknown")
      this.#report("linearizability-search", `the budget was too small for the ${steps.length} operations on ${object}`);
  }
}
