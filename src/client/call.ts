import type { Refusal, Sequence } from "#kernel";
import type { Request, Response } from "#gen/ringraft/v1/stream.js";
import type { Nature } from "./core/retry.ts";

export type RequestBody = Request["body"];

/** Where a call stands. `held`: waits for its turn in its session; `paused`: refused for now, comes back by itself. */
export type CallPlace = "held" | "queued" | "sent" | "paused" | "settled";

/** Turns the answer's body into what the caller asked for; throws when the body is of another kind. */
export type Decode<T> = (response: Response) => T;

/** The connection that carries a sent call. */
export interface CallLink {
  readonly endpoint: string;
  forget(call: Call): void;
  close(cause: Error): void;
}

/** Who is told when a call has left, answered or not. */
export interface CallOwner {
  settled(call: Call): void;
  /** The server's answer was a refusal that ends the call. */
  refused(refused: Refusal): void;
}

/**
 * One request from the moment a caller makes it until its promise settles. A class with fixed fields: there are tens of
 * thousands a second, and the only things allocated per call are this, its promise and its bytes.
 */
export class Call {
  readonly nature: Nature;
  /** False: any node may answer, also one without a leader (stale reads, status). */
  readonly needsLeader: boolean;
  readonly deadlineMs: number;
  /** The caller's whole patience, for messages. */
  readonly timeoutMs: number;
  readonly decode: Decode<unknown>;
  readonly signal: AbortSignal | null;
  /** Null while the call is held: its sequence and bytes are fixed when its turn comes. */
  command: Uint8Array | null = null;
  /** Everything that is not a command. A watch moves its body on, so that being sent again means being resumed. */
  body: RequestBody | null = null;
  /** The answer may leave out the object that the command changed. */
  brief = false;
  owner: CallOwner | null = null;
  sequence: Sequence | null = null;
  /** A watch gets its batches here, any number before the answer that ends it. */
  onBatch: ((response: Response) => void) | null = null;
  onAbort: (() => void) | null = null;

  place: CallPlace = "held";
  /** While sent: where, and under which id there. */
  link: CallLink | null = null;
  id = 0;
  /** An earlier try was sent and never answered. */
  doubtful = false;
  tries = 0;
  resumeAtMs = 0;
  lastRefusal: Refusal | null = null;
  resolve!: (value: never) => void;
  reject!: (error: Error) => void;

  constructor(
    nature: Nature,
    needsLeader: boolean,
    deadlineMs: number,
    timeoutMs: number,
    decode: Decode<unknown>,
    signal: AbortSignal | null,
  ) {
    this.nature = nature;
    this.needsLeader = needsLeader;
    this.deadlineMs = deadlineMs;
    this.timeoutMs = timeoutMs;
    this.decode = decode;
    this.signal = signal;
  }

  /** The call itself listens to its AbortSignal. */
  handleEvent(): void {
    this.onAbort?.();
  }
}
