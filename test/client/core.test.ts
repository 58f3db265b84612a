import assert from "node:assert/strict";
import { test } from "node:test";
import { type Sequence, seededRandom, surfaces, type Reason } from "#kernel";
import { onGrid, timeLeftForServer } from "../../src/client/core/deadlines.ts";
import { LeaderSearch, type SearchStep } from "../../src/client/core/leader-search.ts";
import { Lease } from "../../src/client/core/lease.ts";
import { afterLoss, afterRefusal, backoffMs, outcomeWhenGivenUp } from "../../src/client/core/retry.ts";
import { SequenceWindow } from "../../src/client/core/sequence-window.ts";

test("first_unacked moves over sequences that settled out of order", () => {
  const window = new SequenceWindow();
  const [one, two, three] = [window.take(), window.take(), window.take()];
  window.settle(three);
  window.settle(two);
  assert.equal(window.firstUnacked, 1);
  window.settle(one);
  assert.equal(window.firstUnacked, 4);
  assert.equal(window.span, 0);
});

test("settling twice, or what was never taken, changes nothing", () => {
  const window = new SequenceWindow();
  const one = window.take();
  window.settle(one);
  window.settle(one);
  window.settle(9 as Sequence);
  assert.equal(window.firstUnacked, 2);
});

test("a write without a session is never sent again once it may have arrived", () => {
  assert.deepEqual(afterLoss("once"), { kind: "tell", outcome: "unknown" });
  assert.deepEqual(afterRefusal("UNKNOWN_OUTCOME", "once", false), { kind: "tell", outcome: "unknown" });
  assert.equal(afterLoss("deduplicated").kind, "again");
  assert.equal(afterRefusal("UNKNOWN_OUTCOME", "deduplicated", false).kind, "again");
});

test("what the table calls 'never' and 'redo' is told to the caller; 'elsewhere' is tried again", () => {
  for (const [reason, { retry }] of Object.entries(surfaces)) {
    const { kind } = afterRefusal(reason as Reason, "deduplicated", false);
    if (retry === "never" || retry === "redo") assert.equal(kind, "tell", reason);
    if (retry === "elsewhere") assert.equal(kind, "again", reason);
  }
});

test("the reply table's own refusals stay definite after a lost try; the door's do not", () => {
  assert.deepEqual(afterRefusal("FENCED", "deduplicated", true), { kind: "tell", outcome: "failed" });
  assert.deepEqual(afterRefusal("SESSION_EXPIRED", "deduplicated", true), { kind: "tell", outcome: "unknown" });
  assert.deepEqual(afterRefusal("SESSION_EXPIRED", "deduplicated", false), { kind: "tell", outcome: "failed" });
  assert.equal(outcomeWhenGivenUp("repeatable", true), "failed");
});

test("back-off doubles from 25 ms to its cap, half of it jitter", () => {
  assert.deepEqual(
    [0, 1, 2, 10].map((failures) => backoffMs(failures, 1_000, () => 0)),
    [12.5, 25, 50, 500],
  );
  assert.equal(backoffMs(10, 1_000, () => 0.999_999) <= 1_000, true);
});

test("after a loss the next endpoint is tried at once, then with growing pauses of at most a second", () => {
  const search = new LeaderSearch(["a", "b", "c"], () => 0);
  search.found("a");
  const steps = Array.from({ length: 9 }, (_, i) => search.failed(["a", "b", "c"][i % 3]!));
  assert.deepEqual(
    steps.slice(0, 4).map((step) => (step.kind === "connect" ? step.endpoint : "")),
    ["b", "c", "a", "b"],
  );
  assert.equal(steps[0]?.delayMs, 0);
  assert.ok(steps.every((step, i) => i === 0 || step.delayMs >= steps[i - 1]!.delayMs));
  assert.ok(steps.every((step) => step.delayMs <= 1_000));
});

test("during an election the node is asked on, and left for another every sixth time", () => {
  const search = new LeaderSearch(["a", "b"], seededRandom(1));
  search.found("a");
  const fiveAsks = Array.from({ length: 5 }, () => "ask");
  const steps = Array.from({ length: 12 }, () => search.leaderless());
  assert.deepEqual(
    steps.map((step) => step.kind),
    [...fiveAsks, "connect", ...fiveAsks, "connect"],
  );
  assert.ok(steps.every((step) => step.delayMs <= 100));
  const soon = steps[0]!;
  assert.ok(soon.delayMs <= 5, `a hand-over is over in milliseconds, the first question is repeated after ${soon.delayMs} ms`);
});

test("a hint is followed at once; nodes that point at each other are followed ever more slowly", () => {
  const search = new LeaderSearch(["a"], () => 0.5);
  const steps = Array.from({ length: 5 }, (_, i) => search.hinted(i % 2 === 0 ? "x" : "y"));
  assert.deepEqual(
    steps.slice(0, 2).map((step) => step.delayMs),
    [0, 0],
  );
  assert.ok(steps[4]!.delayMs > 0);
});

