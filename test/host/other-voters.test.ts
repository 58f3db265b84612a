import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeId } from "#kernel";
import type { MembershipLook } from "#membership";
import { type MembershipView, votersHashOf } from "#membership/core";
import { membershipMetrics } from "#observe";
import { describeSwimEvent } from "../../src/host/pulse/event-lines.ts";
import { figuresOf } from "../../src/host/pulse/membership-figures.ts";
import { nodesBody, summaryBody } from "../../src/host/pulse/nodes-body.ts";
import { TinyNetwork } from "../membership/swim/tiny-network.ts";

const OURS = ["n0", "n1", "n2"];
const THEIRS = ["n0", "n1", "n7"];

/** What the pulse thread of n0 shows while the file on n7 lists other voters. */
function lookWithOddMember(): { readonly look: MembershipLook; readonly net: TinyNetwork } {
  const net = new TinyNetwork(1);
  for (const name of OURS) net.start(name, { voters: OURS });
  net.start("n7", { voters: THEIRS });
  net.run(10_000);
  const view: MembershipView = net.view("n0");
  const swim = { view, counters: {}, selfTest: {} } as unknown as NonNullable<MembershipLook["swim"]>;
  return { net, look: { mode: "swim", boot: "1", swim, http: null, comparison: null, clauses: [] } as unknown as MembershipLook };
}

test("GET /v1/nodes and /status name the members whose configuration lists other voters, and each member's list by its hash", () => {
  const { look } = lookWithOddMember();
  assert.deepEqual(summaryBody(look)["other_voters"], ["n7"]);
  const rows = nodesBody("n0", look)["nodes"] as readonly { readonly node_id: string; readonly voters: string }[];
  const hash = (ids: readonly string[]): string => votersHashOf(ids.map(NodeId)).toString(16).padStart(8, "0");
  assert.deepEqual(
    rows.map(({ node_id: id, voters }) => [id, voters]),
    [...OURS.map((id) => [id, hash(OURS)]), ["n7", hash(THEIRS)]],
  );
});

test("the metric has a line for each of them, and none once they agree", () => {
  const { look, net } = lookWithOddMember();
  const metrics = membershipMetrics();
  const lines = (of: MembershipLook): readonly string[] =>
    metrics
      .render(figuresOf(of, new Map()))
      .split("\n")
      .filter((line) => line.startsWith("ringrift_swim_voters_mismatch{"));
  assert.deepEqual(lines(look), ['ringrift_swim_voters_mismatch{peer="n7"} 1']);
  net.kill("n7");
  net.start("n7", { voters: OURS, epoch: 2 });
  net.run(10_000);
  assert.deepEqual(lines({ ...look, swim: { ...look.swim!, view: net.view("n0") } }), []);
});

test("the log warns, with both sides", () => {
  const { net } = lookWithOddMember();
  const [told] = net.events("voters-mismatch").filter(({ by }) => by === "n0");
  const { ours, theirs } = told!.event;
  assert.deepEqual(describeSwimEvent(told!.event), {
    level: "warn",
    message: "a member's configuration lists other voters than this node's",
    fields: { member: "n7", ours: ours.toString(16).padStart(8, "0"), theirs: theirs.toString(16).padStart(8, "0") },
  });
});
