import { encodeMessage } from "#codec";
import { Request } from "#gen/ringraft/v1/stream.js";
import type { Call, RequestBody } from "./call.ts";
import { timeLeftForServer } from "./core/deadlines.ts";

/** Frames stay well below gRPC's usual limit of 4 MiB for one message. */
export const MAX_FRAME_BYTES = 1_048_576;

/**
 * One ClientFrame under construction. Commands, which are nearly all traffic, are laid out by hand: their bytes are copied
 * once, from where they were encoded into the frame that gRPC sends.
 */
export class FrameWriter {
  readonly #parts: Part[] = [];
  #bytes = 0;

  get empty(): boolean {
    return this.#parts.length === 0;
  }

  get full(): boolean {
    return this.#bytes >= MAX_FRAME_BYTES;
  }

  add(call: Call, nowMs: number): void {
    const timeoutMs = timeLeftForServer(call.deadlineMs, nowMs);
    if (call.command === null) this.addBody(call.id, timeoutMs, call.body!);
    else this.#push({ kind: "command", id: call.id, timeoutMs, brief: call.brief, bytes: call.command });
  }

  addBody(id: number, timeoutMs: number, body: RequestBody): void {
    this.#push({ kind: "request", bytes: encodeMessage(Request, { id, timeoutMs, brief: false, body }) });
  }

  take(): Buffer {
    const frame = Buffer.allocUnsafe(this.#bytes);
    let at = 0;
    for (const part of this.#parts) at = writePart(frame, at, part);
    this.#parts.length = 0;
    this.#bytes = 0;
    return frame;
  }

  #push(part: Part): void {
    this.#parts.push(part);
    const size = requestSize(part);
    this.#bytes += 1 + varintSize(size) + size;
  }
}

type Part =
  | {
      readonly kind: "command";
      readonly id: number;
      readonly timeoutMs: number;
      readonly brief: boolean;
      readonly bytes: Uint8Array;
    }
  /** An encoded Request. */
  | { readonly kind: "request"; readonly bytes: Uint8Array };

/** Tags of stream.proto: field number × 8 + wire type. */
const REQUESTS = 0x0a;
const ID = 0x08;
const TIMEOUT_MS = 0x10;
const BRIEF = 0x38;
const COMMAND = 0x1a;

function requestSize(part: Part): number {
  const length = part.bytes.length;
  if (part.kind === "request") return length;
  const timeoutSize = part.timeoutMs === 0 ? 0 : 1 + varintSize(part.timeoutMs);
  return 1 + varintSize(part.id) + timeoutSize + (part.brief ? 2 : 0) + 1 + varintSize(length) + length;
}

function writePart(frame: Buffer, start: number, part: Part): number {
  let at = writeVarint(frame, writeByte(frame, start, REQUESTS), requestSize(part));
  if (part.kind === "command") {
    at = writeVarint(frame, writeByte(frame, at, ID), part.id);
    if (part.timeoutMs !== 0) at = writeVarint(frame, writeByte(frame, at, TIMEOUT_MS), part.timeoutMs);
    if (part.brief) at = writeByte(frame, writeByte(frame, at, BRIEF), 1);
    at = writeVarint(frame, writeByte(frame, at, COMMAND), part.bytes.length);
  }
  frame.set(part.bytes, at);
  return at + part.bytes.length;
}

function writeByte(frame: Buffer, at: number, byte: number): number {
  frame[at] = byte;
  return at + 1;
}

function writeVarint(frame: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest > 0x7f) {
    frame[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  frame[at++] = rest;
  return at;
}

function varintSize(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;
}
