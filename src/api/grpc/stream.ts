import { refusal } from "#kernel";
import type { SubmitRequest } from "#replica";
import { type ReceivedRequest, admitCommand, decodeClientFrame, watchBatchToProto } from "#codec";
import type { Request, Response } from "#gen/ringraft/v1/stream.js";
import type { WatchRequest } from "#gen/ringraft/v1/watch.js";
import type * as grpc from "@grpc/grpc-js";
import type { GrpcApiDeps, GrpcApiOptions } from "./deps.ts";
import { encodeServerFrames } from "./frame.ts";
import { type Answered, type QuestionBody, type Requests, watchSpecOf } from "./requests.ts";
import { WatchFeed } from "./watch-feed.ts";

export type StreamCall = grpc.ServerDuplexStream<readonly ReceivedRequest[], Buffer>;

/** Frames go through gRPC as bytes on the way out, and decoded, refusals included, on the way in. */
export const streamDefinition = {
  connect: {
    path: "/ringraft.v1.StreamService/Connect",
    requestStream: true,
    responseStream: true,
    requestDeserialize: decodeClientFrame,
    requestSerialize: (): Buffer => Buffer.alloc(0),
    responseSerialize: (frame: Buffer): Buffer => frame,
    responseDeserialize: (frame: Buffer): Buffer => frame,
  },
} as const satisfies grpc.ServiceDefinition;

/** A parked write, a question under way, or a watch. */
type Pending =
  | { readonly kind: "command"; readonly submitted: SubmitRequest }
  | { readonly kind: "question" }
  | { readonly kind: "watch"; readonly feed: WatchFeed };

/**
 * One client's stream. Requests come in many a frame and are answered in any order; the answers of one turn of the loop leave
 * as one frame. While the client does not read, nothing more is read from it either: what waits here is bounded by
 * `maxUnanswered` requests and `maxBufferedEvents` per watch.
 */
export class ClientStream {
  readonly #call: StreamCall;
  readonly #principal: string;
  readonly #options: GrpcApiOptions;
  readonly #deps: GrpcApiDeps;
  readonly #requests: Requests;
  readonly #pending = new Map<number, Pending>();
  #responses: Response[] = [];
  #watches = 0;
  #flushScheduled = false;
  #blocked = false;
  /** The client has sent all it will send. */
  #halfClosed = false;
  #closed = false;

  constructor(call: StreamCall, principal: string, options: GrpcApiOptions, deps: GrpcApiDeps, requests: Requests) {
    this.#call = call;
    this.#principal = principal;
    this.#options = options;
    this.#deps = deps;
    this.#requests = requests;
  }

