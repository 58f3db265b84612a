import { ClientError, type ClientSession } from "#client";
import { type FencingToken, assertNever } from "#kernel";
import type { Log, Timer } from "#ports";
import type { Progress, WorkItem } from "#statemachine";
import { ProgressPace } from "./core/pace.ts";
import { type End, type StopReason, type Verdict, strongerReason, verdict } from "./core/verdict.ts";
import { environmentOf } from "./environment.ts";
import { type Execution, type ExecutionEvents, runChild, runHandler } from "./execution.ts";
import type { AgentConfig, AgentDeps } from "./types.ts";

/**
 * One claimed item from Start to its report. Everything it tells the queue carries the claim's fencing token, so an agent
 * that was paused beyond its lease is refused with FENCED and does no harm.
 */
export class ItemRun {
  readonly item: WorkItem;
  readonly finished: Promise<void>;
  readonly #config: AgentConfig;
  readonly #deps: AgentDeps;
  readonly #session: ClientSession;
  readonly #token: FencingToken;
  readonly #log: Log;
  readonly #ended = Promise.withResolvers<End>();
  readonly #watchAbort = new AbortController();
  readonly #pace: ProgressPace;
  readonly #timers = new Set<Timer>();
  #paceTimer: Timer | null = null;
  #execution: Execution | null = null;
  #stopped: StopReason | null = null;
  #progress: Progress = { percent: 0, step: "", message: "" };
  #sending = false;
  #over = false;
  #unanswered = false;

  constructor(config: AgentConfig, deps: AgentDeps, session: ClientSession, item: WorkItem, token: FencingToken) {
    this.item = item;
    this.#config = config;
    this.#deps = deps;
    this.#session = session;
    this.#token = token;
    this.#log = deps.log.child({ work_id: item.workId, kind: item.spec.kind });
    this.#pace = new ProgressPace(item.spec.heartbeatTimeoutMs, this.#nowMs());
    this.finished = this.#run();
  }

  /** Once finished: the start or the report was not answered, so the queue may still count the claim as ours. */
  get unanswered(): boolean {
    return this.#unanswered;
  }

  stop(reason: StopReason): void {
    const first = this.#stopped === null;
    this.#stopped = strongerReason(this.#stopped, reason);
    if (this.#over) return;
    if (reason === "lost") this.#execution?.stop(true);
    else if (first) {
      this.#execution?.stop(false);
      this.#after(this.#config.killGraceMs ?? KILL_GRACE_MS, () => this.#execution?.stop(true));
    }
  }

  async #run(): Promise<void> {
    try {
      const started = await this.#session.work.start(this.item.workId, this.#token);
      if (started.cancelRequested !== null) this.#stopped = strongerReason(this.#stopped, "cancel");
      const end = this.#stopped === null ? await this.#execute() : NOT_STARTED;
      await this.#report(verdict(end, this.#stopped));
    } catch (error) {
      this.#unanswered = !isLoss(error);
      this.#log.warn("the item was given up", refusalFields(error));
    } finally {
      this.#over = true;
      this.#watchAbort.abort();
      this.#paceTimer?.cancel();
      for (const timer of this.#timers) timer.cancel();
    }
  }

  async #execute(): Promise<End> {
    this.#log.info("started", { fencing_token: this.#token });
    const events: ExecutionEvents = {
      onProgress: (progress) => {
        this.#progress = progress;
        this.#pace.reported();
        this.#schedule();
      },
      onEnd: (end) => this.#ended.resolve(end),
    };
    const handler = this.#deps.handlers?.get(this.item.spec.kind);
    const command = this.#config.worker.handlers.get(this.item.spec.kind);
    if (handler === undefined && command === undefined) {
      const message = `this worker has no handler for the kind ${this.item.spec.kind}`;
      return { kind: "failed", code: "NO_HANDLER", message, retryable: true };
    }
    this.#execution =
      handler === undefined
        ? runChild(
            this.#deps.processes,
            {
              command: command!.command,
              workingDirectory: command!.workingDirectory,
              environment: { ...command!.environment, ...environmentOf(this.#config, this.item, this.#session.id) },
              nice: command!.nice,
              input: this.item.spec.payload,
            },
            events,
          )
        : runHandler(handler, this.item, events);
    for (const limitMs of [command?.timeoutMs ?? 0, this.item.spec.startToCloseTimeoutMs]) {
      if (limitMs > 0) this.#after(limitMs, () => this.stop("timeout"));
    }
    this.#schedule();
    void this.#watchForCancel();
    return await this.#ended.promise;
  }

  /** Progress answers carry a cancel too; the watch is for programs that should stop at once. */
  async #watchForCancel(): Promise<void> {
    try {
      const batches = this.#deps.client.watch({
        kinds: ["work"],
        keyPrefix: this.item.workId,
        fromRevision: this.item.modRevision,
        signal: this.#watchAbort.signal,
      });
      for await (const batch of batches) {
        for (const event of batch.events) if (event.object?.kind === "work") this.#observe(event.object.value);
      }
    } catch (error) {
      if (!this.#over) this.#log.debug("no watch for a cancel; heartbeats will tell", refusalFields(error));
    }
  }

