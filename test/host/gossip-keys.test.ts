import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readGossipKeys } from "../../src/host/gossip-keys.ts";

const folder = mkdtempSync(join(tmpdir(), "ringraft-keys-"));
after(() => rmSync(folder, { recursive: true }));

const secret = Buffer.alloc(32, 7);
const other = Buffer.alloc(32, 9);

function keysIn(text: string, mode = 0o600): readonly Uint8Array[] {
  const path = join(folder, "gossip.key");
  writeFileSync(path, text, { mode });
  chmodSync(path, mode);
  return readGossipKeys(path);
}

test("a key a line, in base64 or hex, the first one first; comments and empty lines are skipped", () => {
  const keys = keysIn(`# since May\n${secret.toString("base64")}\n\n  ${other.toString("hex")}\n`);
  assert.deepEqual(
    keys.map((key) => Buffer.from(key)),
    [secret, other],
  );
});

test("a file that others may open, or that holds something else, stops the start and is not quoted", () => {
  const wrong = (text: string, mode?: number): string => {
    try {
      keysIn(text, mode);
      return "accepted";
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.match(wrong(secret.toString("hex"), 0o640), /membership\.key_file: .* may be opened by others \(mode 0640\)/);
  assert.match(wrong("\n# none\n"), /holds no key/);
  const mistyped = secret.toString("base64").slice(0, 40);
  assert.match(wrong(`${secret.toString("hex")}\n${mistyped}`), /line 2 is not a key of 32 bytes/);
  assert.ok(!wrong(mistyped).includes(mistyped));
  assert.match(wrong(`${secret.toString("hex")}\n`.repeat(9)), /holds 9 keys, at most 8/);
  assert.throws(() => readGossipKeys(join(folder, "absent")), { exitCode: 78, message: /cannot be read/ });
});
