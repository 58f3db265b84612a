import { type Outcome, type Refusal, type Revision, type SessionId, accepted, refusal, refused } from "#kernel";
import type { Timer, Timers } from "#ports";
import type { Operation, Reader } from "#statemachine";
import type { Answer } from "./types.ts";

export type Renewed = Outcome<{ readonly revision: Revision; readonly ttlMs: number }>;

export interface RenewalPorts {
  readonly timers: Timers;
  readonly propose: (operation: Operation, respond: (answer: Answer) => void) => void;
  readonly reader: () => Reader;
}

/** Session renewals, gathered into one entry per interval: 1,000 workers cost a few entries per second, not hundreds. */
export class Renewals {
  readonly #intervalMs: number;
  readonly #ports: RenewalPorts;
  #waiting = new Map<SessionId, ((answer: Renewed) => void)[]>();
  #timer: Timer | null = null;

  constructor(intervalMs: number, ports: RenewalPorts) {
    this.#intervalMs = intervalMs;
    this.#ports = ports;
  }

  add(session: SessionId, respond: (answer: Renewed) => void): void {
    const callers = this.#waiting.get(session);
    if (callers === undefined) this.#waiting.set(session, [respond]);
    else callers.push(respond);
    this.#timer ??= this.#ports.timers.after(this.#intervalMs, () => this.#flush());
  }

  /** None of the gathered ones was proposed. */
  refuseAll(why: Refusal): void {
    this.#timer?.cancel();
    this.#timer = null;
    const waiting = this.#waiting;
    this.#waiting = new Map();
    for (const callers of waiting.values()) for (const respond of callers) respond(refused(why));
  }

  #flush(): void {
    this.#timer = null;
    const waiting = this.#waiting;
    this.#waiting = new Map();
    const sessions = [...waiting];
    for (let at = 0; at < sessions.length; at += SESSIONS_PER_ENTRY) {
      const callers = sessions.slice(at, at + SESSIONS_PER_ENTRY);
      const operation = { kind: "renewSessions", sessionIds: callers.map(([session]) => session) } as const;
      this.#ports.propose(operation, (answer) => this.#answer(callers, answer));
    }
  }

  #answer(callers: readonly (readonly [SessionId, ((answer: Renewed) => void)[]])[], answer: Answer): void {
    if (answer.kind === "refused") return respondToAll(callers, () => refused(answer.refusal));
    const { outcome, revision } = answer.decision;
    if (!outcome.ok) return respondToAll(callers, () => outcome);
    const expired = new Set(outcome.value.kind === "renewed" ? outcome.value.expired : []);
    const reader = this.#ports.reader();
    respondToAll(callers, (session) => {
      const found = expired.has(session) ? null : reader.session(session);
      if (found === null) return refused(refusal("SESSION_EXPIRED", `session ${session} has ended`));
      return accepted({ revision, ttlMs: found.ttlMs });
    });
  }
}

function respondToAll(
  callers: readonly (readonly [SessionId, ((answer: Renewed) => void)[]])[],
  answer: (session: SessionId) => Renewed,
): void {
  for (const [session, responds] of callers) for (const respond of responds) respond(answer(session));
}

/** Far below what a command may hold; a bigger crowd takes another entry. */
const SESSIONS_PER_ENTRY = 5_000;
