import { type Refusal, refusal } from "#kernel";
import { Request } from "#gen/ringraft/v1/stream.js";
import { WireType } from "@protobuf-ts/runtime";
import { refusalOf } from "./command-decode.ts";
import { WireError, WireReader } from "./wire-reader.ts";
import { decodeRequest } from "./wire.ts";

/** One request of a frame, or why it cannot be read; `id` is 0 when not even that could be found. */
export type ReceivedRequest =
  | { readonly ok: true; readonly request: Request }
  | { readonly ok: false; readonly id: number; readonly refusal: Refusal };

/**
 * The requests of one ClientFrame. Total: a request that cannot be read is refused by its id while its neighbours are
 * served, and a frame that cannot be read gives one refusal with id 0. `bytes` of a command are a view of the frame.
 */
export function decodeClientFrame(bytes: Uint8Array): readonly ReceivedRequest[] {
  const received: ReceivedRequest[] = [];
  try {
    const reader = new WireReader(bytes);
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (field !== 1 || wireType !== WireType.LengthDelimited) throw new WireError(`field ${field} of a frame is not known`);
      const length = reader.uint32();
      const start = reader.pos;
      if (length > reader.len - start) throw new WireError(`a request of ${length} bytes leaves its frame`);
      const command = readCommandRequest(reader, start + length);
      reader.pos = start + length;
      received.push(command ?? requestOf(bytes.subarray(start, start + length)));
    }
  } catch (error) {
    received.push({ ok: false, id: 0, refusal: refusalOf(error, "frame") });
  }
  return received;
}

/**
 * Null for anything but a whole request that carries a command; the generated code then says what it is, or what is wrong
 * with it. Commands are nearly all traffic, and read here they cost neither a reader nor a union each.
 */
function readCommandRequest(reader: WireReader, end: number): ReceivedRequest | null {
  const request = { id: 0, timeoutMs: 0, brief: false };
  let command: Uint8Array | null = null;
  try {
    while (reader.pos < end) {
      const tag = reader.uint32();
      if (tag === ID) request.id = reader.uint32();
      else if (tag === TIMEOUT_MS) request.timeoutMs = reader.uint32();
      else if (tag === BRIEF) request.brief = reader.bool();
      else if (tag === COMMAND) command = reader.bytes();
      else return null;
    }
  } catch {
    return null;
  }
  if (command === null || reader.pos !== end) return null;
  const { id, timeoutMs, brief } = request;
  return { ok: true, request: { id, timeoutMs, brief, body: { oneofKind: "command", command } } };
}

/** Tags of Request: field number × 8 + wire type. */
const ID = 0x08;
const TIMEOUT_MS = 0x10;
const COMMAND = 0x1a;
const BRIEF = 0x38;

function requestOf(bytes: Uint8Array): ReceivedRequest {
  try {
    const request = decodeRequest(Request, bytes);
    if (request.body.oneofKind !== undefined) return { ok: true, request };
    return { ok: false, id: request.id, refusal: refusal("INVALID_ARGUMENT", "body is required", { field: "body" }) };
  } catch (error) {
    return { ok: false, id: idOf(bytes), refusal: refusalOf(error, "request") };
  }
}

function idOf(bytes: Uint8Array): number {
  try {
    const reader = new WireReader(bytes);
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (field === 1 && wireType === WireType.Varint) return reader.uint32();
      reader.skip(wireType);
    }
  } catch {
    // Damaged before the id: nobody can be told which request it was.
  }
  return 0;
}