test("a removed node that names another removed node does not keep the search from those that work", () => {
  const search = new LeaderSearch(["n1", "n2", "n3", "n4"], () => 0.25);
  let at = endpointOf(search.start());
  assert.equal(at, "n2");
  const visited = [at];
  for (let steps = 0; at !== "n4" && steps < 30; steps += 1) {
    const step: SearchStep = at === "n3" ? search.hinted("n2") : search.leaderless();
    at = step.kind === "connect" ? step.endpoint : at;
    visited.push(at);
  }
  const six = Array.from({ length: 6 }, () => "n2");
  assert.deepEqual(visited, [...six, "n3", ...six, "n4"]);
});

test("a node that calls itself the leader and fails every time is not tried for ever", () => {
  const search = new LeaderSearch(["a", "b", "c"], () => 0);
  const tried = [search.start(), search.failed("a"), search.hinted("a"), search.failed("a")].map(endpointOf);
  assert.deepEqual(tried, ["a", "b", "a", "c"]);
});

test("whatever nodes answer, every endpoint known is tried within a bounded number of steps", () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = seededRandom(seed);
    const below = (n: number): number => Math.floor(random() * n);
    const configured = Array.from({ length: 1 + below(5) }, (_, i) => `c${i}`);
    const search = new LeaderSearch(configured, random);
    // Some answers are drawn once, as those of nodes that are stuck in them; others change every time.
    const stuck = random() < 0.5;
    const anything = (): Answer => {
      const address = random() < 0.1 ? `invented${below(1_000)}` : `${random() < 0.5 ? "c" : "l"}${below(6)}`;
      return [{ kind: "failed" }, { kind: "leaderless" }, { kind: "hinted", address }, { kind: "hinted", address }][
        below(4)
      ] as Answer;
    };
    const answers = new Map<string, Answer>();
    const since = new Map<string, number>();
    let at = endpointOf(search.start());
    for (let steps = 0; steps < 1_000; steps += 1) {
      for (const endpoint of search.endpoints) since.set(endpoint, (since.get(endpoint) ?? 0) + 1);
      for (const endpoint of since.keys()) if (!search.endpoints.includes(endpoint)) since.delete(endpoint);
      since.set(at, 0);
      for (const [endpoint, count] of since) {
        assert.ok(count <= STEPS_PER_TURN_OF_ALL, `seed ${seed}: ${endpoint} was not tried for ${count} steps`);
      }
      // A member list of its own at every node, in an order of its own; always with l0, so that it stays known.
      if (random() < 0.5) search.learn(shuffled(["l0", ...Array.from({ length: below(5) }, () => `l${below(6)}`)], random));
      const answer = stuck ? (answers.get(at) ?? anything()) : anything();
      answers.set(at, answer);
      const step =
        answer.kind === "failed"
          ? search.failed(at)
          : answer.kind === "leaderless"
            ? search.leaderless()
            : search.hinted(answer.address);
      assert.ok(step.delayMs <= 1_000);
      if (step.kind === "connect") at = step.endpoint;
    }
  }
});

type Answer =
  | { readonly kind: "failed" }
  | { readonly kind: "leaderless" }
  | { readonly kind: "hinted"; readonly address: string };

/** Two rounds (who became known in the middle of one waits for the next) of at most 12 endpoints and 16 hints, 4 questions at each. */
const STEPS_PER_TURN_OF_ALL = 2 * (12 + 16) * 4;

function shuffled(names: readonly string[], random: () => number): readonly string[] {
  return names
    .map((name) => ({ name, key: random() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ name }) => name);
}

function endpointOf(step: SearchStep): string {
  assert.equal(step.kind, "connect");
  return step.kind === "connect" ? step.endpoint : "";
}

test("learned members join the configured endpoints and do not move the place in the round", () => {
  const search = new LeaderSearch(["a"], () => 0);
  search.learn(["b", "", "c"]);
  assert.deepEqual(search.endpoints, ["b", "c", "a"]);
  assert.deepEqual(search.start(), { kind: "connect", endpoint: "a", delayMs: 0 });
});

test("a lease is certain until sending time + ttl·(1−ε), then uncertain; a later renewal heals it, the end does not", () => {
  const lease = new Lease(10_000, 1_000);
  assert.equal(lease.state(9_999), "certain");
  assert.equal(lease.state(10_000), "uncertain");
  lease.renewed(5_000);
  assert.equal(lease.state(10_000), "certain");
  lease.renewed(2_000);
  assert.equal(lease.certainUntilMs, 14_000);
  lease.end();
  lease.renewed(9_000);
  assert.equal(lease.state(9_001), "ended");
});

test("deadlines share a grid, and the server is never told 0 for 'no time left'", () => {
  assert.equal(onGrid(101), 125);
  assert.equal(onGrid(125), 125);
  assert.equal(timeLeftForServer(100, 99.9), 1);
  assert.equal(timeLeftForServer(Number.POSITIVE_INFINITY, 5), 0);
});
