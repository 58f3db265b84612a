import { afterRefusal, Lease, type Nature, SequenceWindow } from "#client/core";
import type { NodeId, Revision, Sequence, SessionId } from "#kernel";
import { encodeCommand } from "#codec";
import type { Freshness } from "#replica";
import type { Command, Decision, Operation as Change, Reader, Session } from "#statemachine";
import type { OperationOutcome, OperationRequest } from "../history.ts";
import type { ClientWorld } from "../world.ts";
import type { Notebook } from "./notebook.ts";
import { Requester, type Result } from "./requester.ts";

type ReadRequest = Extract<OperationRequest, { kind: "read" }>;
export type Done = (outcome: OperationOutcome) => void;

/** One life of a client: a session with its sequences and its lease, from its opening to its end or the client's death. */
export class Life {
  readonly client: number;
  readonly world: ClientWorld;
  readonly notebook: Notebook;
  readonly #requester: Requester;
  readonly #onEnd: () => void;
  readonly #window = new SequenceWindow();
  #lease: Lease | null = null;
  #session: SessionId | null = null;
  #over = false;

  /** `onEnd`: the session is lost, or the client died. */
  constructor(client: number, world: ClientWorld, notebook: Notebook, onEnd: () => void) {
    this.#onEnd = onEnd;
    this.client = client;
    this.world = world;
    this.notebook = notebook;
    this.#requester = new Requester(world);
  }

  /** False once the client has died or its session is known to have ended. */
  get isOver(): boolean {
    return this.#over;
  }

  get isCertain(): boolean {
    return this.#lease?.state(this.world.nowMs) === "certain";
  }

  /** Opens the session; `ready` is called when there is one. Tried until it works: opening twice harms nobody. */
  open(operation: Change, ready: () => void): void {
    const sentAtMs = this.world.nowMs;
    this.#submit({ ...plain, operation }, "repeatable", 0, (outcome) => {
      if (this.#over) return;
      const session = sessionOf(outcome);
      if (session === null) return this.open(operation, ready);
      this.#session = session.sessionId;
      this.#lease = new Lease(session.ttlMs, sentAtMs);
      this.notebook.tell.leased(session.sessionId, this.#lease.certainUntilMs);
      this.#renewInTime(this.#lease);
      ready();
    });
  }

  /** A write of the session, sent until it is answered. `echoed`: the same bytes once more, as another operation. */
  write(operation: Change, done: Done, options: { readonly waitMs?: number; readonly echoAfterMs?: number | null } = {}): void {
    const sequence = this.#window.take();
    const { firstUnacked } = this.#window;
    const command: Command = { sessionId: this.#session, sequence, firstUnackedSequence: firstUnacked, operation };
    const { waitMs = 0, echoAfterMs = null } = options;
    if (echoAfterMs !== null) {
      this.world.after(echoAfterMs, () => {
        if (!this.#over) this.#submit(command, "deduplicated", waitMs, () => {});
      });
    }
    this.#submit(command, "deduplicated", waitMs, (outcome) => {
      this.#window.settle(sequence);
      if (hasExpired(outcome)) this.end();
      else done(outcome);
    });
  }

  /** A write of nobody's session: sent once, and then it may be unknown what became of it. */
  writeOnce(operation: Change, done: Done): void {
    this.#submit({ ...plain, operation }, "once", 0, done);
  }

