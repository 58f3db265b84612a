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
      received.push(requestOf(reader.bytes()));
    }
  } catch (error) {
    received.push({ ok: false, id: 0, refusal: refusalOf(error, "frame") });
  }
  return received;
}

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
