import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Lab } from "./lab.ts";
import { LabCluster } from "./lab-cluster.ts";
import type { NetworkOptions } from "./options.ts";

const MAPPING_SECONDS = 30;
const SETTLE_MS = 10_000;
const HIDDEN = "worker-hidden";

/** Incident I7: nodes behind a NAT never joined. */
export function nat({ guard, folder, minutes }: NetworkOptions): void {
  test(
    `a node behind a NAT that lets nobody in (mappings of ${MAPPING_SECONDS} s) is a full member by its relays, and the death of a relay moves it`,
    { timeout: (minutes + 5) * 60_000 },
    async (context) => {
      const lab = new Lab(guard);
      const open = ["voter-1", "voter-2", "voter-3", "worker-1", "worker-2", "worker-3"];
      const machines = new Map(open.map((name) => [name, lab.machine(name, 1)]));
      machines.set(HIDDEN, lab.machineBehindNat(HIDDEN, 1, MAPPING_SECONDS));
      const cluster = new LabCluster(folder, machines);
      try {
        await cluster.startAll();
        const startedAt = performance.now();
        const alive = async (observers: readonly string[]): Promise<boolean> =>
          (await cluster.seen(HIDDEN, observers)).every((seen) => seen?.state === "alive");
        await cluster.until("alive at all others", () => alive(open), 30);
        context.diagnostic(`alive at all others ${seconds(startedAt)} s after the last start`);
        await cluster.until(
          "everybody shows its relays",
          async () => (await cluster.seen(HIDDEN, open)).every((seen) => seen?.path === "relay" && seen.relays.length === 2),
          60,
        );
        context.diagnostic(`shown with path relay by all others ${seconds(startedAt)} s after the last start`);
        // Probes that began before its relays were known have had their verdicts.
        await pause(SETTLE_MS);
        const relayedAtMs = Date.now();
        const early = new Set(cluster.told("member suspected", HIDDEN).map(({ incarnation }) => incarnation)).size;
        context.diagnostic(`until its relays were known it was suspected in ${early} of its incarnations`);
        const isBusy = open.some((name) => suspicions(cluster, name).length > 0);
        assert.ok(early <= 1 || isBusy, `suspected in ${early} incarnations: it knew too late that it needs relays`);
        assert.deepEqual(cluster.told("member died", HIDDEN), []);

        for (const end = performance.now() + minutes * 60_000; performance.now() < end; await pause(1_000)) {
          const seen = await cluster.seen(HIDDEN, open);
          assert.deepEqual(
            seen.filter((one) => one?.state === "dead"),
            [],
          );
        }
        const others = open.flatMap((name) => suspicions(cluster, name, relayedAtMs)).length;
        const why =
          others === 0
            ? "suspected although only a NAT stood between"
            : `this machine is too busy to tell: others were suspected ${others} times`;
        assert.deepEqual(suspicions(cluster, HIDDEN, relayedAtMs), [], why);
        context.diagnostic(`${minutes} minutes: never suspected`);

        const [relay] = (await cluster.seen(HIDDEN, ["worker-1"]))[0]!.relays;
        assert.ok(relay !== undefined);
        const left = open.filter((name) => name !== relay);
        await cluster.kill(relay);
        const took = await cluster.until(
          `moved away from ${relay}, and known so`,
          async () => {
            const seen = await cluster.seen(HIDDEN, left);
            assert.ok(!seen.some((one) => one?.state === "dead"), "it was declared dead");
            return seen.every((one) => one?.state === "alive" && one.relays.length === 2 && !one.relays.includes(relay));
          },
          30,
        );
        context.diagnostic(`moved from ${relay} to another relay, known to all, in ${took.toFixed(1)} s`);
        assert.ok(took <= 5, `it took ${took.toFixed(1)} s`);
        await pause(SETTLE_MS);
        assert.ok(await alive(left));
        assert.deepEqual(suspicions(cluster, HIDDEN, relayedAtMs), []);
        assert.deepEqual(cluster.told("member died", HIDDEN), []);
      } finally {
        await cluster.stop();
      }
    },
  );
}

function suspicions(cluster: LabCluster, member: string, sinceMs = 0): readonly string[] {
  return cluster
    .told("member suspected", member)
    .filter(({ atMs }) => atMs >= sinceMs)
    .map(({ by, atMs }) => `${new Date(atMs).toISOString()} ${by}`);
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1_000).toFixed(1);
}
