import { InvariantError, type Sequence } from "#kernel";
import { encodeCommand, encodeMessage } from "#codec";
import type { Operation } from "#statemachine";
import { Request } from "#gen/ringraft/v1/stream.js";
import type { ReadOptions as ReadOptionsMessage } from "#gen/ringraft/v1/refusal.js";
import { Call, type Decode, type RequestBody } from "./call.ts";
import { ClientError, clientError } from "./client-error.ts";
import { NEVER_MS } from "./core/deadlines.ts";
import type { Nature } from "./core/retry.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { CallOptions, ReadOptions } from "./types.ts";

/** What the API objects write through: the client itself (each write its own attempt) or a session (exactly once). */
export interface Writer {
  write<T>(operation: Operation, decode: Decode<T>, options: CallOptions | undefined, extra?: WriteExtra): Promise<T>;
}

export interface WriteExtra {
  /** Long poll of a claim. */
  readonly waitMs?: number;
  readonly brief?: boolean;
  /** Patience when the caller names none; default: the client's. */
  readonly timeoutMs?: number;
}

/** Makes calls. Everything that leaves the client passes here. */
export class Requester implements Writer {
  readonly dispatcher: Dispatcher;
  readonly #timeoutMs: number;

  constructor(dispatcher: Dispatcher, timeoutMs: number) {
    this.dispatcher = dispatcher;
    this.#timeoutMs = timeoutMs;
  }

  write<T>(operation: Operation, decode: Decode<T>, options: CallOptions | undefined, extra?: WriteExtra): Promise<T> {
    return this.#writeOnceOrMore("once", operation, decode, options, extra);
  }

  /** A write that may be repeated without harm although nothing deduplicates it: opening a session (an orphan expires). */
  writeRepeatable<T>(operation: Operation, decode: Decode<T>, options: CallOptions | undefined): Promise<T> {
    return this.#writeOnceOrMore("repeatable", operation, decode, options, undefined);
  }

  read<T>(body: RequestBody, decode: Decode<T>, options: CallOptions | undefined, needsLeader = true): Promise<T> {
    const wrong = whyNotEncodable(body);
    if (wrong !== null) return Promise.reject(wrong);
    const call = this.call("repeatable", needsLeader, decode, options, undefined);
    call.body = body;
    return this.start<T>(call, true);
  }

  /** A question that changes something, and is for the leader: sent again only when it was certainly not done. */
  ask<T>(body: RequestBody, decode: Decode<T>, options: CallOptions | undefined): Promise<T> {
    const call = this.call("once", true, decode, options, undefined);
    call.body = body;
    return this.start<T>(call, true);
  }

  call(
    nature: Nature,
    needsLeader: boolean,
    decode: Decode<unknown>,
    options: CallOptions | undefined,
    extra: WriteExtra | undefined,
  ): Call {
    const timeoutMs = options?.timeoutMs ?? extra?.timeoutMs ?? this.#timeoutMs;
    const deadlineMs = timeoutMs === NEVER_MS ? NEVER_MS : performance.now() + timeoutMs;
    return new Call(nature, needsLeader, deadlineMs, timeoutMs, decode, options?.signal ?? null);
  }

  get timeoutMs(): number {
    return this.#timeoutMs;
  }

  /** Hands the call to the dispatcher. `ready` false: its owner enqueues it when its turn comes. */
  start<T>(call: Call, ready: boolean): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    call.resolve = resolve as (value: never) => void;
    call.reject = reject;
    this.dispatcher.track(call);
    if (ready) this.dispatcher.enqueue(call);
    return promise;
  }

  #writeOnceOrMore<T>(
    nature: Nature,
    operation: Operation,
    decode: Decode<T>,
    options: CallOptions | undefined,
    extra: WriteExtra | undefined,
  ): Promise<T> {
    const command = encodeOrRefuse(
      { sessionId: null, sequence: null, firstUnackedSequence: 0 as Sequence, operation },
      extra?.waitMs ?? 0,
    );
    if (command instanceof ClientError) return Promise.reject(command);
    const call = this.call(nature, true, decode, options, extra);
    call.command = command;
    call.brief = extra?.brief ?? false;
    return this.start<T>(call, true);
  }
}

/**
 * The bytes of a command, or why it is none: a number that its field cannot hold, or more bytes than a server takes. A frame
 * that the server would not take ends the whole stream, and would end the next one too when it is sent again.
 */
export function encodeOrRefuse(command: Parameters<typeof encodeCommand>[0], waitMs: number): Uint8Array | ClientError {
  try {
    const bytes = encodeCommand(command, waitMs);
    if (bytes.length <= MAX_COMMAND_BYTES) return bytes;
    return clientError("INVALID_ARGUMENT", `the command has ${bytes.length} bytes, at most ${MAX_COMMAND_BYTES} are allowed`);
  } catch (error) {
    if (!(error instanceof InvariantError)) throw error;
    return clientError("INVALID_ARGUMENT", `${command.operation.kind}: ${error.message}`, "failed", { cause: error });
  }
}

/** A question is encoded when its frame is, where a number that its field cannot hold would take everybody's requests down. */
function whyNotEncodable(body: RequestBody): ClientError | null {
  try {
    encodeMessage(Request, { id: 0, timeoutMs: 0, brief: false, body });
    return null;
  } catch (error) {
    if (!(error instanceof InvariantError)) throw error;
    return clientError("INVALID_ARGUMENT", `${body.oneofKind ?? "request"}: ${error.message}`, "failed", { cause: error });
  }
}

export function freshness(options: ReadOptions | undefined): ReadOptionsMessage {
  return { mode: options?.mode ?? "linearizable", minRevision: options?.minRevision ?? 0 };
}

/** Stale reads may ask any node. */
export function asksLeader(options: ReadOptions | undefined): boolean {
  return options?.mode !== "stale";
}

/** etcd's limit for one request; three of them fit into a gRPC message of 4 MiB with room to spare. */
const MAX_COMMAND_BYTES = 1_572_864;
