import assert from "node:assert/strict";
import { mock, test } from "node:test";
import type { NodeConfig } from "#config";
import type { FormerLives } from "#membership";
import { joinMembers } from "../../src/host/membership.ts";
import type { Pulse } from "../../src/host/pulse/index.ts";
import { systemClock } from "../../src/host/clock.ts";
import { MemoryDisk } from "../storage/memory-disk.ts";

test("a node whose disk is full when it would join the members joins by itself once there is room", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const disk = new MemoryDisk();
    const lives: FormerLives[] = [];
    const errors: string[] = [];
    const pulse = { join: (life: FormerLives) => lives.push(life), onMembership: () => {} } as unknown as Pulse;
    const log = { info: () => {}, warn: () => {}, error: (message: string) => errors.push(message) } as never;
    disk.inject((operation) => (operation === "write" ? "ENOSPC" : null));
    const config = { modes: { membership: "swim" } } as unknown as NodeConfig;
    await joinMembers(config, { disk, pulse, clock: systemClock(), log });
    assert.deepEqual([lives.length, errors.length], [0, 1]);
    disk.inject(null);
    mock.timers.tick(30_000);
    while (lives.length === 0) await new Promise(setImmediate);
    assert.equal(lives[0]?.epoch, 1);
  } finally {
    mock.timers.reset();
  }
});
