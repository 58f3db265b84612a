import type { FencingToken, SessionId } from "#kernel";
import type { Lock, Session } from "#statemachine";
import { claimedOf, itemOf, lockAnswerOf, nothingOf, sessionAnswerOf } from "./answers.ts";
import { ClientError, clientError } from "./client-error.ts";
import { NEVER_MS } from "./core/deadlines.ts";
import { Lease } from "./core/lease.ts";
import type { Requester } from "./requester.ts";
import { SessionWriter } from "./session-writer.ts";
import type { CallOptions, ClientSession, HeldLock, SessionOptions } from "./types.ts";
import { briefWorkWrites, completion, jobWrites, modelWrites, workWrites } from "./writes.ts";

export async function openSession(requester: Requester, options: SessionOptions = {}): Promise<LiveSession> {
  const sentAtMs = performance.now();
  const session = await requester.writeRepeatable(
    {
      kind: "openSession",
      nodeId: options.nodeId ?? UNNAMED_NODE,
      incarnation: options.incarnation ?? 0,
      principal: "",
      purpose: options.purpose ?? "",
      ttlMs: options.ttlMs ?? DEFAULT_TTL_MS,
      capabilities: options.capabilities ?? null,
    },
    sessionAnswerOf,
    options,
  );
  return new LiveSession(requester, session, sentAtMs);
}

/** Keeps one session alive until it is closed or the server has ended it. */
export class LiveSession implements ClientSession {
  readonly id: SessionId;
  readonly work: ClientSession["work"];
  readonly jobs: ClientSession["jobs"];
  readonly models: ClientSession["models"];
  readonly locks: ClientSession["locks"];
  readonly #requester: Requester;
  readonly #writer: SessionWriter;
  readonly #lease: Lease;
  readonly #lost = new AbortController();
  readonly #ended = new AbortController();
  /** Tokens that callers hold: a grant outside this set belongs to an Acquire that was given up. */
  readonly #heldTokens = new Set<FencingToken>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closing = false;

