import { InvariantError } from "#kernel";
import { putU32, u32At } from "./big-endian.ts";
import {
  ENVELOPE_BYTES,
  Envelope,
  HEADER_BYTES,
  type Opened,
  type Rejected,
  type SealingSetup,
  nonceOf,
  rejected,
} from "./envelope.ts";
import { NONCE_BYTES, NonceSequence, bootOf, counterOf } from "./nonce-sequence.ts";
import { ReplayWindow } from "./replay-window.ts";

/** Longest sealed frame; about 10,000 member records. */
export const MAX_FRAME_BYTES = 1_048_576;
export const MAX_FRAME_BODY_BYTES = MAX_FRAME_BYTES - ENVELOPE_BYTES;

/**
 * What the streams of a node share: one sequence of nonces for all of them, since bits drawn for each stream would repeat some
 * day. Which frame of which stream it is stands in the tag ({@link Chain}), so one that is missing, repeated, out of order or of
 * another stream is seen at once; a whole stream that is played again is seen by its first nonce.
 */
export class FrameSealing {
  readonly #envelope: Envelope;
  readonly #nonces: NonceSequence;
  readonly #starts: ReplayWindow;
  readonly #unproven: Unproven = { bytes: 0 };

  constructor(setup: SealingSetup) {
    this.#envelope = new Envelope({ label: setup.label, keyring: setup.keyring, kind: "frame" });
    this.#nonces = new NonceSequence(setup.aead);
    const maxBoots = (): number => Math.max(FEWEST_BOOTS, 2 * (setup.members?.() ?? 0));
    this.#starts = new ReplayWindow({ window: START_WINDOW, maxBoots });
  }

