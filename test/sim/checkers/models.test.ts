import assert from "node:assert/strict";
import { test } from "node:test";
import type { FencingToken, Revision, SessionId, WorkId } from "#kernel";
import { type Refusal, refusal } from "#kernel";
import type { Command, Decision, Operation as Change, Reply } from "#statemachine";
import { LinearizabilitySearch } from "../../../src/sim/checkers/search/checker.ts";
import { Complaints, History, own } from "./history.ts";

const [a, b] = ["s-1", "s-2"] as SessionId[] as [SessionId, SessionId];
const acquire: Change = { kind: "acquireLock", name: "l", wait: false, waitTimeoutMs: 0, lockDelayMs: 0, purpose: "" };
const claim: Change = { kind: "claimWork", workerId: "w", queues: ["q"], maxItems: 1 };
const use = (kind: "completeWork" | "startWork", token: number) =>
  ({ kind, workId: "w-1" as WorkId, fencingToken: token as FencingToken, result: "", error: null, guards: [] }) as Change;
const granted = (session: SessionId, token: number): Reply =>
  ({ kind: "lock", granted: true, lock: { name: "l", holder: { sessionId: session, fencingToken: token } } }) as unknown as Reply;
const claimed = (token: number): Reply =>
  ({ kind: "claimed", items: [{ workId: "w-1", claim: { fencingToken: token } }] }) as unknown as Reply;
const item = (state: string): Reply =>
  ({ kind: "work", deduplicated: false, item: { workId: "w-1", state } }) as unknown as Reply;
const alias = (expected: number): Change =>
  ({
    kind: "setAlias",
    model: "m",
    alias: "canonical",
    version: 1,
    expectedAliasRevision: expected,
    reason: "",
    by: "",
    guards: [],
  }) as unknown as Change;

test("the models refuse a lock that is granted away under a session that certainly lives", () => {
  assert.deepEqual(judged([own(a, 1, acquire), granted(a, 10)], [own(b, 1, acquire), granted(b, 20)]), [
    "linearizability-search",
  ]);
});

test("the models accept the same grant when the first session may have ended", () => {
  const short = judgedWith(
    (search) => search.leased(a, 1),
    [own(a, 1, acquire), granted(a, 10)],
    [own(b, 1, acquire), granted(b, 20)],
  );
  assert.deepEqual(short, []);
});

test("the models refuse a lock token that goes backwards", () => {
  const release: Change = { kind: "releaseLock", name: "l", fencingToken: 20 as FencingToken };
  const free = { kind: "lock", granted: false, lock: { name: "l", holder: null } } as unknown as Reply;
  assert.deepEqual(
    judged([own(a, 1, acquire), granted(a, 20)], [own(a, 2, release), free], [own(b, 1, acquire), granted(b, 11)]),
    ["linearizability-search"],
  );
});

test("the models refuse an item that is completed under a token that was fenced, or handed out after its success", () => {
  const start = [own(a, 1, claim), claimed(10)] as const;
  const fenced = [own(a, 2, use("startWork", 10)), refusal("FENCED", "")] as const;
  const success = [own(a, 3, use("completeWork", 10)), item("SUCCEEDED")] as const;
  assert.deepEqual(judged(start, success), []);
  assert.deepEqual(judged(start, fenced, success), ["linearizability-search"]);
  assert.deepEqual(judged(start, success, [own(b, 1, claim), claimed(20)]), ["linearizability-search"]);
});

test("the models refuse an alias that two clients move from the same revision", () => {
  const model = { kind: "model" } as unknown as Reply;
  assert.deepEqual(judged([own(a, 1, alias(0)), model], [own(b, 1, alias(2)), model]), []);
  assert.deepEqual(judged([own(a, 1, alias(0)), model], [own(b, 1, alias(0)), model]), ["linearizability-search"]);
});

type Told = readonly [Command, Reply | Refusal];

/** One after the other, the revision of each being twice its place. */
function judged(...told: readonly Told[]): readonly string[] {
  return judgedWith((search) => search.leased(a, 1_000), ...told);
}

function judgedWith(prepare: (search: LinearizabilitySearch) => void, ...told: readonly Told[]): readonly string[] {
  const complaints = new Complaints();
  const view = { nowMs: 0 };
  const search = new LinearizabilitySearch(view, complaints.report);
  const history = new History();
  prepare(search);
  for (const [at, [command, reply]] of told.entries()) {
    view.nowMs = 10 * at;
    const operation = history.call(view.nowMs, command);
    search.invoked(operation);
    const outcome: Decision["outcome"] = "reason" in reply ? { ok: false, refusal: reply } : { ok: true, value: reply };
    search.returned(
      history.answer(operation, view.nowMs + 1, { outcome, revision: (2 * (at + 1)) as Revision, clusterTimeMs: 0 as never }),
    );
  }
  search.ended();
  return complaints.seen;
}