  constructor(requester: Requester, session: Session, sentAtMs: number) {
    this.id = session.sessionId;
    this.#requester = requester;
    this.#writer = new SessionWriter(session.sessionId, requester, (refused) => this.#end(new ClientError(refused, "failed")));
    this.#lease = new Lease(session.ttlMs, sentAtMs);
    this.work = { ...workWrites(this.#writer), ...this.#claims() };
    this.jobs = jobWrites(this.#writer);
    this.models = modelWrites(this.#writer);
    this.locks = {
      acquire: (name, options) => this.#acquire(name, options),
      release: (name, fencingToken, options) => this.#release(name, fencingToken, options),
    };
    this.#watchLease();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  get state(): "certain" | "uncertain" | "ended" {
    return this.#lease.state(performance.now());
  }

  async close(): Promise<void> {
    if (this.#closing || this.#ended.signal.aborted) return;
    this.#closing = true;
    clearTimeout(this.#timer);
    try {
      await this.#writer.write({ kind: "closeSession" }, nothingOf, undefined);
    } catch (error) {
      if (!(error instanceof ClientError && error.code === "SESSION_EXPIRED")) throw error;
    } finally {
      this.#end(clientError("SESSION_EXPIRED", `session ${this.id} was closed`));
    }
  }

  /** The client is closed: nothing more is renewed, and the server ends the session in its time. */
  abandon(): void {
    this.#end(clientError("CANCELLED", "the client was closed", "unknown"));
  }

  #claims(): Omit<ClientSession["work"], "enqueue" | "cancel" | "requeue"> {
    const writer = this.#writer;
    return {
      claim: ({ workerId, queues, maxItems, waitMs = 0 }, options) =>
        writer.write({ kind: "claimWork", workerId, queues, maxItems: maxItems ?? 1 }, claimedOf, options, {
          waitMs,
          timeoutMs: waitMs + this.#requester.timeoutMs,
        }),
      start: (workId, fencingToken, options) => writer.write({ kind: "startWork", workId, fencingToken }, itemOf, options),
      progress: (workId, fencingToken, progress, options) =>
        writer.write({ kind: "progressWork", workId, fencingToken, progress }, itemOf, options),
      complete: (workId, fencingToken, outcome, options) =>
        writer.write(completion(workId, fencingToken, outcome), itemOf, options),
      release: (workId, fencingToken, reason, options) =>
        writer.write({ kind: "releaseWork", workId, fencingToken, reason }, itemOf, options),
      brief: briefWorkWrites(writer),
    };
  }

  async #acquire(name: string, options: Parameters<ClientSession["locks"]["acquire"]>[1] = {}): Promise<HeldLock> {
    const { wait = true, waitTimeoutMs = 0, lockDelayMs = DEFAULT_LOCK_DELAY_MS, purpose = "" } = options;
    const patienceMs = !wait
      ? this.#requester.timeoutMs
      : waitTimeoutMs === 0
        ? NEVER_MS
        : waitTimeoutMs + this.#requester.timeoutMs;
    let lock: Lock;
    try {
      lock = await this.#writer.write(
        { kind: "acquireLock", name, wait, waitTimeoutMs, lockDelayMs, purpose },
        lockAnswerOf,
        options,
        { timeoutMs: patienceMs },
      );
    } catch (error) {
      if (error instanceof ClientError && error.outcome === "unknown") this.#undoAcquire(name);
      throw error;
    }
    const fencingToken = lock.holder?.fencingToken;
    if (fencingToken === undefined || lock.holder?.sessionId !== this.id) {
      throw clientError("BAD_STATE", `lock ${name} was answered without a grant to this session`);
    }
    this.#heldTokens.add(fencingToken);
    return {
      name,
      fencingToken,
      guard: { lock: name, fencingToken },
      release: async (releaseOptions) => {
        await this.#release(name, fencingToken, releaseOptions);
      },
    };
  }

  async #release(name: string, fencingToken: FencingToken, options?: CallOptions): Promise<Lock> {
    const lock = await this.#writer.write({ kind: "releaseLock", name, fencingToken }, lockAnswerOf, options);
    this.#heldTokens.delete(fencingToken);
    return lock;
  }

  /** An Acquire that nobody waits for any more must not stand in line, nor hold the lock until the session ends. */
  #undoAcquire(name: string): void {
    const undo = async (): Promise<void> => {
      await this.#writer.write({ kind: "cancelAcquire", name }, nothingOf, undefined);
      const lock = await this.#requester.read(
        { oneofKind: "getLock", getLock: { name, read: { mode: "linearizable", minRevision: 0 } } },
        lockAnswerOf,
        undefined,
      );
      const { holder } = lock;
      if (holder?.sessionId === this.id && !this.#heldTokens.has(holder.fencingToken)) {
        await this.#release(name, holder.fencingToken);
      }
    };
    // Whatever goes wrong here, the end of the session puts right.
    undo().catch(() => {});
  }

  /** Renews at a third of the time to live, and says so when the session's life cannot be vouched for any more. */
  #watchLease(): void {
    if (this.#closing || this.#ended.signal.aborted) return;
    const nowMs = performance.now();
    if (nowMs >= this.#lease.nextRenewalMs) this.#renew(nowMs);
    const uncertain = this.#lease.state(nowMs) === "uncertain";
    if (uncertain)
      this.#lost.abort(
        clientError("SESSION_EXPIRED", `session ${this.id} was not renewed in time and may have ended`, "unknown"),
      );
    const wakeAtMs = uncertain ? this.#lease.nextRenewalMs : Math.min(this.#lease.nextRenewalMs, this.#lease.certainUntilMs);
    this.#timer = setTimeout(() => this.#watchLease(), Math.max(1, wakeAtMs - nowMs));
    this.#timer.unref();
  }

  #renew(nowMs: number): void {
    this.#lease.renewing(nowMs);
    this.#requester
      .read({ oneofKind: "renewSession", renewSession: { sessionId: this.id } }, nothingOf, {
        timeoutMs: this.#lease.renewalPeriodMs,
      })
      .then(
        () => this.#lease.renewed(nowMs),
        (error: unknown) => {
          // Everything but the server's word may heal: the next renewal is under way in a third of the time to live.
          if (error instanceof ClientError && error.code === "SESSION_EXPIRED") this.#end(error);
        },
      );
  }

  #end(cause: Error): void {
    clearTimeout(this.#timer);
    this.#lease.end();
    this.#writer.end(cause);
    this.#lost.abort(cause);
    this.#ended.abort(cause);
  }
}

const DEFAULT_TTL_MS = 15_000;
/** Consul's, and the protocol's default. */
const DEFAULT_LOCK_DELAY_MS = 15_000;
const UNNAMED_NODE = "client" as NonNullable<SessionOptions["nodeId"]>;
