import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readGossipKeys, rewriteGossipKeys } from "../../src/host/gossip-keys.ts";

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

test("the file is replaced as a whole, readable by its owner alone; comments and the spelling of keys that stay are kept", async () => {
  const own = mkdtempSync(join(folder, "own-"));
  const path = join(own, "gossip.key");
  writeFileSync(path, `# the cluster's\n${secret.toString("hex")}\n\n# since May\n`, { mode: 0o600 });
  await rewriteGossipKeys(path, [other, secret]);
  assert.equal(
    readFileSync(path, "utf8"),
    `# the cluster's\n# since May\n${other.toString("base64")}\n${secret.toString("hex")}\n`,
  );
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(own), ["gossip.key"]);
  const link = join(own, "link");
  symlinkSync(path, link);
  await rewriteGossipKeys(link, [other]);
  assert.ok(lstatSync(link).isSymbolicLink());
  assert.deepEqual(
    readGossipKeys(link).map((key) => Buffer.from(key)),
    [other],
  );
});

test("a file that cannot be replaced stays as it was, and no draft of it is left", async () => {
  const own = mkdtempSync(join(folder, "shut-"));
  const path = join(own, "gossip.key");
  writeFileSync(path, `${secret.toString("hex")}\n`, { mode: 0o600 });
  // What stands in the draft's place cannot be opened as a file, whoever runs this.
  mkdirSync(`${path}.tmp`);
  await assert.rejects(rewriteGossipKeys(path, [other]), { code: "EISDIR" });
  assert.deepEqual(
    readGossipKeys(path).map((key) => Buffer.from(key)),
    [secret],
  );
});

/** A folder in which nobody may make a file, root neither. */
const CLOSED = "/sys/kernel/fscaps";

test("a folder that is closed to the node is named, with what to do", { skip: !existsSync(CLOSED) }, async () => {
  const link = join(mkdtempSync(join(folder, "closed-")), "gossip.key");
  symlinkSync(CLOSED, link);
  await assert.rejects(rewriteGossipKeys(link, [other]), {
    message: /gossip\.key cannot be replaced: its folder \/sys\/kernel is not writable for this node \((EACCES|EPERM|EROFS)\)$/,
    hint: /ReadWritePaths=.*or change the file by hand first/,
  });
});