  run(): void {
    const call = this.#call;
    call.on("data", (frame: readonly ReceivedRequest[]) => {
      for (const received of frame) this.#receive(received);
    });
    call.on("end", () => this.#finishWhenAnswered());
    call.on("drain", () => this.#unblock());
    call.on("cancelled", () => this.close());
    call.on("close", () => this.close());
    call.on("error", () => this.close());
  }

  /** Abandons everything that is under way. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#responses = [];
    for (const pending of this.#pending.values()) this.#abandon(pending);
    this.#pending.clear();
  }

  #receive(received: ReceivedRequest): void {
    if (this.#closed) return;
    if (!received.ok) {
      this.#respond(received.id, this.#requests.refused(received.refusal));
      return;
    }
    const { request } = received;
    if (request.body.oneofKind === "cancelId") {
      this.#cancel(request.body.cancelId);
      return;
    }
    if (this.#mayStart(request.id)) this.#start(request);
  }

  #mayStart(id: number): boolean {
    const { maxUnanswered } = this.#options.limits;
    if (id === 0 || this.#pending.has(id)) {
      const complaint = id === 0 ? "is required, from 1" : `${id} is not answered yet`;
      this.#respond(0, this.#requests.refused(refusal("INVALID_ARGUMENT", `id ${complaint}`, { field: "id" })));
      return false;
    }
    // Answers that the client has not taken count as well: they use the same memory.
    const open = this.#pending.size + this.#responses.length;
    if (open < maxUnanswered) return true;
    const why = `${open} requests of this stream are unanswered, at most ${maxUnanswered} are accepted`;
    this.#respond(id, this.#requests.refused(refusal("OVERLOADED", why, { retryAfterMs: OVERLOAD_PAUSE_MS })));
    return false;
  }

  #start({ id, timeoutMs, brief, body }: Request): void {
    switch (body.oneofKind) {
      case "command":
        this.#command(id, timeoutMs, brief, body.command);
        return;
      case "watch":
        this.#watch(id, body.watch);
        return;
      case "cancelId":
      case undefined:
        return;
      default:
        this.#ask(id, timeoutMs, body);
    }
  }

  #command(id: number, timeoutMs: number, brief: boolean, bytes: Uint8Array): void {
    const admitted = admitCommand(bytes, this.#principal);
    if (!admitted.ok) {
      this.#respond(id, this.#requests.refused(admitted.refusal));
      return;
    }
    const submitted: SubmitRequest = {
      command: admitted.value,
      principal: this.#principal,
      timeoutMs: timeoutMs === 0 ? null : timeoutMs,
    };
    const pending: Pending = { kind: "command", submitted };
    this.#pending.set(id, pending);
    this.#deps.replica.submit(submitted, (answer) => {
      if (this.#settle(id, pending)) this.#respondAtOnce(id, this.#requests.answered(answer, brief));
    });
  }

  #ask(id: number, timeoutMs: number, body: QuestionBody): void {
    const pending: Pending = { kind: "question" };
    this.#pending.set(id, pending);
    void this.#requests.ask(body, timeoutMs).then((answered) => {
      if (this.#settle(id, pending)) this.#respond(id, answered);
    });
  }

  #watch(id: number, request: WatchRequest): void {
    const { maxWatches, maxBufferedEvents } = this.#options.limits;
    const spec = watchSpecOf(request);
    if (!spec.ok || this.#watches >= maxWatches) {
      const why = spec.ok ? refusal("QUOTA_EXCEEDED", `a stream has at most ${maxWatches} watches`) : spec.refusal;
      this.#respond(id, this.#requests.refused(why));
      return;
    }
    const feed = new WatchFeed(maxBufferedEvents, {
      batch: (batch) =>
        this.#respond(id, {
          revision: batch.revision,
          body: { oneofKind: "watchBatch", watchBatch: watchBatchToProto(batch) },
        }),
      end: (refused) => {
        if (this.#settle(id, pending)) this.#respond(id, this.#requests.refused(refused));
      },
    });
    const pending: Pending = { kind: "watch", feed };
    this.#pending.set(id, pending);
    this.#watches++;
    feed.start(this.#deps.replica, spec.value);
  }

  #cancel(id: number): void {
    const pending = this.#pending.get(id);
    // Answered meanwhile: the answer is on its way.
    if (pending === undefined) return;
    this.#settle(id, pending);
    this.#abandon(pending);
    this.#respond(id, this.#requests.refused(refusal("CANCELLED", "the caller gave up")));
  }

  #abandon(pending: Pending): void {
    if (pending.kind === "command") this.#deps.replica.abandon(pending.submitted);
    else if (pending.kind === "watch") pending.feed.cancel();
  }

  /** False when the request was cancelled or answered before; its id may belong to another one by now. */
  #settle(id: number, pending: Pending): boolean {
    if (this.#pending.get(id) !== pending) return false;
    this.#pending.delete(id);
    if (pending.kind === "watch") this.#watches--;
    return true;
  }

  #respond(id: number, answered: Answered): void {
    if (this.#mustSchedule(id, answered)) this.#deps.timers.soon(() => this.#flush());
  }

  /** Answers to commands come many at a time, when a batch is applied: the next microtask finds them all. */
  #respondAtOnce(id: number, answered: Answered): void {
    if (this.#mustSchedule(id, answered)) queueMicrotask(() => this.#flush());
  }

  #mustSchedule(id: number, { revision, body }: Answered): boolean {
    if (this.#closed) return false;
    this.#responses.push({ id, revision, body });
    if (this.#flushScheduled || this.#blocked) return false;
    this.#flushScheduled = true;
    return true;
  }

  #flush(): void {
    this.#flushScheduled = false;
    if (this.#closed || this.#blocked) return;
    if (this.#responses.length > 0) {
      const responses = this.#responses;
      this.#responses = [];
      let writable = true;
      encodeServerFrames(responses, (frame) => {
        writable = this.#call.write(frame);
      });
      if (writable) this.#watchersCaughtUp();
      else this.#block();
    }
    if (this.#halfClosed && this.#pending.size === 0 && !this.#blocked) this.#call.end();
  }

  #block(): void {
    this.#blocked = true;
    this.#call.pause();
  }

  #unblock(): void {
    if (!this.#blocked || this.#closed) return;
    this.#blocked = false;
    this.#call.resume();
    this.#watchersCaughtUp();
    this.#flush();
  }

  #watchersCaughtUp(): void {
    if (this.#watches === 0) return;
    for (const pending of this.#pending.values()) if (pending.kind === "watch") pending.feed.sent();
  }

  /** Nobody can cancel a watch any more, so it ends here; requests are answered first. */
  #finishWhenAnswered(): void {
    this.#halfClosed = true;
    for (const [id, pending] of this.#pending) {
      if (pending.kind !== "watch") continue;
      this.#settle(id, pending);
      pending.feed.cancel();
    }
    this.#flush();
  }
}

const OVERLOAD_PAUSE_MS = 100;
