import { ClientError, type ClientSession } from "#client";
import type { Timer } from "#ports";
import type { Capabilities, WorkItem } from "#statemachine";
import { claimCount, retryPauseMs } from "./core/pace.ts";
import { ItemRun, refusalFields } from "./item-run.ts";
import type { Agent, AgentConfig, AgentDeps } from "./types.ts";

/** Starts claiming and running work at once. Stop it with `drain`. */
export function runAgent(config: AgentConfig, deps: AgentDeps): Agent {
  return new RunningAgent(config, deps);
}

class RunningAgent implements Agent {
  readonly stopped: Promise<void>;
  readonly #config: AgentConfig;
  readonly #deps: AgentDeps;
  readonly #runs = new Set<ItemRun>();
  readonly #drain = new AbortController();
  /** Resolves the wait for a free slot. */
  #onFree: (() => void) | null = null;
  /** A request about a claim was not answered: the queue may count something as ours that nobody here works on. */
  #maybeStrays = false;

  constructor(config: AgentConfig, deps: AgentDeps) {
    this.#config = config;
    this.#deps = deps;
    this.stopped = this.#live();
  }

  get running(): number {
    return this.#runs.size;
  }

  drain(): Promise<void> {
    if (!this.#drain.signal.aborted) {
      this.#deps.log.info("draining", { running: this.#runs.size });
      this.#drain.abort();
    }
    return this.stopped;
  }

  /** One session after another until the agent drains. A lost session takes its items with it. */
  async #live(): Promise<void> {
    for (let failures = 0; !this.#drain.signal.aborted;) {
      try {
        const session = await this.#open();
        failures = 0;
        await this.#serve(session);
      } catch (error) {
        if (this.#drain.signal.aborted) break;
        this.#deps.log.warn("no session", refusalFields(error));
        await this.#pause(retryPauseMs(failures++, this.#deps.random));
      }
    }
  }

