import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeId, seededRandom } from "#kernel";
import { createHttpPoll, type HttpPollEvent, httpPollProfiles } from "#membership/core";
import type { PulseSnapshot } from "#ports";
// Through the inside on purpose: what one node's pulse thread answers is what another node's detector judges.
import { Answers } from "../../src/host/pulse/answers.ts";
import { HttpPollDriver } from "../../src/membership/http-poll-driver.ts";
import { FakeLoop } from "../membership/shell/fake-world.ts";
import { Scheduler } from "../../src/sim/time/scheduler.ts";

const snapshot: PulseSnapshot = { status: { status: "ok", node_id: "b" }, election: {}, metrics: "", healthy: true, reasons: [] };

test("mode http: a node whose main thread has been silent for 30 s fails its polls, although its pulse thread answers them", async () => {
  const scheduler = new Scheduler();
  const { clock, timers } = new FakeLoop(scheduler);
  const answers = new Answers({ nodeId: "b", maxMainStallMs: 30_000 }, () => scheduler.nowMs);
  const events: (readonly [atMs: number, kind: HttpPollEvent["kind"], why: unknown])[] = [];
  const run = async (ms: number, isBeating: boolean): Promise<void> => {
    for (const end = scheduler.nowMs + ms; scheduler.nowMs < end;) {
      if (isBeating) answers.accept(snapshot);
      const next = Math.min(end, scheduler.nowMs + 250);
      while (scheduler.step(next));
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    }
  };
  const driver = new HttpPollDriver(
    createHttpPoll(httpPollProfiles.connectivity, seededRandom(1)),
    [{ id: NodeId("b"), addresses: ["http://192.0.2.2:8770"] }],
    {
      clock,
      timers,
      get: () => {
        const { code, body } = answers.status();
        return Promise.resolve({ kind: "answered", status: code, body });
      },
      onHeard: () => {},
      onEvent: (event) => events.push([scheduler.nowMs, event.kind, "why" in event ? event.why : null]),
    },
  );

  await run(20_000, true);
  await run(29_000, false);
  assert.deepEqual(
    events.map(([, kind]) => kind),
    ["joined"],
    "late is not hung",
  );
  await run(31_000, false);
  const [, suspected, died] = events;
  assert.deepEqual(
    [suspected?.slice(1), died?.slice(1)],
    [
      ["suspected", "status"],
      ["died", "status"],
    ],
  );
  // Silent from 20 s on; hung 30 s later; then three polls 5 s apart, and 15 s since the last good answer.
  assert.ok(died![0] > 60_000 && died![0] <= 70_000, `died at ${died![0]} ms`);
  await run(60_000, true);
  assert.equal(events.at(-1)?.[1], "recovered");
  driver.close();
});
