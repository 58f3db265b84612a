import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { exitCodes, surfaces } from "#kernel";

const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");

test("docs/errors.md lists exactly the reasons that exist, as every surface shows them", () => {
  const documented = [...page.matchAll(/^\| `([A-Z_]+)` \| (\d+) \| (\d+) \| (\w+) \| (\d+) \| (.+) \|$/gm)].map(
    ([, reason, grpc, http, retry, exit, hint]) => [
      reason,
      { grpc: Number(grpc), http: Number(http), exit: Number(exit), retry, hint },
    ],
  );
  assert.deepEqual(documented, Object.entries(surfaces));
});

test("docs/errors.md lists exactly the exit codes of a node", () => {
  const documented = [...page.matchAll(/^\| (\d+) \| `([a-z]+)` \|/gm)].map(([, code, name]) => [name, Number(code)]);
  assert.deepEqual(documented, Object.entries(exitCodes));
});
