import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Lab } from "./lab.ts";
import { LabCluster } from "./lab-cluster.ts";
import type { NetworkOptions } from "./options.ts";

const MUTE = "worker-mute";

/** Incident I16: no table of ports named UDP 8771, and nobody noticed that it was closed. */
export function withoutUdp({ guard, folder, minutes }: NetworkOptions): void {
  test(
    "a node whose datagrams all vanish says so within 3 s, is shown as reached by stream, and stays alive everywhere",
    { timeout: (minutes + 5) * 60_000 },
    async (context) => {
      const lab = new Lab(guard);
      const others = ["voter-1", "voter-2", "voter-3", "worker-1", "worker-2", "worker-3"];
      const machines = new Map(others.map((name) => [name, lab.machine(name, 1)]));
      machines.set(MUTE, lab.machine(MUTE, 2));
      lab.dropUdp(2);
      const cluster = new LabCluster(folder, machines);
      try {
        await cluster.startAll();
        const selfTest = async (): Promise<string | undefined> => (await cluster.view(MUTE))?.self_test?.["udp"];
        await cluster.until("the self-test finds that UDP fails", async () => (await selfTest()) === "failed", 15);
        const at = (message: string): number => cluster.log(MUTE).find((line) => line.message === message)?.atMs ?? Number.NaN;
        await cluster.until("the self-test is in the log", () => Promise.resolve(!Number.isNaN(at("membership self-test"))), 15);
        const toldAfter = (at("membership self-test") - at("joining the members")) / 1_000;
        context.diagnostic(`told in its log ${toldAfter} s after it began to join`);
        assert.ok(toldAfter <= SELF_TEST_SECONDS, `it took ${toldAfter} s`);
        assert.equal((await cluster.view(MUTE))!.self_test["stream_out"], "ok");

        const took = await cluster.until(
          "shown as reached by stream by all others",
          async () => (await cluster.seen(MUTE, others)).every((seen) => seen?.state === "alive" && seen.path === "stream"),
          90,
        );
        context.diagnostic(`shown by all others as reached by stream ${took.toFixed(1)} s later`);
        for (const end = performance.now() + minutes * 60_000; performance.now() < end; await pause(1_000)) {
          const seen = await cluster.seen(MUTE, others);
          const sees = (await cluster.view(MUTE))?.nodes ?? [];
          assert.deepEqual(
            [...seen, ...sees].filter((one) => one !== null && one.state !== "alive"),
            [],
          );
        }
        assert.deepEqual(
          cluster.told("member died", MUTE).map(({ by }) => by),
          [],
        );
        context.diagnostic(`${minutes} minutes: suspected ${cluster.told("member suspected", MUTE).length} times, never dead`);
      } finally {
        await cluster.stop();
      }
    },
  );
}

/** It looks 3 s after it began; the rest is the log's way out of a busy machine. */
const SELF_TEST_SECONDS = 3.5;
