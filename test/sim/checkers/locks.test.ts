import assert from "node:assert/strict";
import { test } from "node:test";
import type { FencingToken, Revision, SessionId } from "#kernel";
import type { Decision, Operation as Change } from "#statemachine";
import { watchLockGrants } from "../../../src/sim/checkers/lock-grants.ts";
import { LockExclusion } from "../../../src/sim/checkers/locks.ts";
import { Complaints, History, own, plain } from "./history.ts";

const [a, b] = ["s-1", "s-2"] as SessionId[] as [SessionId, SessionId];
const acquire: Change = { kind: "acquireLock", name: "l", wait: false, waitTimeoutMs: 0, lockDelayMs: 0, purpose: "" };

test("lock-exclusion refuses two guaranteed holds at once", () => {
  const scene = begin();
  scene.acquired(a, 1, 10);
  scene.acquired(b, 1, 20);
  assert.deepEqual(scene.complaints.seen, ["lock-exclusion"]);
});

test("lock-exclusion accepts a hand-over: released, lapsed, closed, or taken by an operator", () => {
  const released = begin();
  released.acquired(a, 1, 10);
  released.checker.invoked(
    released.history.call(1, own(a, 2, { kind: "releaseLock", name: "l", fencingToken: 10 as FencingToken })),
  );
  released.acquired(b, 1, 20);

  const lapsed = begin();
  lapsed.acquired(a, 1, 10);
  lapsed.view.nowMs = 150;
  lapsed.checker.leased(b, 300);
  lapsed.acquired(b, 1, 20);

  const closed = begin();
  closed.acquired(a, 1, 10);
  closed.checker.invoked(closed.history.call(1, own(a, 2, { kind: "closeSession" })));
  closed.acquired(b, 1, 20);

  const forced = begin();
  forced.acquired(a, 1, 10);
  forced.checker.invoked(forced.history.call(1, plain({ kind: "forceReleaseLock", name: "l", reason: "", by: "" })));
  forced.acquired(b, 1, 20);

  for (const { complaints } of [released, lapsed, closed, forced]) assert.deepEqual(complaints.problems, []);
});

test("fencing refuses a token that goes backwards between a grant that was known and one asked for later", () => {
  const scene = begin();
  scene.acquired(a, 1, 20);
  scene.checker.invoked(scene.history.call(1, own(a, 2, { kind: "releaseLock", name: "l", fencingToken: 20 as FencingToken })));
  scene.acquired(b, 1, 11);
  assert.deepEqual(scene.complaints.seen, ["fencing"]);
});

test("fencing accepts that the holder is told its token again, and that an older grant's answer comes late", () => {
  const scene = begin();
  const late = scene.history.call(0, own(b, 1, acquire));
  scene.checker.invoked(late);
  scene.acquired(a, 1, 20);
  scene.acquired(a, 2, 20);
  scene.checker.leased(b, 0);
  scene.checker.returned(scene.history.answer(late, 5, grant(b, 10)));
  assert.deepEqual(scene.complaints.problems, []);
});

test("lock-exclusion refuses a grant to a session that has ended", () => {
  const { seen, report } = new Complaints();
  const listeners: ((executed: never) => void)[] = [];
  const alive = new Set<string>([a]);
  const replay = {
    onExecuted: (listener: (executed: never) => void) => void listeners.push(listener),
    objectAt: (_kind: string, key: string) => (alive.has(key) ? {} : null),
  };
  watchLockGrants(replay as never, report);
  const grantTo = (sessionId: SessionId): void => {
    const lock = { name: "l", holder: { sessionId, fencingToken: 7 } };
    for (const listener of listeners)
      listener({ entry: { index: 7 }, events: [{ key: "l", object: { kind: "lock", value: lock } }] } as never);
  };
  grantTo(a);
  assert.deepEqual(seen, []);
  grantTo(b);
  assert.deepEqual(seen, ["lock-exclusion"]);
});

function begin() {
  const complaints = new Complaints();
  const view = { nowMs: 0 };
  const checker = new LockExclusion(view, complaints.report);
  const history = new History();
  checker.leased(a, 100);
  checker.leased(b, 100);
  const acquired = (session: SessionId, sequence: number, token: number): void => {
    const operation = history.call(view.nowMs, own(session, sequence, acquire));
    checker.invoked(operation);
    checker.returned(history.answer(operation, view.nowMs, grant(session, token)));
  };
  return { complaints, view, checker, history, acquired };
}

function grant(sessionId: SessionId, token: number): Decision {
  const holder = { sessionId, fencingToken: token };
  const lock = { name: "l", holder } as never;
  return {
    outcome: { ok: true, value: { kind: "lock", lock, granted: true } },
    revision: token as Revision,
    clusterTimeMs: 0 as never,
  };
}
