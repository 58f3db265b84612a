import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Lab } from "./lab.ts";
import { LabCluster } from "./lab-cluster.ts";
import type { NetworkOptions } from "./options.ts";

const [LARGE, SMALL] = [1, 2];
const VOTERS = 5;
const HEAL_SECONDS = 60;

interface Status {
  readonly leader_id: string | null;
}

/** Incident I10: two sides, each of which took itself for the cluster. */
export function partition({ guard, folder, minutes, nodes }: NetworkOptions): void {
  const small = Math.round(nodes / 3);
  test(
    `a cluster cut into ${nodes - small} and ${small} nodes for ${minutes} minutes heals by itself`,
    { timeout: (minutes + 10) * 60_000 },
    async (context) => {
      const lab = new Lab(guard);
      // Two of the five voters and the last workers stand on the small side.
      const names = [...numbered("voter", VOTERS), ...numbered("worker", nodes - VOTERS)];
      const there = new Set(["voter-4", "voter-5", ...names.slice(2 - small)]);
      const sides = [names.filter((name) => !there.has(name)), names.filter((name) => there.has(name))] as const;
      const cluster = new LabCluster(
        folder,
        new Map(names.map((name) => [name, lab.machine(name, there.has(name) ? SMALL : LARGE)])),
      );
      try {
        await cluster.startAll();
        const whole = await cluster.until("all agree that all are alive", () => allAlive(cluster, names), 120);
        context.diagnostic(`${names.length} nodes converged ${whole.toFixed(1)} s after the last start`);

        const before = new Map(names.map((name) => [name, cluster.log(name).length]));
        lab.cut(LARGE, SMALL);
        const cutAt = performance.now();
        for (const [at, side] of sides.entries()) {
          const other = sides[1 - at]!;
          const listed = async (): Promise<boolean> =>
            (await cluster.views(side)).every((view) => same(view?.partition?.lost, other) && same(view?.partition?.here, side));
          await cluster.until(`all ${side.length} list the two sides`, listed, minutes * 60 - since(cutAt));
          context.diagnostic(`all ${side.length} list the two sides ${since(cutAt).toFixed(1)} s after the cut`);
        }
        await pause(minutes * 60_000 - since(cutAt) * 1_000);
        const shownAsLeader = async (side: readonly string[]): Promise<readonly unknown[]> => {
          const statuses = (await Promise.all(side.map((name) => cluster.get(name, "/status")))) as readonly (Status | null)[];
          return [...new Set(statuses.map((status) => status?.leader_id))];
        };
        const isLeaderless = async (): Promise<boolean> => (await shownAsLeader(sides[1])).every((leader) => leader === null);
        await cluster.until("nobody shows a leader on the side without a majority", isLeaderless, 10);
        const falseDeaths = sides.flatMap((side) =>
          side.flatMap((by) =>
            cluster
              .log(by)
              .slice(before.get(by))
              .filter(({ message, member }) => message === "member died" && side.includes(member)),
          ),
        );
        assert.deepEqual(falseDeaths, [], "declared dead although on the same side");

        lab.heal(LARGE, SMALL);
        const healed = await cluster.until(
          "all agree again that all are alive",
          () => allAlive(cluster, names),
          HEAL_SECONDS * 2,
        );
        context.diagnostic(`all agree that all are alive ${healed.toFixed(1)} s after the heal`);
        assert.ok(healed <= HEAL_SECONDS, `it took ${healed.toFixed(1)} s`);
        const noted = async (): Promise<boolean> => (await cluster.views()).every((view) => view?.partition === null);
        await cluster.until("nobody lists two sides any more", noted, 10);
        const hasOneLeader = async (): Promise<boolean> => {
          const leaders = await shownAsLeader(names);
          return leaders.length === 1 && typeof leaders[0] === "string";
        };
        await cluster.until("all show one leader", hasOneLeader, HEAL_SECONDS);
      } finally {
        await cluster.stop();
      }
    },
  );
}

async function allAlive(cluster: LabCluster, names: readonly string[]): Promise<boolean> {
  const views = await cluster.views();
  return views.every(
    (view) =>
      view !== null &&
      view.digest === views[0]?.digest &&
      view.nodes.length === names.length &&
      view.nodes.every(({ state }) => state === "alive"),
  );
}

function same(some: readonly string[] | undefined, others: readonly string[]): boolean {
  return some !== undefined && some.toSorted().join() === others.toSorted().join();
}

function numbered(role: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, at) => `${role}-${at + 1}`);
}

function since(start: number): number {
  return (performance.now() - start) / 1_000;
}
