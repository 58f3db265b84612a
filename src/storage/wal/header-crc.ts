/**
 * CRC-32 (the polynomial of zlib) of `length` bytes from `at` on, continued from `seed`. For the 28 bytes of a record's header:
 * a view and a call into native zlib cost three times as much as these 28 steps, and there is one header per entry.
 */
export function headerCrc(bytes: Uint8Array, at: number, length: number, seed: number): number {
  let crc = ~seed;
  for (let i = at; i < at + length; i++) crc = TABLE[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

const POLYNOMIAL = 0xedb8_8320;

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  return crc;
});
