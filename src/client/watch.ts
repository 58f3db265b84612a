import { LogIndex, type Revision } from "#kernel";
import type { Response } from "#gen/ringraft/v1/stream.js";
import { nothingOf, watchBatchOf } from "./answers.ts";
import type { Call, RequestBody } from "./call.ts";
import { ClientError, clientError } from "./client-error.ts";
import { NEVER_MS } from "./core/deadlines.ts";
import type { Requester } from "./requester.ts";
import type { WatchBatch, WatchOptions } from "./types.ts";

/**
 * Follows changes from a revision on. Its request always asks for what comes after the last batch seen, so that being sent
 * again after a lost connection continues without gap or repetition. Three things it does not leave to luck:
 * - a snapshot that was cut off is thrown away and begun anew, never delivered in parts;
 * - "from now on" is pinned to a revision before the first batch, or a connection lost early would skip changes;
 * - silence: the server sends a bookmark at least every 5 s, so a stream that says nothing for 15 s is dead (etcd#8980).
 */
export function watch(requester: Requester, options: WatchOptions): AsyncIterable<WatchBatch> {
  return { [Symbol.asyncIterator]: () => new Watch(requester, options) };
}

class Watch implements AsyncIterator<WatchBatch> {
  readonly #requester: Requester;
  readonly #options: WatchOptions;
  #position: Position;
  #call: Call | null = null;
  readonly #ready: WatchBatch[] = [];
  /** Parts of a snapshot that is not complete yet. */
  #snapshot: WatchBatch[] = [];
  /** The sending of the request that `#snapshot` belongs to. */
  #snapshotTry = 0;
  #waiter: PromiseWithResolvers<IteratorResult<WatchBatch>> | null = null;
  #error: Error | null = null;
  #done = false;
  #started = false;
  #heardAtMs = 0;
  #watchdog: ReturnType<typeof setInterval> | undefined;

  constructor(requester: Requester, options: WatchOptions) {
    this.#requester = requester;
    this.#options = options;
    this.#position = startOf(options);
  }

