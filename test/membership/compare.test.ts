import assert from "node:assert/strict";
import { test } from "node:test";
import { Comparison, type Opinion, type Statement, statementOfHttp } from "#membership/core";
import { MonotonicMs, NodeId } from "#kernel";

const at = MonotonicMs;
const b = NodeId("b");
const says = (opinion: Opinion, id = b, boot: string | null = null): Statement => ({ id, opinion, boot });

test("a crash that both find: each one's time from the last sign of life, and SWIM's lead", () => {
  const comparison = observed();
  comparison.heard(at(1_000), b, "1");
  comparison.report(at(7_000), "swim", says("dead"));
  comparison.report(at(61_000), "http", says("dead"));
  const { swim, http, foundByBoth, swimLeadMs } = comparison.view(at(70_000));
  assert.deepEqual([swim.detection?.p50Ms, http.detection?.p50Ms, foundByBoth, swimLeadMs], [6_000, 60_000, 1, 54_000]);
  assert.deepEqual([swim.falseDeaths, http.falseDeaths], [0, 0]);
});

test("a member heard again in the same boot was never dead: the verdict is false and its time no detection", () => {
  const comparison = observed();
  comparison.heard(at(1_000), b, "1");
  comparison.report(at(7_000), "swim", says("dead"));
  comparison.heard(at(9_000), b, "1");
  comparison.report(at(9_000), "swim", says("alive"));
  const { swim, http } = comparison.view(at(10_000));
  assert.deepEqual([swim.deaths, swim.falseDeaths, swim.detection], [1, 1, null]);
  assert.deepEqual([http.deaths, http.falseDeaths], [0, 0]);
});

test("heard in another boot it had died; with no boot told the verdict stays unclear", () => {
  const comparison = observed();
  comparison.heard(at(1_000), b, "1");
  comparison.report(at(7_000), "swim", says("dead"));
  comparison.heard(at(9_000), b, "2");
  comparison.report(at(9_000), "swim", says("alive"));
  comparison.report(at(20_000), "swim", says("dead"));
  comparison.heard(at(30_000), b, null);
  const { swim } = comparison.view(at(40_000));
  assert.deepEqual([swim.deaths, swim.falseDeaths, swim.unclearDeaths], [2, 0, 1]);
  assert.deepEqual(swim.detection, { samples: 1, p50Ms: 6_000, p99Ms: 6_000 });
});

test("whom neither detector knows any more is forgotten; what was found about it stands", () => {
  const comparison = observed();
  comparison.heard(at(1_000), b, "1");
  comparison.report(at(7_000), "swim", says("dead"));
  comparison.report(at(61_000), "http", says("dead"));
  const before = comparison.view(at(70_000));
  comparison.retain(at(70_000), new Set([b]));
  assert.deepEqual(comparison.view(at(70_000)), before);
  comparison.retain(at(70_000), new Set());
  assert.deepEqual(comparison.view(at(70_000)), before);
  comparison.report(at(80_000), "swim", says("alive"));
  assert.equal(comparison.view(at(80_000)).swim.falseDeaths, 0, "a member of that name is another one");
});

test("a disagreement about somebody who is forgotten is over", () => {
  const comparison = observed();
  comparison.report(at(7_000), "swim", says("dead"));
  comparison.retain(at(10_000), new Set());
  const { open, disagreements, disagreedMs } = comparison.view(at(20_000));
  assert.deepEqual([open, disagreements, disagreedMs], [[], 1, 3_000]);
});

test("a refutation that came by gossip judges the verdict as well", () => {
  const comparison = observed();
  comparison.heard(at(1_000), b, "1");
  comparison.report(at(7_000), "swim", says("dead"));
  comparison.report(at(8_000), "swim", says("alive", b, "1"));
  assert.equal(comparison.view(at(9_000)).swim.falseDeaths, 1);
});

test("they disagree while exactly one holds a member dead; a suspicion alone is no disagreement", () => {
  const comparison = observed();
  comparison.report(at(1_000), "swim", says("suspect"));
  assert.equal(comparison.view(at(2_000)).disagreements, 0);
  comparison.report(at(2_000), "swim", says("dead"));
  const during = comparison.view(at(5_000));
  assert.deepEqual(during.open, [{ id: b, swim: "dead", http: "alive", since: 2_000 }]);
  assert.equal(during.disagreedMs, 3_000);
  comparison.report(at(12_000), "http", says("dead"));
  const after = comparison.view(at(50_000));
  assert.deepEqual([after.disagreements, after.disagreedMs, after.open], [1, 10_000, []]);
  assert.deepEqual([after.swim.suspicions, after.http.suspicions], [1, 0]);
});

test("who left is no death, and a peer that was never heard gives no time", () => {
  const comparison = new Comparison(at(0));
  comparison.report(at(60_000), "http", says("dead", NodeId("never")));
  comparison.report(at(60_000), "swim", says("alive"));
  comparison.report(at(61_000), "swim", says("gone"));
  const { http, swim } = comparison.view(at(62_000));
  assert.deepEqual([http.deaths, http.detection, swim.deaths], [1, null, 0]);
});

test("messages are shown as each detector counts them", () => {
  const comparison = observed();
  comparison.countMessages("swim", 160);
  comparison.countMessages("http", 140);
  const { swim, http } = comparison.view(at(60_000));
  assert.deepEqual([swim.messages, http.messages], [160, 140]);
});

test("an event of the polling detector is read as an opinion, or as none", () => {
  assert.deepEqual(statementOfHttp({ kind: "recovered", id: b, restarted: true }), { id: b, opinion: "alive", boot: null });
  assert.equal(statementOfHttp({ kind: "restarted", id: b }), null);
});

function observed(): Comparison {
  const comparison = new Comparison(at(0));
  for (const detector of ["swim", "http"] as const) comparison.report(at(0), detector, says("alive"));
  return comparison;
}
