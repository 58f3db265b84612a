import assert from "node:assert/strict";
import { test } from "node:test";
import { completeWorkSpec } from "#codec";
import type { Revision } from "#kernel";
import type { WatchOutput, WatchSpec } from "#replica";
import { WatchChecker } from "../../../src/sim/checkers/watch.ts";
import type { WatchStream } from "../../../src/sim/observer.ts";
import { Complaints, Log, n1, n2, plain } from "./history.ts";

test("watch accepts every change once, in order, and a resumption at another node", () => {
  const { checker, complaints, change, bookmark } = begin(5);
  const first = stream(n1, 2);
  checker.watching(first);
  checker.watched(first, change(2));
  checker.watched(first, change(3));
  const second = stream(n2, 4);
  checker.watching(second);
  checker.watched(second, change(4));
  checker.watched(second, change(5));
  checker.watched(second, bookmark(5));
  assert.deepEqual(complaints.problems, []);
});

test("watch refuses a change that is skipped, also where only a bookmark tells", () => {
  const { checker, complaints, change, bookmark } = begin(5);
  const skipped = stream(n1, 2);
  checker.watching(skipped);
  checker.watched(skipped, change(3));
  const promised = stream(n1, 2, 2);
  checker.watching(promised);
  checker.watched(promised, bookmark(5));
  assert.deepEqual(complaints.seen, ["watch", "watch"]);
});

test("watch refuses a change that is shown twice, or out of order", () => {
  const { checker, complaints, change } = begin(5);
  const twice = stream(n1, 2);
  checker.watching(twice);
  checker.watched(twice, change(2));
  checker.watched(twice, change(2));
  const shuffled = stream(n1, 2, 2);
  checker.watching(shuffled);
  checker.watched(shuffled, change(2));
  checker.watched(shuffled, change(3));
  checker.watched(shuffled, change(2));
  assert.deepEqual(complaints.seen, ["watch", "watch"]);
});

test("watch refuses half a revision, and one that is not committed", () => {
  const { checker, complaints, change } = begin(5);
  const half = stream(n1, 3);
  checker.watching(half);
  checker.watched(half, { ...change(3), events: change(4).events });
  const ahead = stream(n1, 5, 2);
  checker.watching(ahead);
  checker.watched(ahead, { ...change(5), revision: 6 as Revision });
  assert.deepEqual(complaints.seen, ["watch", "watch"]);
});

test("watch refuses a snapshot that lacks an object or shows another state, and accepts the whole one", () => {
  const { checker, complaints, log } = begin(3);
  const objects = [...log.replay.reader.objects(["work"], "")];
  const show = (watch: number, snapshot: WatchOutput["snapshot"]): void => {
    const asked: WatchStream = { watch, node: n1, spec: { ...spec(0), snapshot: true } };
    checker.watching(asked);
    checker.watched(asked, { revision: 3 as Revision, events: [], snapshot, snapshotEnd: true });
  };
  show(1, objects);
  assert.deepEqual(complaints.seen, []);
  show(2, objects.slice(1));
  show(
    3,
    objects.map((object) => ({ ...object, value: { ...object.value, version: 7 } }) as typeof object),
  );
  assert.ok(complaints.seen.length >= 2);
});

function begin(entries: number) {
  const log = new Log();
  const complaints = new Complaints();
  for (let at = 0; at < entries; at += 1) {
    log.append(plain({ kind: "enqueueWork", spec: completeWorkSpec({ kind: "test", payload: `${at}` }) }));
  }
  const change = (revision: number): WatchOutput => ({
    revision: revision as Revision,
    events: log.replay.at(revision)!.events,
    snapshot: null,
    snapshotEnd: false,
  });
  const bookmark = (revision: number): WatchOutput => ({ ...change(revision), events: [] });
  return { log, complaints, change, bookmark, checker: new WatchChecker(log.replay, complaints.report) };
}

function stream(node: typeof n1, fromRevision: number, watch = 1): WatchStream {
  return { watch, node, spec: spec(fromRevision) };
}

function spec(fromRevision: number): WatchSpec {
  return { fromRevision: fromRevision as Revision, snapshot: false, kinds: ["work"], keyPrefix: "" };
}
