import { type IBinaryReader, type PbLong, type PbULong, WireType } from "@protobuf-ts/runtime";

/** Bytes that are not a message of the expected kind. Caught inside the codec; outside it is a refusal. */
export class WireError extends Error {
  override readonly name = "WireError";
}

/**
 * Reads protobuf for the generated code. Against the runtime's own reader it makes no TextDecoder, DataView or 64-bit
 * object per message, and it is stricter, because voters must agree on every byte: invalid UTF-8, groups, varints beyond
 * 2^53 − 1 and lengths that leave the message throw {@link WireError}. It never allocates by a length it has not checked.
 */
export class WireReader implements IBinaryReader {
  pos = 0;
  readonly len: number;
  readonly #bytes: Uint8Array;
  /** The same bytes as a Buffer, made when the first longer text is read. */
  #view: Buffer | null = null;
  #number = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.len = bytes.length;
  }

  tag(): [number, WireType] {
    const tag = this.uint32();
    const wireType = tag & 7;
    if (tag >>> 3 === 0 || wireType > 5) throw new WireError(`illegal tag ${tag} at byte ${this.pos}`);
    return [tag >>> 3, wireType];
  }

  skip(wireType: WireType): Uint8Array {
    const start = this.pos;
    if (wireType === WireType.Varint) this.#varint64();
    else if (wireType === WireType.Bit64) this.#advance(8);
    else if (wireType === WireType.Bit32) this.#advance(4);
    else if (wireType === WireType.LengthDelimited) this.#advance(this.uint32());
    else throw new WireError(`wire type ${wireType} is not accepted`);
    return this.#bytes.subarray(start, this.pos);
  }

  uint32(): number {
    const bytes = this.#bytes;
    let byte = this.#byte();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      byte = this.#byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    // A sign-extended 32-bit number has ten bytes; what stands above 32 bits is dropped, as protobuf demands.
    for (let more = 0; more < 5; more++) if (this.#byte() < 0x80) return value >>> 0;
    throw new WireError(`a varint of more than ten bytes ends at byte ${this.pos} of ${bytes.length}`);
  }

  int32(): number {
    return this.uint32() | 0;
  }

  sint32(): number {
    const folded = this.uint32();
    return (folded >>> 1) ^ -(folded & 1);
  }

  /** The generated code says `reader.uint64().toNumber()`: the reader itself is what has `toNumber`. */
  uint64(): PbULong {
    this.#number = this.#varint64();
    return this as unknown as PbULong;
  }

  toNumber(): number {
    return this.#number;
  }

  bool(): boolean {
    return this.#varint64() !== 0;
  }

  double(): number {
    const start = this.pos;
    this.#advance(8);
    for (let i = 0; i < 8; i++) doubleBytes[i] = this.#bytes[start + i]!;
    return doubleView.getFloat64(0, true);
  }

  bytes(): Uint8Array {
    const length = this.uint32();
    const start = this.pos;
    this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  string(): string {
    const length = this.uint32();
    const start = this.pos;
    this.#advance(length);
    if (length <= SHORT_TEXT) {
      const text = this.#shortAscii(start, length);
      // The generated code would use it as the key of a plain object, where it changes the prototype instead.
      if (text === "__proto__") throw new WireError("the text __proto__ is not accepted");
      if (text !== null) return text;
    }
    return this.#utf8(start, start + length);
  }

  int64(): PbLong {
    throw unused("int64");
  }
  sint64(): PbLong {
    throw unused("sint64");
  }
  fixed64(): PbULong {
    throw unused("fixed64");
  }
  sfixed64(): PbLong {
    throw unused("sfixed64");
  }
  fixed32(): number {
    throw unused("fixed32");
  }
  sfixed32(): number {
    throw unused("sfixed32");
  }
  float(): number {
    throw unused("float");
  }

  #byte(): number {
    const byte = this.#bytes[this.pos++];
    if (byte === undefined) throw new WireError(`the message ends inside a field, at byte ${this.len}`);
    return byte;
  }

  #varint64(): number {
    let value = 0;
    let factor = 1;
    for (let count = 0; count < 10; count++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) throw new WireError("a number is beyond 2^53 − 1");
        return value;
      }
      factor *= 128;
    }
    throw new WireError(`a varint of more than ten bytes ends at byte ${this.pos}`);
  }

  #advance(length: number): void {
    if (length > this.len - this.pos) {
      throw new WireError(`a field of ${length} bytes at byte ${this.pos} leaves the message of ${this.len} bytes`);
    }
    this.pos += length;
  }

  /** A call into native code costs more than reading a name of this length here. Null when it is not plain ASCII. */
  #shortAscii(start: number, length: number): string | null {
    let text = "";
    for (let i = start; i < start + length; i++) {
      const byte = this.#bytes[i]!;
      if (byte >= 0x80) return null;
      text += String.fromCharCode(byte);
    }
    return text;
  }

  #utf8(start: number, end: number): string {
    const bytes = this.#bytes;
    this.#view ??= Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const text = this.#view.toString("utf8", start, end);
    // Buffer writes U+FFFD for bad bytes; a text that has one is read again by the decoder that tells the two apart.
    return text.includes("\uFFFD") ? strictText(bytes.subarray(start, end)) : text;
  }
}

const SHORT_TEXT = 12;

const doubleBytes = new Uint8Array(8);
const doubleView = new DataView(doubleBytes.buffer);
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function strictText(bytes: Uint8Array): string {
  try {
    return strictDecoder.decode(bytes);
  } catch (cause) {
    throw new WireError("a text is not valid UTF-8", { cause });
  }
}

function unused(type: string): WireError {
  return new WireError(`no message of the protocol has a field of type ${type}`);
}
