import { fnv1a } from "./fnv1a.ts";

/**
 * Reads what a peer wrote. A read that finds nothing sensible returns an empty value and sets `failed` for good; the caller
 * looks once at the end, and in every loop. So hostile bytes cost no exception, and nothing is allocated by a claimed length.
 */
export class ByteReader {
  failed = false;
  readonly #bytes: Uint8Array;
  #at = 0;
  #end: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#end = bytes.length;
  }

  /** Whether there is more to read: false once failed, so that a loop over it ends. */
  get more(): boolean {
    return !this.failed && this.#at < this.#end;
  }

  fail(): void {
    this.failed = true;
    this.#at = this.#end;
  }

  u8(): number {
    if (this.#at < this.#end) return this.#bytes[this.#at++]!;
    this.fail();
    return 0;
  }

  u16(): number {
    return (this.u8() << 8) | this.u8();
  }

  u32(): number {
    return ((this.u16() << 16) | this.u16()) >>> 0;
  }

  /** Refuses more than 32 bits, and a spelling longer than needed: one value has one spelling. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte >= 0x80) continue;
      if (value > 0xffff_ffff || (byte === 0 && shift > 0)) break;
      return value;
    }
    this.fail();
    return 0;
  }

  /** A varint of at most `most`. */
  count(most: number): number {
    const value = this.varint();
    if (value <= most) return value;
    this.fail();
    return 0;
  }

  /** Characters from `least` to `most` many, each of which `allowed` (by its code) holds. */
  text(least: number, most: number, allowed: Uint8Array): string {
    const length = this.u8();
    const end = this.#at + length;
    if (length < least || length > most || end > this.#end) {
      this.fail();
      return "";
    }
    let text = "";
    for (let at = this.#at; at < end; at++) {
      const code = this.#bytes[at]!;
      if (allowed[code] !== 1) {
        this.fail();
        return "";
      }
      text += String.fromCharCode(code);
    }
    this.#at = end;
    return text;
  }

  /** A view. */
  bytes(length: number): Uint8Array {
    if (length > this.#end - this.#at) {
      this.fail();
      return this.#bytes.subarray(0, 0);
    }
    const start = this.#at;
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }

  /** Of what is left of the part, which stays unread. Signed: in a map, such a key needs no memory of its own. */
  hashOfRest(): number {
    return fnv1a(this.#bytes, this.#at, this.#end) | 0;
  }

  /** Whether what is left of the part are these bytes; then it is read. */
  restIs(bytes: Uint8Array): boolean {
    const start = this.#at;
    if (bytes.length !== this.#end - start) return false;
    for (let at = 0; at < bytes.length; at++) if (bytes[at] !== this.#bytes[start + at]) return false;
    this.#at = this.#end;
    return true;
  }

  /** What is left of the part: a view. */
  rest(): Uint8Array {
    const start = this.#at;
    this.#at = this.#end;
    return this.#bytes.subarray(start, this.#end);
  }

  /** What `read` makes of a part whose length stands in front. What it leaves of the part, a newer version has added: passed over. */
  sized<T>(read: () => T): T {
    const outer = this.#end;
    const length = this.varint();
    if (length > outer - this.#at) this.fail();
    else this.#end = this.#at + length;
    const value = read();
    this.#at = this.failed ? outer : this.#end;
    this.#end = outer;
    return value;
  }
}
