import { InvariantError } from "#kernel";
import type { IBinaryWriter, WireType } from "@protobuf-ts/runtime";

/**
 * Writes protobuf for the generated code into one buffer that is kept between messages: nothing is allocated per field,
 * and `finish` copies once. Not re-entrant, which synchronous encoding never needs.
 */
export class WireWriter implements IBinaryWriter {
  #buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  #end = 0;
  #forks: number[] = [];
  #slab: Uint8Array<ArrayBuffer> = NO_SLAB;
  #slabUsed = SLAB_BYTES;

  /** Forgets what an encoding that threw has left behind. */
  reset(): this {
    this.#end = 0;
    this.#forks.length = 0;
    return this;
  }

  finish(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#end);
    bytes.set(this.#buffer.subarray(0, this.#end));
    this.#release();
    return bytes;
  }

  /**
   * Like {@link finish}, but small results share memory (as Node's own pool does): a third of the time of a buffer of its
   * own. Who keeps one for long keeps up to `SLAB_BYTES` of this writer's other results with it.
   */
  finishShared(): Uint8Array<ArrayBuffer> {
    const length = this.#end;
    if (length > SLAB_BYTES / 8) return this.finish();
    if (this.#slabUsed + length > SLAB_BYTES) {
      this.#slab = new Uint8Array(SLAB_BYTES);
      this.#slabUsed = 0;
    }
    const at = this.#slabUsed;
    this.#slabUsed += length;
    this.#slab.set(this.#buffer.subarray(0, length), at);
    this.reset();
    return new Uint8Array(this.#slab.buffer, at, length);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#end;
  }

  /** For {@link reserve}; another buffer after the next write. */
  get buffer(): Uint8Array {
    return this.#buffer;
  }

  /** Makes room for `bytes` that the caller lays out itself, all of them, from the returned offset of `buffer` on. */
  reserve(bytes: number): number {
    this.#room(bytes);
    const at = this.#end;
    this.#end += bytes;
    return at;
  }

  fork(): this {
    this.#room(1);
    // One byte is kept for the length; most nested messages fit it.
    this.#forks.push(++this.#end);
    return this;
  }

  join(): this {
    const start = this.#forks.pop();
    if (start === undefined) throw new InvariantError("join without a fork");
    const length = this.#end - start;
    const extra = varintBytes(length) - 1;
    if (extra > 0) {
      this.#room(extra);
      this.#buffer.copyWithin(start + extra, start, this.#end);
      this.#end += extra;
    }
    this.#varintAt(start - 1, length);
    return this;
  }

  tag(fieldNo: number, type: WireType): this {
    return this.uint32(((fieldNo << 3) | type) >>> 0);
  }

  raw(chunk: Uint8Array): this {
    this.#room(chunk.length);
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
    return this;
  }

  uint32(value: number): this {
    checkInteger(value, 0, 0xffff_ffff);
    this.#room(5);
    this.#end = this.#varintAt(this.#end, value);
    return this;
  }

  /** Enums only; none of them is negative. */
  int32(value: number): this {
    checkInteger(value, 0, 0x7fff_ffff);
    return this.uint32(value);
  }

  sint32(value: number): this {
    checkInteger(value, -0x8000_0000, 0x7fff_ffff);
    return this.uint32(((value << 1) ^ (value >> 31)) >>> 0);
  }

  uint64(value: string | number | bigint): this {
    const number = Number(value);
    checkInteger(number, 0, Number.MAX_SAFE_INTEGER);
    this.#room(10);
    this.#end = this.#varintAt(this.#end, number);
    return this;
  }

  bool(value: boolean): this {
    this.#room(1);
    this.#buffer[this.#end++] = value ? 1 : 0;
    return this;
  }

  double(value: number): this {
    this.#room(8);
    this.#end = this.#buffer.writeDoubleLE(value, this.#end);
    return this;
  }

  bytes(value: Uint8Array): this {
    return this.uint32(value.length).raw(value);
  }

  string(value: string): this {
    // Three bytes for each UTF-16 unit is the most that UTF-8 needs.
    this.#room(value.length * 3 + 5);
    if (value.length <= SHORT_TEXT && this.#shortAscii(value)) return this;
    const at = this.#end + varintBytes(value.length);
    const length = this.#buffer.write(value, at, "utf8");
    const lengthBytes = varintBytes(length);
    if (this.#end + lengthBytes !== at) this.#buffer.copyWithin(this.#end + lengthBytes, at, at + length);
    this.#varintAt(this.#end, length);
    this.#end += lengthBytes + length;
    return this;
  }

  int64(): this {
    throw unused("int64");
  }
  sint64(): this {
    throw unused("sint64");
  }
  fixed64(): this {
    throw unused("fixed64");
  }
  sfixed64(): this {
    throw unused("sfixed64");
  }
  fixed32(): this {
    throw unused("fixed32");
  }
  sfixed32(): this {
    throw unused("sfixed32");
  }
  float(): this {
    throw unused("float");
  }

  #shortAscii(value: string): boolean {
    const start = this.#end + 1;
    for (let i = 0; i < value.length; i++) {
      const unit = value.charCodeAt(i);
      if (unit >= 0x80) return false;
      this.#buffer[start + i] = unit;
    }
    this.#buffer[this.#end] = value.length;
    this.#end = start + value.length;
    return true;
  }

  #varintAt(at: number, value: number): number {
    let rest = value;
    let end = at;
    while (rest > 0x7f) {
      this.#buffer[end++] = (rest & 0x7f) | 0x80;
      rest = rest > 0xffff_ffff ? Math.floor(rest / 128) : rest >>> 7;
    }
    this.#buffer[end++] = rest;
    return end;
  }

  #room(bytes: number): void {
    if (this.#end + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#end + bytes));
    this.#buffer.copy(larger, 0, 0, this.#end);
    this.#buffer = larger;
  }

  /** One large message must not hold its memory for ever. */
  #release(): void {
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
    this.reset();
  }
}

const INITIAL_BYTES = 16_384;
const KEPT_BYTES = 1_048_576;
const SHORT_TEXT = 24;
const SLAB_BYTES = 16_384;
const NO_SLAB = new Uint8Array(0);

function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;
}

/** Our own values only: an edge has checked what came from outside. */
function checkInteger(value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new InvariantError(`cannot encode ${value}: the field takes integers from ${least} to ${most}`);
  }
}

function unused(type: string): InvariantError {
  return new InvariantError(`no message of the protocol has a field of type ${type}`);
}
