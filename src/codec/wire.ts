import type { BinaryReadOptions, BinaryWriteOptions, IMessageType } from "@protobuf-ts/runtime";
import { WireError, WireReader } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

/** Encodes one protobuf message. The bytes are the caller's own. Throws InvariantError on a number out of its field's range. */
export function encodeMessage<T extends object>(type: IMessageType<T>, message: T): Uint8Array<ArrayBuffer> {
  type.internalBinaryWrite(message, writer.reset(), writeOptions);
  return writer.finish();
}

/**
 * Decodes one message of the server or a peer. Fields of newer versions are skipped. Throws {@link WireError} on bad bytes;
 * `bytes` fields are views of the input.
 */
export function decodeMessage<T extends object>(type: IMessageType<T>, bytes: Uint8Array): T {
  return type.internalBinaryRead(new WireReader(bytes), bytes.length, lenientRead);
}

/** Like {@link decodeMessage}, for what a client asks: a field that this version does not know is an error, never ignored. */
export function decodeRequest<T extends object>(type: IMessageType<T>, bytes: Uint8Array): T {
  return type.internalBinaryRead(new WireReader(bytes), bytes.length, strictRead);
}

const writer = new WireWriter();
/** For encoders that are written by hand and leave the rare messages to the generated code. */
export const writeOptions: BinaryWriteOptions = { writeUnknownFields: false, writerFactory: () => writer.reset() };
const readerFactory = (bytes: Uint8Array): WireReader => new WireReader(bytes);
export const lenientRead: BinaryReadOptions = { readUnknownField: false, readerFactory };
const strictRead: BinaryReadOptions = {
  readUnknownField: (typeName, _message, fieldNumber) => {
    throw new WireError(`field ${fieldNumber} of ${typeName} is not known to this version`);
  },
  readerFactory,
};
