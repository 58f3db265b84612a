import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { NodeConfig } from "#config";
import { adminKeyHash } from "../../src/host/admin-key.ts";

// Through the inside on purpose: where the key comes from is no room's business but the host's.

const KEY = "0123456789abcdef";
const hash = createHash("sha256").update(KEY).digest("hex");

function keyFile(t: TestContext, text: string, mode = 0o600): string {
  const folder = mkdtempSync(join(tmpdir(), "ringraft-key-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "admin.key");
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const from = (adminKeyFile: string | null, key?: string): string | null =>
  adminKeyHash({ adminKeyFile } as NodeConfig, { RINGRIFT_ADMIN_KEY: key });

test("the admin key comes from its file or the environment, without the line's end, and only its hash goes on", (t) => {
  assert.equal(from(null), null);
  assert.equal(from(null, ""), null);
  assert.equal(from(null, KEY), hash);
  const file = keyFile(t, `${KEY}\n`);
  assert.equal(from(file), hash);
  assert.equal(from(file, KEY), hash);
});

test("a key that others may read, that is short, missing or contradicted stops the start with exit 78 and no key in the message", (t) => {
  for (const [file, key, word] of [
    [keyFile(t, KEY, 0o640), undefined, /may be opened by others \(mode 0640\)/],
    [keyFile(t, "short"), undefined, /at least 16/],
    [keyFile(t, `${KEY} ${KEY}`), undefined, /printable/],
    [join(tmpdir(), "ringraft-no-such-key"), undefined, /cannot be read/],
    [keyFile(t, KEY), `${KEY}x`, /different keys/],
    [null, "short", /RINGRIFT_ADMIN_KEY must hold at least 16/],
  ] as const) {
    assert.throws(
      () => from(file, key),
      (error: { exitCode: number; message: string }) => {
        assert.equal(error.exitCode, 78);
        assert.match(error.message, word);
        assert.ok(!error.message.includes(KEY));
        return true;
      },
    );
  }
});
