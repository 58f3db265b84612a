import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeAead } from "../../src/host/aead.ts";
import { aeadConformance } from "../conformance/aead.ts";

aeadConformance("node:crypto", nodeAead, { exactBytes: true });

test("the fingerprint of a key stays the same from version to version: operators name keys by it", () => {
  assert.equal(nodeAead.importKey(Uint8Array.from({ length: 32 }, (_, index) => index)).fingerprint, "0e48267a09fd2039");
});
