import assert from "node:assert/strict";
import { test } from "node:test";
import type { Engine, Proposed } from "#consensus";
import type { Entry } from "#raft";

/** A cluster of engines under simulated time, as an implementation offers it to the suite. */
export interface EngineWorld {
  /** All members, the dead and cut-off ones included. */
  members(): readonly EngineMember[];
  /** Lets time pass until one member leads and others follow it. */
  leader(): Promise<EngineMember>;
  run(ms: number): Promise<void>;
  isolate(member: EngineMember): void;
  heal(member: EngineMember): void;
}

export interface EngineMember {
  readonly engine: Engine;
  readonly committed: readonly Entry[];
}

/**
 * The contract of {@link Engine} as tests, for every engine to pass. `command(n)` makes distinguishable bytes that the sink
 * accepts. Clauses that an engine does not promise (`guarantees`) are skipped for it.
 */
export function engineConformance(name: string, open: () => Promise<EngineWorld>, command: (n: number) => Uint8Array): void {
  test(`${name}: commands get consecutive places, and are committed there, in order, with the promised term`, async () => {
    const world = await open();
    const { engine } = await world.leader();
    const batches = [[1, 2, 3], [4], [5, 6]].map((numbers) => ({ numbers, placed: place(engine.propose(numbers.map(command))) }));
    await world.run(200);
    for (const { committed } of world.members()) {
      for (const { numbers, placed } of batches) {
        for (const [offset, number] of numbers.entries()) {
          const entry = committed.find(({ index }) => index === placed.firstIndex + offset);
          assert.ok(entry !== undefined, `nothing at ${placed.firstIndex + offset}`);
          assert.deepEqual([entry.term, [...entry.data]], [placed.term, [...command(number)]]);
        }
      }
    }
  });

  test(`${name}: every member sees one and the same order, each index once`, async () => {
    const world = await open();
    for (let round = 0; round < 3; round += 1) {
      const { engine } = await world.leader();
      for (let n = 0; n < 20; n += 1) engine.propose([command(round * 20 + n)]);
      await world.run(100);
    }
    const [first, ...others] = world.members().map(({ committed }) => committed.map(described));
    for (const other of others) assert.deepEqual(other, first);
    const indexes = world.members()[0]!.committed.map(({ index }) => index);
    assert.deepEqual(
      indexes,
      Array.from({ length: indexes.length }, (_, at) => indexes[0]! + at),
    );
  });

  test(`${name}: the replicated clock and the wall time never fall along the log`, async () => {
    const world = await open();
    const { engine, committed } = await world.leader();
    for (let n = 0; n < 10; n += 1) {
      engine.propose([command(n)]);
      await world.run(30);
    }
    for (const [at, entry] of committed.entries()) {
      if (at === 0) continue;
      assert.ok(entry.clusterTimeMs >= committed[at - 1]!.clusterTimeMs);
      assert.ok(entry.wallTimeMs >= committed[at - 1]!.wallTimeMs);
    }
    assert.ok(committed.at(-1)!.clusterTimeMs - committed[0]!.clusterTimeMs >= 200, "and it runs");
  });

  test(`${name}: only the leader takes proposals; the others name it`, async () => {
    const world = await open();
    const leader = await world.leader();
    await world.run(200);
    for (const member of world.members()) {
      if (member === leader) continue;
      const proposed = member.engine.propose([command(1)]);
      assert.ok(!proposed.ok);
      assert.equal(proposed.refusal.reason, "NOT_LEADER");
      assert.equal(proposed.refusal.leader, leader.engine.leader().id);
    }
  });

  test(`${name}: what a cut-off leader took is dropped: another term stands at its index, if anything does`, async () => {
    const world = await open();
    const old = await world.leader();
    if (!old.engine.guarantees.quorum) return;
    world.isolate(old);
    const lost = place(old.engine.propose([command(1)]));
    await world.run(1_000);
    const next = await world.leader();
    next.engine.propose([command(2), command(3)]);
    await world.run(200);
    world.heal(old);
    await world.run(1_000);
    for (const { committed } of world.members()) {
      const entry = committed.find(({ index }) => index === lost.firstIndex);
      assert.ok(entry !== undefined && entry.term > lost.term);
    }
  });

  test(`${name}: a read barrier covers every command committed before the call, on any member`, async () => {
    const world = await open();
    const { engine } = await world.leader();
    if (!engine.guarantees.linearizableReads) return;
    const placed = place(engine.propose([command(1), command(2)]));
    await world.run(100);
    const barriers = world.members().map((member) => member.engine.readBarrier());
    await world.run(100);
    for (const barrier of await Promise.all(barriers)) {
      assert.ok(barrier.ok && barrier.value >= placed.firstIndex + 1, JSON.stringify(barrier));
    }
  });

  test(`${name}: a closed engine refuses and delivers no more`, async () => {
    const world = await open();
    const { engine, committed } = await world.leader();
    await engine.close();
    const before = committed.length;
    const proposed = engine.propose([command(1)]);
    assert.ok(!proposed.ok && proposed.refusal.reason === "UNAVAILABLE");
    const barrier = await engine.readBarrier();
    assert.ok(!barrier.ok);
    await world.run(500);
    assert.equal(committed.length, before);
  });
}

function place(proposed: Proposed): Extract<Proposed, { ok: true }> {
  assert.ok(proposed.ok, JSON.stringify(proposed));
  return proposed;
}

function described({ index, term, kind, data, clusterTimeMs, wallTimeMs }: Entry): unknown[] {
  return [index, term, kind, clusterTimeMs, wallTimeMs, Buffer.from(data).toString("hex")];
}
