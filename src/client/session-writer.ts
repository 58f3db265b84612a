import type { Refusal, SessionId } from "#kernel";
import type { Operation } from "#statemachine";
import type { Call, CallOwner, Decode } from "./call.ts";
import { ClientError, clientError } from "./client-error.ts";
import { SequenceWindow } from "./core/sequence-window.ts";
import { encodeOrRefuse, type Requester, type WriteExtra, type Writer } from "./requester.ts";
import type { CallOptions } from "./types.ts";

/**
 * Exactly-once writes of one session. Each gets the next sequence and is encoded once; the same bytes are sent again until
 * they are answered, and the server's reply table answers what it has already done.
 */
export class SessionWriter implements Writer, CallOwner {
  readonly #id: SessionId;
  readonly #requester: Requester;
  readonly #onExpired: (refused: Refusal) => void;
  readonly #window = new SequenceWindow();
  /** Waits until the window moves: the server keeps a reply for every sequence from the oldest unanswered one on. */
  #held: Held[] = [];
  #ended: Error | null = null;

  constructor(id: SessionId, requester: Requester, onExpired: (refused: Refusal) => void) {
    this.#id = id;
    this.#requester = requester;
    this.#onExpired = onExpired;
  }

  write<T>(operation: Operation, decode: Decode<T>, options: CallOptions | undefined, extra?: WriteExtra): Promise<T> {
    if (this.#ended !== null) {
      return Promise.reject(clientError("SESSION_EXPIRED", `session ${this.#id} has ended`, "failed", { cause: this.#ended }));
    }
    const call = this.#requester.call("deduplicated", true, decode, options, extra);
    call.owner = this;
    call.brief = extra?.brief ?? false;
    const promise = this.#requester.start<T>(call, false);
    if (this.#window.span < MAX_SPAN && this.#held.length === 0) this.#admit(call, operation, extra?.waitMs ?? 0);
    else this.#held.push({ call, operation, waitMs: extra?.waitMs ?? 0 });
    return promise;
  }

  settled(call: Call): void {
    if (call.sequence !== null) this.#window.settle(call.sequence);
    if (this.#held.length > 0) this.#admitHeld();
  }

  refused(refused: Refusal): void {
    if (refused.reason === "SESSION_EXPIRED") this.#onExpired(refused);
  }

  /** The session is over: what was answered stays, everything later is refused here. */
  end(cause: Error): void {
    this.#ended ??= cause;
  }

  #admitHeld(): void {
    let admitted = 0;
    while (admitted < this.#held.length && this.#window.span < MAX_SPAN) {
      const { call, operation, waitMs } = this.#held[admitted++]!;
      this.#admit(call, operation, waitMs);
    }
    if (admitted > 0) this.#held = this.#held.slice(admitted);
  }

  #admit(call: Call, operation: Operation, waitMs: number): void {
    if (call.place === "settled") return;
    const sequence = this.#window.take();
    call.sequence = sequence;
    const command = encodeOrRefuse(
      { sessionId: this.#id, sequence, firstUnackedSequence: this.#window.firstUnacked, operation },
      waitMs,
    );
    if (command instanceof ClientError) {
      this.#requester.dispatcher.drop(call);
      call.reject(command);
      return;
    }
    call.command = command;
    this.#requester.dispatcher.enqueue(call);
  }
}

interface Held {
  readonly call: Call;
  readonly operation: Operation;
  readonly waitMs: number;
}

/** Bound of a session's reply table as this client uses it. */
const MAX_SPAN = 4_096;
