import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { seededRandom } from "#kernel";
import { headerCrc } from "../../src/storage/wal/header-crc.ts";

test("the checksum of record headers is zlib's CRC-32, from any offset and seed", () => {
  const random = seededRandom(28);
  const bytes = Uint8Array.from({ length: 256 }, () => Math.floor(random() * 256));
  for (let i = 0; i < 500; i++) {
    const at = Math.floor(random() * 200);
    const length = Math.floor(random() * 56);
    const seed = Math.floor(random() * 2 ** 32);
    assert.equal(headerCrc(bytes, at, length, seed), crc32(bytes.subarray(at, at + length), seed));
  }
});
