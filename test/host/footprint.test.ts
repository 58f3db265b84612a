import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const source = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);

test("a node starts without the libraries of health and reflection, which bring a parser of proto files", () => {
  const { stdout } = run(`
    import { createRequire } from "node:module";
    await import(${source("host/index.ts")});
    console.log(Object.keys(createRequire(${source("host/index.ts")}).cache).join("\\n"));
  `);
  assert.match(stdout, /@grpc[/\\]grpc-js/, "the list shows libraries at all");
  assert.doesNotMatch(stdout, /@grpc[/\\](reflection|proto-loader)|grpc-health-check|[/\\]protobufjs[/\\]/);
});

test("a started node gives back the segments that its recovery has read", () => {
  const { stdout } = run(`
    const { settle } = await import(${source("host/settle.ts")});
    (() => new Uint8Array(24 * 1024 * 1024).fill(1).length)();
    settle();
    console.log(process.memoryUsage().arrayBuffers);
  `);
  assert.ok(Number(stdout) < 8 * 1024 * 1024, `${stdout.trim()} bytes of buffers are left`);
});

test("the compile cache outlives a node that is killed", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "ringraft-cache-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { signal } = run(
    `
    const { execFileSync } = await import("node:child_process");
    const { settle } = await import(${source("host/settle.ts")});
    settle();
    // From outside: before it kills itself, Node would write the cache.
    execFileSync("kill", ["-KILL", String(process.pid)]);
  `,
    { NODE_COMPILE_CACHE: folder },
  );
  assert.equal(signal, "SIGKILL");
  const cached = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  assert.ok(cached.length > 0, "nothing was written");
});

function run(program: string, environment: Readonly<Record<string, string>> = {}) {
  const child = spawnSync(process.execPath, ["--input-type=module", "--eval", program], {
    encoding: "utf8",
    env: { ...process.env, ...environment },
  });
  assert.ok(child.status === 0 || child.signal !== null, child.stderr);
  return child;
}