  /** The sending half of one stream. */
  writer(): FrameWriter {
    return new FrameWriter(this.#envelope, this.#nonces);
  }

  /** The receiving half of one stream. */
  reader(): FrameReader {
    return new FrameReader(this.#envelope, { own: this.#nonces, starts: this.#starts }, this.#unproven);
  }
}

/** Binds a frame into its stream: associated data that names the stream, by its first nonce, and the frame's number there. */
class Chain {
  readonly associated: Uint8Array;
  readonly #at: number;
  #frames = 0;

  constructor({ associated }: Envelope) {
    this.#at = associated.length;
    this.associated = new Uint8Array(associated.length + NONCE_BYTES + 4);
    this.associated.set(associated);
  }

  get isAtStart(): boolean {
    return this.#frames === 0;
  }

  /** To the next frame, after one under `nonce`. */
  advance(nonce: Uint8Array): void {
    if (this.isAtStart) this.associated.set(nonce, this.#at);
    this.#frames += 1;
    putU32(this.associated, this.#at + NONCE_BYTES, this.#frames);
  }
}

/** What tells a stream that was seen before: nonces of our own, thrown back at us, and those with which streams began. */
interface SeenStreams {
  readonly own: NonceSequence;
  readonly starts: ReplayWindow;
}

/** `length (u32) envelope`, length being that of the envelope. */
export class FrameWriter {
  readonly #envelope: Envelope;
  readonly #nonces: NonceSequence;
  readonly #chain: Chain;

  constructor(envelope: Envelope, nonces: NonceSequence) {
    this.#envelope = envelope;
    this.#nonces = nonces;
    this.#chain = new Chain(envelope);
  }

  /** The frame, in memory of its own. `body` has at most {@link MAX_FRAME_BODY_BYTES}. */
  seal(body: Uint8Array): Uint8Array {
    if (body.length > MAX_FRAME_BODY_BYTES) {
      throw new InvariantError(`a body of ${body.length} bytes is over the frame's ${MAX_FRAME_BODY_BYTES}`);
    }
    const frame = new Uint8Array(LENGTH_BYTES + ENVELOPE_BYTES + body.length);
    putU32(frame, 0, ENVELOPE_BYTES + body.length);
    this.#envelope.seal(this.#nonces, body, frame, LENGTH_BYTES, this.#chain.associated);
    this.#chain.advance(nonceOf(frame.subarray(LENGTH_BYTES)));
    return frame;
  }
}

/**
 * Puts frames together from pieces cut anywhere. The first bad frame ends it: nothing after it can be trusted to be a frame,
 * so the stream is to be closed. Memory grows with what has arrived, never with the length that a frame claims; and what has
 * arrived on all streams that have not shown the key yet is bounded ({@link MAX_UNPROVEN_BYTES}).
 */
export class FrameReader {
  readonly #envelope: Envelope;
  readonly #seen: SeenStreams;
  readonly #unproven: Unproven;
  readonly #chain: Chain;
  /** This stream's share of it. */
  #charged = 0;
  #gathered: Uint8Array = NOTHING;
  #end = 0;
  #broken = false;

  constructor(envelope: Envelope, seen: SeenStreams, unproven: Unproven) {
    this.#envelope = envelope;
    this.#seen = seen;
    this.#unproven = unproven;
    this.#chain = new Chain(envelope);
  }

  /** The bodies of the frames that `bytes` completes, in order; a rejection can only stand last, and nothing follows it. */
  push(bytes: Uint8Array): readonly Opened[] {
    if (this.#broken) return [];
    const input = this.#end === 0 ? bytes : this.#gather(bytes);
    const opened: Opened[] = [];
    let at = 0;
    for (;;) {
      const length = this.#frameLength(input, at);
      if (length === null) break;
      if (typeof length === "object") {
        opened.push(length);
        break;
      }
      if (input.length - at - LENGTH_BYTES < length) break;
      opened.push(this.#open(input.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + length)));
      at += LENGTH_BYTES + length;
      if (!opened.at(-1)!.ok) break;
    }
    this.#broken = opened.at(-1)?.ok === false;
    this.#keep(input, at);
    if (!this.#charge(this.#chain.isAtStart ? this.#gathered.length : 0)) {
      this.close();
      opened.push(rejected("source-budget"));
    }
    return opened;
  }

  /** Nothing more is read. To be called when the stream is gone. */
  close(): void {
    this.#broken = true;
    this.#gathered = NOTHING;
    this.#charge(0);
  }

  /** False when the strangers together hold too much with it. */
  #charge(bytes: number): boolean {
    this.#unproven.bytes += bytes - this.#charged;
    this.#charged = bytes;
    return bytes === 0 || this.#unproven.bytes <= MAX_UNPROVEN_BYTES;
  }

  /** Null when more bytes are needed to tell; what is not for us is refused as soon as its header is there. */
  #frameLength(input: Uint8Array, at: number): number | Rejected | null {
    if (input.length - at < LENGTH_BYTES) return null;
    const length = u32At(input, at);
    if (length < ENVELOPE_BYTES) return rejected("too-short");
    if (length > MAX_FRAME_BYTES) return rejected("too-long");
    if (input.length - at < LENGTH_BYTES + HEADER_BYTES) return null;
    const reason = this.#envelope.refusal(input.subarray(at + LENGTH_BYTES));
    return reason === null ? length : rejected(reason);
  }

  #open(envelope: Uint8Array): Opened {
    const nonce = nonceOf(envelope);
    const { own, starts } = this.#seen;
    const [boot, counter] = [bootOf(nonce), counterOf(nonce)];
    if (this.#chain.isAtStart && (boot === own.boot || starts.has(boot, counter))) return rejected("replayed");
    const body = this.#envelope.open(envelope, this.#chain.associated);
    if (body === null) return rejected("forged");
    if (this.#chain.isAtStart) starts.take(boot, counter);
    this.#chain.advance(nonce);
    return { ok: true, body };
  }

  /** What has arrived of a frame, `bytes` included. Doubles, so that single bytes cost no quadratic copying. */
  #gather(bytes: Uint8Array): Uint8Array {
    const end = this.#end + bytes.length;
    if (end > this.#gathered.length) {
      const larger = new Uint8Array(Math.max(end, this.#gathered.length * 2));
      larger.set(this.#gathered.subarray(0, this.#end));
      this.#gathered = larger;
    }
    this.#gathered.set(bytes, this.#end);
    this.#end = end;
    return this.#gathered.subarray(0, end);
  }

  /**
   * Keeps the beginning of the next frame. Whole frames in one piece, the usual case, are never copied. What was opened may
   * be a view of `input`, so its memory is not written again.
   */
  #keep(input: Uint8Array, from: number): void {
    const isGathered = input.buffer === this.#gathered.buffer;
    if (isGathered && from === 0 && !this.#broken) return;
    this.#gathered = this.#broken || from === input.length ? NOTHING : input.slice(from);
    this.#end = this.#gathered.length;
  }
}

/** What unfinished first frames may take, all together: whoever opens streams without the key does not fill the memory. */
export const MAX_UNPROVEN_BYTES = 16 * MAX_FRAME_BYTES;

interface Unproven {
  bytes: number;
}

const LENGTH_BYTES = 4;
/** A joiner hears everybody before it knows anybody; and every member may boot once more before its former boot is forgotten. */
const FEWEST_BOOTS = 128;
/** Frames, of whatever streams, that a sender may have sealed between two first ones that overtake each other. */
const START_WINDOW = 4_096;
const NOTHING = new Uint8Array(0);
