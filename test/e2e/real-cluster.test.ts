import assert from "node:assert/strict";
import { test } from "node:test";
import { howEnded, ringraft } from "./real-cluster.ts";

test("a command that a test waited for in vain is told with its command line, its end and what it printed", () => {
  assert.match(
    howEnded(ringraft(["--version"], {}, 1)),
    /^`ringraft --version` did not end by itself and was killed \(SIGTERM\) after \d+ ms/,
  );
  assert.match(
    howEnded(ringraft(["no-such"])),
    /^`ringraft no-such` ended with exit code 2 after \d+ ms, and printed:\n[^]*no-such/,
  );
});