  /** `node` null: the leader, tried again elsewhere when it does not answer. */
  read(request: ReadRequest, node: NodeId | null, query: (reader: Reader) => unknown, done: Done): void {
    const operation = this.notebook.begin(this.client, request, this.world.nowMs);
    this.#requester.ask<{ readonly json: string; readonly revision: Revision }>({
      nature: "repeatable",
      tryMs: TRY_MS,
      deadlineMs: this.world.nowMs + READ_PATIENCE_MS,
      node,
      serve: (replica, answer) => {
        void replica
          .read(freshnessOf(request), (reader) => JSON.stringify(query(reader)))
          .then((outcome) =>
            answer(outcome.ok ? { ok: true, value: { json: outcome.value.value, revision: outcome.value.revision } } : outcome),
          );
      },
      settled: (result) => {
        const outcome: OperationOutcome =
          result.kind === "answered"
            ? {
                kind: "ok",
                atMs: this.world.nowMs,
                node: result.node,
                index: result.value.revision,
                answer: null,
                value: result.value.json,
              }
            : { kind: "refused", atMs: this.world.nowMs, reason: result.reason };
        this.notebook.end(operation, outcome);
        if (!this.#over) done(outcome);
      },
    });
  }

  /** Death: no goodbye, no further word. The server finds out when the lease runs out. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#lease?.end();
    this.#requester.close();
    this.#onEnd();
  }

  #submit(command: Command, nature: Nature, waitMs: number, done: Done): void {
    const operation = this.notebook.begin(this.client, { kind: "write", command }, this.world.nowMs);
    const bytes = encodeCommand(command, waitMs);
    this.#requester.ask<Decision>({
      nature,
      tryMs: waitMs + TRY_MS,
      deadlineMs: nature === "deduplicated" ? Number.POSITIVE_INFINITY : this.world.nowMs + OPEN_PATIENCE_MS,
      node: null,
      serve: (replica, answer) => {
        const request = { command: bytes, principal: `client-${this.client}`, timeoutMs: waitMs + TRY_MS };
        replica.submit(request, (given) =>
          answer(given.kind === "decided" ? { ok: true, value: given.decision } : { ok: false, refusal: given.refusal }),
        );
      },
      settled: (result) => {
        const outcome = outcomeOf(result, nature, this.world.nowMs);
        this.notebook.end(operation, outcome);
        if (!this.#over) done(outcome);
      },
    });
  }

  #renewInTime(lease: Lease): void {
    if (this.#over) return;
    const nowMs = this.world.nowMs;
    if (nowMs >= lease.nextRenewalMs) this.#renew(lease, nowMs);
    this.world.after(Math.max(1, lease.nextRenewalMs - nowMs), () => this.#renewInTime(lease));
  }

  #renew(lease: Lease, sentAtMs: number): void {
    const session = this.#session!;
    lease.renewing(sentAtMs);
    this.#requester.ask<null>({
      nature: "repeatable",
      tryMs: TRY_MS,
      deadlineMs: sentAtMs + lease.renewalPeriodMs,
      node: null,
      serve: (replica, answer) =>
        replica.renewSession(session, (renewed) => answer(renewed.ok ? { ok: true, value: null } : renewed)),
      settled: (result) => {
        if (this.#over) return;
        if (result.kind === "answered") {
          lease.renewed(sentAtMs);
          this.notebook.tell.leased(session, lease.certainUntilMs);
        } else if (result.reason === "SESSION_EXPIRED") this.end();
      },
    });
  }
}

/** A decided refusal may leave doubt as well: the reply table of an ended session cannot vouch for an earlier try. */
function outcomeOf(result: Result<Decision>, nature: Nature, atMs: number): OperationOutcome {
  if (result.kind === "gaveUp") {
    return { kind: result.outcome === "unknown" ? "unknown" : "refused", atMs, reason: result.reason };
  }
  const { node, value: decision, doubtful } = result;
  if (!decision.outcome.ok) {
    const verdict = afterRefusal(decision.outcome.refusal.reason, nature, doubtful);
    if (verdict.kind === "tell" && verdict.outcome === "unknown") {
      return { kind: "unknown", atMs, reason: decision.outcome.refusal.reason };
    }
  }
  return { kind: "ok", atMs, node, index: decision.revision, answer: { kind: "decided", decision }, value: null };
}

function hasExpired(outcome: OperationOutcome): boolean {
  if (outcome.kind !== "ok") return outcome.reason === "SESSION_EXPIRED";
  if (outcome.answer?.kind !== "decided") return false;
  const { outcome: decided } = outcome.answer.decision;
  return !decided.ok && decided.refusal.reason === "SESSION_EXPIRED";
}

function sessionOf(outcome: OperationOutcome): Session | null {
  if (outcome.kind !== "ok" || outcome.answer?.kind !== "decided") return null;
  const { outcome: decided } = outcome.answer.decision;
  return decided.ok && decided.value.kind === "session" ? decided.value.session : null;
}

function freshnessOf({ mode, minRevision }: ReadRequest): Freshness {
  return mode === "min_revision" ? { mode, revision: minRevision } : { mode };
}

const plain = { sessionId: null, sequence: null, firstUnackedSequence: 0 as Sequence } as const;
const TRY_MS = 2_000;
const READ_PATIENCE_MS = 10_000;
const OPEN_PATIENCE_MS = 10_000;
