import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { RealCluster } from "./real-cluster.ts";

test(
  "I4: a node whose main thread is blocked for five seconds still answers with JSON, and says how old its news is",
  { timeout: 90_000 },
  async () => {
    const cluster = await RealCluster.start({
      voters: 1,
      workers: 0,
      nodeOptions: `--require ${join(import.meta.dirname, "block-main.cjs")}`,
    });
    try {
      const url = `http://127.0.0.1:${cluster.httpPort("voter-1")}/health`;
      await cluster.signal("voter-1", "SIGUSR2");
      await pause(3_500);
      const asked = performance.now();
      const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) });
      const body = (await answer.json()) as { stale_ms: number };
      const took = performance.now() - asked;
      assert.ok(body.stale_ms >= 2_000, `stale_ms is ${body.stale_ms}`);
      // The target is 200 ms; the bound is wider because the machine that tests is shared.
      assert.ok(took < 800, `the answer took ${took} ms`);
      for (const path of ["/health", "/status", "/election/status"]) {
        const page = await fetch(`http://127.0.0.1:${cluster.httpPort("voter-1")}${path}`, {
          signal: AbortSignal.timeout(1_000),
        });
        assert.equal(page.headers.get("content-type"), "application/json", path);
        assert.ok(((await page.json()) as { stale_ms: number }).stale_ms >= 2_000, path);
      }
      await cluster.until("fresh news", async () => {
        const now = (await (await fetch(url)).json()) as { stale_ms: number };
        return now.stale_ms < 1_000 ? true : null;
      });
    } finally {
      await cluster.stop();
    }
  },
);
