import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { test } from "node:test";

test("a reader that stops early (`ringraft … | head`) ends a command in silence", () => {
  const launcher = join(resolve(import.meta.dirname, "..", ".."), "bin", "ringraft.js");
  const ended = spawnSync(
    "bash",
    ["-c", `("${process.execPath}" "${launcher}" config validate nowhere.yaml -o json; echo "exit $?" >&2) | true`],
    {
      encoding: "utf8",
    },
  );
  assert.match(ended.stderr, /exit (0|78)\n$/);
  assert.doesNotMatch(ended.stderr, /EPIPE|at /);
});
