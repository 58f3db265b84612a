import { InvariantError } from "#kernel";

/** Writes into one buffer that is kept from message to message. Not re-entrant, which synchronous encoding never needs. */
export class ByteWriter {
  #buffer = new Uint8Array(2_048);
  #end = 0;

  get length(): number {
    return this.#end;
  }

  reset(): this {
    this.#end = 0;
    return this;
  }

  /** What was written: a view, good until the next `reset`. */
  written(): Uint8Array {
    return this.#buffer.subarray(0, this.#end);
  }

  u8(value: number): void {
    this.#room(1);
    this.#buffer[this.#end++] = value;
  }

  u16(value: number): void {
    this.u8(value >>> 8);
    this.u8(value);
  }

  u32(value: number): void {
    if (value !== value >>> 0) throw notU32(value);
    this.u16(value >>> 16);
    this.u16(value);
  }

  /** An unsigned 32-bit number in one to five bytes, seven bits each, the low ones first. */
  varint(value: number): void {
    if (value !== value >>> 0) throw notU32(value);
    let rest = value;
    for (; rest > 0x7f; rest >>>= 7) this.u8((rest & 0x7f) | 0x80);
    this.u8(rest);
  }

  /** Length in one byte, then the characters, which are ASCII. */
  text(value: string): void {
    if (value.length > 0xff) throw notText(value);
    this.#room(value.length + 1);
    this.#buffer[this.#end++] = value.length;
    for (let i = 0; i < value.length; i++) {
      const unit = value.charCodeAt(i);
      if (unit > 0x7f) throw notText(value);
      this.#buffer[this.#end++] = unit;
    }
  }

  bytes(value: ArrayLike<number>): void {
    this.#room(value.length);
    this.#buffer.set(value, this.#end);
    this.#end += value.length;
  }

  /** What `write` writes, with its length as a varint in front. */
  sized(write: () => void): void {
    const start = this.#end;
    // One byte is kept for the length; longer contents move once.
    this.u8(0);
    write();
    const length = this.#end - start - 1;
    if (length <= 0x7f) {
      this.#buffer[start] = length;
      return;
    }
    const extra = varintBytes(length) - 1;
    this.#room(extra);
    this.#buffer.copyWithin(start + 1 + extra, start + 1, this.#end);
    this.#end = start;
    this.varint(length);
    this.#end += length;
  }

  #room(bytes: number): void {
    if (this.#end + bytes <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(this.#buffer.length * 2, this.#end + bytes));
    larger.set(this.written());
    this.#buffer = larger;
  }
}

export function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;
}

// Made only when needed: a message costs more than the number it would be about.
function notU32(value: number): InvariantError {
  return new InvariantError(`cannot encode ${value} as an unsigned 32-bit number`);
}

function notText(value: string): InvariantError {
  return new InvariantError(`cannot encode ${JSON.stringify(value)}: the wire takes at most 255 ASCII characters`);
}
