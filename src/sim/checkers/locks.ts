import type { FencingToken, SessionId } from "#kernel";
import type { Operation } from "../history.ts";
import type { Observer, WorldView } from "../observer.ts";
import { changeOf, replyOf } from "./answers.ts";
import type { CheckerReport } from "./checker.ts";

interface Hold {
  readonly name: string;
  readonly session: SessionId;
  readonly token: FencingToken;
}

/**
 * Judged by what clients may rely on, not by the log: a hold is guaranteed from the grant's arrival until the client asks to
 * release it, closes its session, or can no longer vouch for the session's life; guaranteed holds of one lock never overlap.
 * And tokens of a lock rise in real time: a grant asked for after another one was known has a higher token.
 */
export class LockExclusion implements Observer {
  readonly #view: Pick<WorldView, "nowMs">;
  readonly #report: CheckerReport;
  readonly #certainUntilMs = new Map<SessionId, number>();
  readonly #holds = new Map<string, Hold[]>();
  readonly #newest = new Map<string, Hold>();
  /** The newest grant of the lock that was known when the acquire was called. */
  readonly #newestAtCall = new Map<Operation, Hold>();
  /** Forced releases that are under way, and the index of the newest that was done. */
  readonly #forcing = new Map<string, number>();
  readonly #forcedAt = new Map<string, number>();
  /** A session that sent its goodbye relies on nothing. */
  readonly #closing = new Set<SessionId>();
  /** Commands called before: a copy may come late, and is answered with what was. */
  readonly #called = new Set<string>();
  readonly #copies = new Set<Operation>();

  constructor(view: Pick<WorldView, "nowMs">, report: CheckerReport) {
    this.#view = view;
    this.#report = report;
  }

  leased(session: SessionId, certainUntilMs: number): void {
    this.#certainUntilMs.set(session, certainUntilMs);
  }

  invoked(operation: Operation): void {
    const { request } = operation;
    if (request.kind !== "write") return;
    const { sessionId, sequence } = request.command;
    const name = `${sessionId}/${sequence}`;
    if (sequence !== null && this.#called.has(name)) this.#copies.add(operation);
    this.#called.add(name);
    if (changeOf(operation, "closeSession") !== null && sessionId !== null) this.#closing.add(sessionId);
    const release = changeOf(operation, "releaseLock");
    if (release !== null) this.#drop(release.name, (hold) => hold.token === release.fencingToken);
    const forced = changeOf(operation, "forceReleaseLock");
    if (forced !== null) this.#forcing.set(forced.name, (this.#forcing.get(forced.name) ?? 0) + 1);
    const acquire = changeOf(operation, "acquireLock");
    const newest = acquire === null ? undefined : this.#newest.get(acquire.name);
    if (newest !== undefined) this.#newestAtCall.set(operation, newest);
  }

  returned(operation: Operation): void {
    const forced = changeOf(operation, "forceReleaseLock");
    if (forced !== null) this.#forced(forced.name, operation);
    const reply = replyOf(operation);
    if (changeOf(operation, "acquireLock") === null || reply?.kind !== "lock" || !reply.granted) return;
    const { name, holder } = reply.lock;
    if (holder === null || this.#copies.has(operation)) return;
    const hold: Hold = { name, session: holder.sessionId, token: holder.fencingToken };
    this.#checkToken(hold, this.#newestAtCall.get(operation));
    this.#checkOverlap(hold);
    if (hold.token > (this.#newest.get(name)?.token ?? 0)) this.#newest.set(name, hold);
  }

  #checkToken(hold: Hold, before: Hold | undefined): void {
    if (before === undefined || hold.token > before.token) return;
    if (hold.token === before.token && hold.session === before.session) return;
    this.#report(
      "fencing",
      `lock ${hold.name} was granted to ${hold.session} under token ${hold.token}; token ${before.token} of ${before.session} had been given out before`,
    );
  }

  #checkOverlap(hold: Hold): void {
    const nowMs = this.#view.nowMs;
    if ((this.#forcing.get(hold.name) ?? 0) > 0) return;
    const overridden = this.#forcedAt.get(hold.name) ?? 0;
    const isGuaranteed = ({ session, token }: Hold) =>
      token > overridden && !this.#closing.has(session) && (this.#certainUntilMs.get(session) ?? 0) > nowMs;
    if (!isGuaranteed(hold)) return;
    const others = (this.#holds.get(hold.name) ?? []).filter((other) => other.session !== hold.session && isGuaranteed(other));
    const [other] = others;
    if (other !== undefined) {
      this.#report(
        "lock-exclusion",
        `${hold.session} (token ${hold.token}) and ${other.session} (token ${other.token}) both hold lock ${hold.name}`,
      );
    }
    this.#holds.set(hold.name, [...others, hold]);
  }

  /** An operator's hand overrides all guarantees up to its index; what became of an unknown one stays open for ever. */
  #forced(name: string, { outcome }: Operation): void {
    if (outcome?.kind === "unknown") return;
    this.#forcing.set(name, this.#forcing.get(name)! - 1);
    if (outcome?.kind === "ok") this.#forcedAt.set(name, Math.max(outcome.index, this.#forcedAt.get(name) ?? 0));
  }

  #drop(name: string, matches: (hold: Hold) => boolean): void {
    const holds = this.#holds.get(name);
    if (holds !== undefined)
      this.#holds.set(
        name,
        holds.filter((hold) => !matches(hold)),
      );
  }
}
