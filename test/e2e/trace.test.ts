import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { RealCluster, ringraft } from "./real-cluster.ts";

test(
  "traces that real voters write through kills, restarts and hand-overs are what the rules of Raft allow",
  { timeout: 120_000 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "ringraft-trace-"));
    const traceOf = (name: string): string => join(folder, `${name}.ndjson`);
    const cluster = await RealCluster.start({
      voters: 3,
      workers: 0,
      serveOptions: (name) => ["--trace-file", traceOf(name)],
    });
    try {
      const session = await cluster.client().openSession({ purpose: "writes", ttlMs: 60_000 });
      const write = (): Promise<unknown> => Promise.all(Array.from({ length: 50 }, () => session.work.enqueue({ kind: "x" })));
      await write();
      for (const signal of ["SIGKILL", "SIGTERM"] as const) {
        const leader = await cluster.leader();
        await cluster.signal(leader, signal);
        await cluster.leader(leader);
        await write();
        cluster.startNode(leader);
        await cluster.until("the node to be back", async () => (await cluster.status(leader))?.leader_id ?? null);
        await write();
      }
      const names = cluster.layout.nodes.map(({ name }) => name);
      await Promise.all(names.map((name) => cluster.signal(name, "SIGTERM")));
      for (const name of names) {
        const verdict = ringraft(["trace", "verify", traceOf(name)]);
        assert.equal(verdict.status, 0, verdict.stdout + verdict.stderr);
        assert.match(verdict.stdout, /\d{2,} transitions of .+ all allowed/);
      }
      // And the check can fail: one vote changed in one line.
      const [first] = names;
      const text = readFileSync(traceOf(first!), "utf8");
      const spoilt = join(folder, "spoilt.ndjson");
      writeFileSync(
        spoilt,
        text.replace(/("event":"step".*?"state":\{"term":)\d+/, (_, before: string) => `${before}999`),
      );
      assert.equal(ringraft(["trace", "verify", spoilt]).status, 1);
    } finally {
      await cluster.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