  next(): Promise<IteratorResult<WatchBatch>> {
    const batch = this.#ready.shift();
    if (batch !== undefined) {
      if (this.#call === null && this.#ready.length <= BUFFER_BATCHES / 2) this.#follow();
      return Promise.resolve({ done: false, value: batch });
    }
    if (this.#error !== null) return this.#raise(this.#error);
    if (this.#done) return Promise.resolve({ done: true, value: undefined });
    if (!this.#started) this.#begin();
    this.#waiter ??= Promise.withResolvers();
    return this.#waiter.promise;
  }

  return(): Promise<IteratorResult<WatchBatch>> {
    this.#finish();
    this.#waiter?.resolve({ done: true, value: undefined });
    this.#waiter = null;
    return Promise.resolve({ done: true, value: undefined });
  }

  #raise(error: Error): Promise<never> {
    this.#error = null;
    this.#done = true;
    return Promise.reject(error);
  }

  #begin(): void {
    this.#started = true;
    const { signal } = this.#options;
    if (signal?.aborted === true) {
      this.#fail(clientError("CANCELLED", "the watch was given up", "failed", { cause: signal.reason }));
      return;
    }
    signal?.addEventListener("abort", this.#onAbort);
    this.#watchdog = setInterval(() => this.#checkSilence(), SILENCE_MS / 3);
    this.#watchdog.unref();
    if (this.#position.kind === "now") this.#pin();
    else this.#follow();
  }

  /** Turns "from now on" into a revision. Any linearizable read would do; this one returns little. */
  #pin(): void {
    const body: RequestBody = { oneofKind: "members", members: { read: { mode: "linearizable", minRevision: 0 } } };
    this.#requester.read(body, revisionOf, { timeoutMs: NEVER_MS }).then(
      (revision) => {
        this.#position = { kind: "from", revision: LogIndex(revision + 1) };
        this.#follow();
      },
      (error: Error) => this.#fail(error),
    );
  }

  #follow(): void {
    if (this.#done || this.#error !== null || this.#call !== null) return;
    const call = this.#requester.call("repeatable", true, nothingOf, { timeoutMs: NEVER_MS }, undefined);
    this.#call = call;
    call.onBatch = (response) => this.#receive(call, response);
    this.#heardAtMs = performance.now();
    this.#ask(call);
    this.#requester.start<void>(call, true).then(
      () => this.#fail(clientError("INTERNAL", "the server ended the watch without a reason")),
      (error: unknown) => {
        if (call !== this.#call) return;
        this.#call = null;
        this.#fail(error as Error);
      },
    );
  }

  #receive(call: Call, response: Response): void {
    if (call !== this.#call) return;
    this.#heardAtMs = performance.now();
    let batch: WatchBatch;
    try {
      batch = watchBatchOf(response);
    } catch (error) {
      this.#fail(clientError("INTERNAL", "a batch of the watch cannot be read", "failed", { cause: error }));
      return;
    }
    if (batch.snapshot === null) this.#advance(batch);
    else this.#gather(call, batch);
    this.#ask(call);
    if (this.#ready.length >= BUFFER_BATCHES) this.#pause();
  }

  #advance(batch: WatchBatch): void {
    // Both streams of a move may carry the same revision: the second is dropped.
    if (this.#position.kind === "from" && batch.revision < this.#position.revision) return;
    this.#position = { kind: "from", revision: LogIndex(batch.revision + 1) };
    if (batch.events.length > 0) this.#deliver(batch);
  }

  #gather(call: Call, batch: WatchBatch): void {
    if (this.#position.kind !== "snapshot") return;
    if (call.tries !== this.#snapshotTry) this.#snapshot = [];
    this.#snapshotTry = call.tries;
    this.#snapshot.push(batch);
    if (!batch.snapshotEnd) return;
    this.#position = { kind: "from", revision: LogIndex(batch.revision + 1) };
    for (const part of this.#snapshot) this.#deliver(part);
    this.#snapshot = [];
  }

  #deliver(batch: WatchBatch): void {
    if (this.#waiter === null) {
      this.#ready.push(batch);
      return;
    }
    this.#waiter.resolve({ done: false, value: batch });
    this.#waiter = null;
  }

  /** Writes the position into the request; sent again, it resumes there. */
  #ask(call: Call): void {
    const position = this.#position;
    call.body = {
      oneofKind: "watch",
      watch: {
        fromRevision: position.kind === "from" ? position.revision : 0,
        snapshot: position.kind === "snapshot",
        kinds: [...(this.#options.kinds ?? [])],
        keyPrefix: this.#options.keyPrefix ?? "",
      },
    };
  }

  /** The reader is slower than the log: let go, and come back for the rest when it has caught up. */
  #pause(): void {
    if (this.#position.kind === "snapshot") return;
    this.#drop();
  }

  #checkSilence(): void {
    if (this.#call === null || performance.now() - this.#heardAtMs < SILENCE_MS) return;
    const link = this.#call.link;
    this.#heardAtMs = performance.now();
    if (this.#call.place === "sent") link?.close(new Error(`${link.endpoint} has sent nothing to a watch for ${SILENCE_MS} ms`));
  }

  readonly #onAbort = (): void => {
    this.#fail(clientError("CANCELLED", "the watch was given up", "failed", { cause: this.#options.signal?.reason }));
  };

  #fail(error: Error): void {
    if (this.#done || this.#error !== null) return;
    if (error instanceof ClientError && error.code === "OVERLOADED") {
      // The server let a slow reader go: what it has sent is good, the rest is asked for again.
      this.#drop();
      this.#follow();
      return;
    }
    this.#finish();
    if (this.#waiter === null) {
      this.#error = error;
      return;
    }
    this.#waiter.reject(error);
    this.#waiter = null;
  }

  #finish(): void {
    this.#done = true;
    clearInterval(this.#watchdog);
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#drop();
  }

  #drop(): void {
    const call = this.#call;
    this.#call = null;
    if (call !== null) this.#requester.dispatcher.drop(call);
  }
}

type Position =
  | { readonly kind: "now" }
  | { readonly kind: "snapshot" }
  /** The next revision wanted. */
  | { readonly kind: "from"; readonly revision: Revision };

function startOf(options: WatchOptions): Position {
  if (options.snapshot === true) return { kind: "snapshot" };
  return options.fromRevision === undefined ? { kind: "now" } : { kind: "from", revision: options.fromRevision };
}

const revisionOf = (response: Response): number => response.revision;

const SILENCE_MS = 15_000;
/** Batches kept for a slow reader. */
const BUFFER_BATCHES = 1_024;