  #observe(item: WorkItem): void {
    const held = item.claim?.fencingToken ?? 0;
    if (item.workId !== this.item.workId || item.modRevision < this.#token) return;
    if (held !== this.#token) this.#lose(`the claim is held under token ${held} now`);
    else if (item.cancelRequested !== null) this.stop("cancel");
  }

  #schedule(): void {
    if (this.#over) return;
    this.#paceTimer?.cancel();
    this.#paceTimer = this.#deps.timers.after(Math.max(0, this.#pace.nextAtMs - this.#nowMs()), () => void this.#send());
  }

  async #send(): Promise<void> {
    if (this.#sending || this.#over) return;
    this.#sending = true;
    this.#pace.sent(this.#nowMs());
    try {
      this.#observe(await this.#session.work.progress(this.item.workId, this.#token, this.#progress));
    } catch (error) {
      if (isLoss(error)) this.#lose(error.message);
      else this.#log.warn("progress was not taken", refusalFields(error));
    } finally {
      this.#sending = false;
      this.#schedule();
    }
  }

  #lose(why: string): void {
    // The claim also goes when our own report has ended it.
    if (this.#over || this.#stopped === "lost") return;
    this.#log.warn("the claim is lost: the program is killed, nothing is reported", { why });
    this.stop("lost");
  }

  async #report(told: Verdict): Promise<void> {
    this.#over = true;
    const { work } = this.#session;
    const options = { timeoutMs: REPORT_TIMEOUT_MS };
    const { workId } = this.item;
    switch (told.kind) {
      case "silent":
        return;
      case "complete":
        await work.complete(workId, this.#token, { result: told.result }, options);
        break;
      case "fail": {
        const { code, message, retryable, cause } = told;
        await work.complete(workId, this.#token, { error: { code, message, retryable, cause } }, options);
        break;
      }
      case "release":
        await work.release(workId, this.#token, told.reason, options);
        break;
      default:
        assertNever(told, "verdict");
    }
    this.#log.info("reported", { verdict: told.kind, code: told.kind === "fail" ? told.code : "" });
  }

  #after(delayMs: number, run: () => void): void {
    this.#timers.add(this.#deps.timers.after(delayMs, run));
  }

  #nowMs(): number {
    return this.#deps.clock.now().monotonicMs;
  }
}

export function refusalFields(error: unknown): { readonly code: string; readonly error: string } {
  return {
    code: error instanceof ClientError ? error.code : "",
    error: error instanceof Error ? error.message : String(error),
  };
}

/** The queue's word that the claim is not ours any more. */
function isLoss(error: unknown): error is ClientError {
  return error instanceof ClientError && LOST.has(error.code);
}

const KILL_GRACE_MS = 10_000;
/** A finished result is worth waiting for a majority; the session's end cuts this short. */
const REPORT_TIMEOUT_MS = 600_000;
const LOST: ReadonlySet<string> = new Set(["FENCED", "SESSION_EXPIRED", "NOT_FOUND", "BAD_STATE"]);
const NOT_STARTED: End = { kind: "failed", code: "NOT_STARTED", message: "stopped before it began", retryable: true };