  async #open(): Promise<ClientSession> {
    const { nodeId, incarnation, worker } = this.#config;
    const session = await this.#deps.client.openSession({
      nodeId,
      incarnation,
      purpose: "worker",
      ttlMs: worker.ttlMs,
      capabilities: capabilitiesOf(worker.capabilities),
      signal: this.#drain.signal,
    });
    this.#deps.log.info("session opened", { session_id: session.id });
    return session;
  }

  async #serve(session: ClientSession): Promise<void> {
    const givenUp = new AbortController();
    const gone = AbortSignal.any([session.ended, givenUp.signal]);
    const over = AbortSignal.any([gone, this.#drain.signal]);
    gone.addEventListener("abort", () => this.#loseAll());
    over.addEventListener("abort", () => this.#onFree?.());
    const doubt = this.#watchDoubt(session, givenUp);
    await this.#claimUntil(session, over);
    if (!gone.aborted) await this.#drainItems(session);
    await this.#allFinished();
    doubt.cancel();
    if (session.ended.aborted) this.#deps.log.warn("the session has ended", refusalFields(session.ended.reason));
    else await this.#close(session);
  }

  #loseAll(): void {
    for (const run of this.#runs) run.stop("lost");
  }

  async #allFinished(): Promise<void> {
    await Promise.all([...this.#runs].map((run) => run.finished));
  }

  /**
   * While the session's life is uncertain, computing goes on: an outage of the quorum stops the session's clock as well, and
   * every report needs a live token anyway. Not for ever, since cut off alone we may be doing another worker's work.
   */
  #watchDoubt(session: ClientSession, givenUp: AbortController): Timer {
    let doubtfulForMs = 0;
    return this.#deps.timers.every(DOUBT_PERIOD_MS, () => {
      if (session.state !== "uncertain") {
        doubtfulForMs = 0;
        return;
      }
      if (doubtfulForMs === 0) this.#deps.log.warn("the session is uncertain: work goes on", { session_id: session.id });
      doubtfulForMs += DOUBT_PERIOD_MS;
      if (doubtfulForMs < (this.#config.maxUncertainMs ?? MAX_UNCERTAIN_MS)) return;
      this.#deps.log.warn("the session was uncertain for too long: its work is given up", { session_id: session.id });
      givenUp.abort();
    });
  }

  async #claimUntil(session: ClientSession, over: AbortSignal): Promise<void> {
    for (let failures = 0; !over.aborted;) {
      const maxItems = claimCount(this.#config.worker.slots, this.#runs.size, this.#drain.signal.aborted);
      if (maxItems === 0) {
        await this.#freeSlot();
        continue;
      }
      if (this.#maybeStrays) await this.#adopt(session);
      try {
        const { nodeId, worker } = this.#config;
        const request = { workerId: nodeId, queues: worker.queues, maxItems, waitMs: CLAIM_WAIT_MS };
        for (const item of await session.work.claim(request, { signal: over })) this.#start(session, item);
        failures = 0;
      } catch (error) {
        if (over.aborted) return;
        this.#deps.log.warn("claim failed", refusalFields(error));
        if (error instanceof ClientError && error.outcome === "unknown") this.#maybeStrays = true;
        await this.#pause(retryPauseMs(failures++, this.#deps.random));
      }
    }
  }

  #start(session: ClientSession, item: WorkItem): void {
    const token = item.claim?.fencingToken;
    if (token === undefined) return;
    const run = new ItemRun(this.#config, this.#deps, session, item, token);
    this.#runs.add(run);
    void run.finished.then(() => {
      this.#runs.delete(run);
      if (run.unanswered) this.#maybeStrays = true;
      this.#onFree?.();
    });
  }

  /** Items that are ours and that nobody runs. */
  async #strays(session: ClientSession): Promise<readonly WorkItem[]> {
    const known = new Set([...this.#runs].map((run) => run.item.workId));
    const { work } = this.#deps.client;
    const [claimed, running] = await Promise.all([
      work.list({ state: "CLAIMED", limit: 1_000 }),
      work.list({ state: "RUNNING", limit: 1_000 }),
    ]);
    const items = [...claimed.items, ...running.items];
    return items.filter((item) => item.claim?.sessionId === session.id && !known.has(item.workId));
  }

  /** Starts what was claimed without our knowledge; what has run and could not be reported is for somebody to do again. */
  async #adopt(session: ClientSession): Promise<void> {
    try {
      for (const item of await this.#strays(session)) {
        if (item.state === "CLAIMED") this.#start(session, item);
        else await session.work.release(item.workId, item.claim!.fencingToken, "its report was not answered");
      }
      this.#maybeStrays = false;
    } catch (error) {
      this.#deps.log.warn("could not look for claims whose answer was lost", refusalFields(error));
    }
  }

  async #drainItems(session: ClientSession): Promise<void> {
    const timeUp = Promise.withResolvers<void>();
    const timer = this.#deps.timers.after(this.#config.worker.drainTimeoutMs, timeUp.resolve);
    await Promise.race([this.#allFinished(), timeUp.promise]);
    timer.cancel();
    for (const run of this.#runs) run.stop("drain");
    await this.#allFinished();
    try {
      for (const { workId, claim } of await this.#strays(session)) {
        if (claim !== null) await session.work.release(workId, claim.fencingToken, "the worker drains");
      }
    } catch (error) {
      // The end of the session puts them back as well; it counts as a loss instead of a release.
      this.#deps.log.warn("claims whose answer was lost were not released", refusalFields(error));
    }
  }

  async #close(session: ClientSession): Promise<void> {
    try {
      await session.close();
    } catch (error) {
      this.#deps.log.warn("the session was not closed; it will expire", refusalFields(error));
    }
  }

  #freeSlot(): Promise<void> {
    return new Promise((resolve) => {
      this.#onFree = resolve;
    });
  }

  /** Ends early when the agent drains. */
  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#deps.timers.after(delayMs, resolve);
      this.#drain.signal.addEventListener(
        "abort",
        () => {
          timer.cancel();
          resolve();
        },
        { once: true },
      );
    });
  }
}

function capabilitiesOf(declared: AgentConfig["worker"]["capabilities"]): Capabilities {
  const { gpuCount, gpuMemoryMib, gpuModel, cuda, cpu, memoryMib, diskMib, labels } = declared;
  return { gpuCount, gpuMemoryMib, gpuModel, cuda, cpu, memoryMib, diskMib, labels };
}

const CLAIM_WAIT_MS = 20_000;
const DOUBT_PERIOD_MS = 1_000;
const MAX_UNCERTAIN_MS = 600_000;
