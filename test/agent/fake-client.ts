import { type Client, ClientError, type ClientSession, type WatchBatch, type WatchOptions } from "#client";
import { completeWorkSpec } from "#codec";
import { type ClusterTimeMs, type FencingToken, LogIndex, NodeId, type Reason, SessionId, type WorkId, refusal } from "#kernel";
import type { Progress, WorkError, WorkItem, WorkSpec, WorkState } from "#statemachine";
import { item } from "../client/fake-answers.ts";

/** What an agent told the queue. */
export type Told =
  | { readonly kind: "complete"; readonly workId: string; readonly result: string; readonly error: WorkError | null }
  | { readonly kind: "release"; readonly workId: string; readonly reason: string };

/** A queue in memory with the client's face: just enough for an agent. No sockets. */
export class FakeQueue {
  readonly told: Told[] = [];
  readonly progress: Progress[] = [];
  readonly items = new Map<string, WorkItem>();
  readonly sessions: FakeSession[] = [];
  readonly #watches = new Set<(item: WorkItem) => void>();
  readonly #waiting: string[] = [];
  #onChange = Promise.withResolvers<void>();
  #revision = 1;
  /** What is asked for next, and never answered: the outcome is unknown to the agent, and nothing happens. */
  losesNext: "start" | "complete" | null = null;

  readonly client = {
    openSession: async () => {
      const session = new FakeSession(this, `s${this.sessions.length + 1}`);
      this.sessions.push(session);
      this.changed();
      return session.face;
    },
    work: {
      list: async ({ state }: { readonly state?: WorkState }) => ({
        items: [...this.items.values()].filter((item) => item.state === state),
        nextPageToken: "",
      }),
    },
    watch: (options: WatchOptions) => this.#watch(options),
  } as unknown as Client;

  add(workId: string, kind: string, spec: Partial<WorkSpec> = {}): void {
    this.items.set(workId, item(workId, { spec: completeWorkSpec({ ...spec, kind }) }));
    this.#waiting.push(workId);
    this.changed();
  }

  cancel(workId: string): void {
    this.put(workId, { cancelRequested: { atMs: 0 as ClusterTimeMs, by: "test", reason: "enough" } });
  }

  put(workId: string, change: Partial<WorkItem>): WorkItem {
    const item = { ...this.items.get(workId)!, ...change, modRevision: LogIndex(++this.#revision) };
    this.items.set(workId, item);
    for (const notify of this.#watches) notify(item);
    this.changed();
    return item;
  }

  changed(): void {
    this.#onChange.resolve();
    this.#onChange = Promise.withResolvers();
  }

  /** Resolves when `holds` does. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await this.#onChange.promise;
  }

  async claim(session: FakeSession, maxItems: number, signal: AbortSignal): Promise<readonly WorkItem[]> {
    while (this.#waiting.length === 0) {
      const aborted = Promise.withResolvers<never>();
      const onAbort = (): void => aborted.reject(error("CANCELLED", "unknown"));
      if (signal.aborted) onAbort();
      signal.addEventListener("abort", onAbort);
      await Promise.race([this.#onChange.promise, aborted.promise]);
    }
    return this.#waiting.splice(0, maxItems).map((workId) => {
      const fencingToken = LogIndex(this.#revision + 1);
      return this.put(workId, {
        state: "CLAIMED",
        claim: {
          workerId: "w",
          nodeId: NodeId("w"),
          incarnation: 1,
          sessionId: session.face.id,
          fencingToken,
          claimedAtMs: 0 as ClusterTimeMs,
          startedAtMs: null,
          lastHeartbeatAtMs: 0 as ClusterTimeMs,
        },
      });
    });
  }

  async #watchNext(queue: WorkItem[], signal: AbortSignal): Promise<WatchBatch | null> {
    while (queue.length === 0) {
      const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      if (signal.aborted) return null;
      await Promise.race([this.#onChange.promise, aborted]);
    }
    const item = queue.shift()!;
    const event = { revision: item.modRevision, kind: "work", key: item.workId, object: { kind: "work", value: item } } as const;
    return { revision: item.modRevision, events: [event], snapshot: null, snapshotEnd: false };
  }

  async *#watch(options: WatchOptions): AsyncGenerator<WatchBatch> {
    const queue: WorkItem[] = [];
    const notify = (item: WorkItem): void => void (item.workId.startsWith(options.keyPrefix ?? "") && queue.push(item));
    this.#watches.add(notify);
    try {
      for (;;) {
        const batch = await this.#watchNext(queue, options.signal!);
        if (batch === null) return;
        yield batch;
      }
    } finally {
      this.#watches.delete(notify);
    }
  }
}

export class FakeSession {
  readonly face: ClientSession;
  readonly #queue: FakeQueue;
  readonly #lost = new AbortController();
  readonly #ended = new AbortController();
  closed = false;

  constructor(queue: FakeQueue, id: string) {
    this.#queue = queue;
    const held = <T>(workId: WorkId, token: FencingToken, act: () => T): Promise<T> => this.#held(workId, token, act);
    const work: Omit<ClientSession["work"], "enqueue" | "cancel" | "requeue" | "brief"> = {
      claim: (request, options) => queue.claim(this, request.maxItems ?? 1, options!.signal!),
      start: (workId, token) =>
        held(workId, token, () => {
          this.#answers("start");
          return queue.put(workId, { state: "RUNNING" });
        }),
      progress: (workId, token, progress) =>
        held(workId, token, () => {
          queue.progress.push(progress);
          return queue.put(workId, { progress });
        }),
      complete: (workId, token, { result = "", error: failed = null }) =>
        held(workId, token, () => {
          this.#answers("complete");
          queue.told.push({ kind: "complete", workId, result, error: failed });
          return queue.put(workId, { claim: null, state: failed === null ? "SUCCEEDED" : "FAILED" });
        }),
      release: (workId, token, reason) =>
        held(workId, token, () => {
          queue.told.push({ kind: "release", workId, reason });
          return queue.put(workId, { claim: null, state: "PENDING" });
        }),
    };
    this.face = {
      id: SessionId(id),
      lost: this.#lost.signal,
      ended: this.#ended.signal,
      state: "certain",
      work,
      close: async () => {
        this.closed = true;
      },
    } as unknown as ClientSession;
  }

  /** The server has ended the session: its claims are gone. */
  expire(): void {
    this.#ended.abort(error("SESSION_EXPIRED", "failed"));
    this.#lost.abort();
  }

  #answers(request: "start" | "complete"): void {
    if (this.#queue.losesNext !== request) return;
    this.#queue.losesNext = null;
    throw error("UNKNOWN_OUTCOME", "unknown");
  }

  async #held<T>(workId: WorkId, token: FencingToken, act: () => T): Promise<T> {
    if (this.#ended.signal.aborted) throw error("SESSION_EXPIRED", "failed");
    if (this.#queue.items.get(workId)?.claim?.fencingToken !== token) throw error("FENCED", "failed");
    return act();
  }
}

function error(reason: Reason, outcome: "failed" | "unknown"): ClientError {
  return new ClientError(refusal(reason, "says the fake"), outcome);
}
