import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { RealCluster } from "./real-cluster.ts";

/** Says who runs it, waits, and finishes: long enough to be paused in the middle. */
const program = `
  const fs = require("node:fs");
  const { RINGRAFT_NODE_ID: node, RINGRAFT_FENCING_TOKEN: token } = process.env;
  fs.appendFileSync(process.argv[2], node + " started " + token + "\\n");
  setTimeout(() => {
    fs.appendFileSync(process.argv[2], node + " finished " + token + "\\n");
    console.log(JSON.stringify({ result: { by: node, token } }));
  }, 3000);
`;

test(
  "a worker that is stopped beyond its lease and then continued is FENCED, and the item is done once",
  { timeout: 120_000 },
  async () => {
    const scratch = mkdtempSync(join(tmpdir(), "ringraft-paused-"));
    const journal = join(scratch, "journal");
    const script = join(scratch, "work.cjs");
    writeFileSync(script, program);
    const cluster = await RealCluster.start({
      voters: 3,
      workers: 2,
      workerSettings: ["slots: 1", "ttl: 3s"],
      handlers: [{ kind: "test.wait", command: [process.execPath, script, journal], timeoutSeconds: 60 }],
    });
    try {
      const client = cluster.client();
      const { item } = await client.work.enqueue({ kind: "test.wait", queue: "default" });
      const first = await cluster.until("a running item", async () => {
        const now = await client.work.get(item.workId);
        return now.state === "RUNNING" ? now.claim! : null;
      });
      await cluster.signal(first.nodeId, "SIGSTOP");
      const finished = await cluster.until("completion by the other worker", async () => {
        const now = await client.work.get(item.workId);
        return now.state === "SUCCEEDED" ? now : null;
      });
      await cluster.signal(first.nodeId, "SIGCONT");
      await cluster.until("the continued worker's own word that it was too late", async () =>
        /FENCED|SESSION_EXPIRED|lost/.test(readFileSync(join(cluster.layout.logFolder, `${first.nodeId}.log`), "utf8"))
          ? true
          : null,
      );

      const after = await client.work.get(item.workId);
      assert.deepEqual(after, finished, "the late finisher changed nothing");
      assert.equal(after.lossCount, 1);
      assert.equal(after.attempts.filter((attempt) => attempt.outcome === "succeeded").length, 1);
      const result = JSON.parse(after.result) as { by: string };
      assert.notEqual(result.by, first.nodeId);
      // And the worker goes on: the next item is done by somebody again.
      const { item: next } = await client.work.enqueue({ kind: "test.wait", queue: "default" });
      await cluster.until("the next item", async () =>
        (await client.work.get(next.workId)).state === "SUCCEEDED" ? true : null,
      );
    } finally {
      await cluster.stop();
      rmSync(scratch, { recursive: true, force: true });
    }
  },
);
