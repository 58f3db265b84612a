import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkHttpPollOptions,
  createHttpPoll,
  explainHttpPoll,
  type HttpPollCore,
  type HttpPollOptions,
  httpPollProfiles,
  type Peer,
  type Poll,
  type PollFailure,
  type PollResult,
} from "#membership/core";
import { MonotonicMs, NodeId, seededRandom } from "#kernel";

const { failover, connectivity } = httpPollProfiles;
const B: Peer = { id: NodeId("b"), addresses: ["http://192.0.2.2:8770"] };
const C: Peer = { id: NodeId("c"), addresses: ["http://192.0.2.3:8770", "http://100.64.0.3:8770"] };

test("the failover runbook: a peer that falls silent is dead 60 s after its last answer, with the poll that finds it so", () => {
  const world = watch([B], failover);
  world.run(40_000);
  const lastAnswer = world.heardAt("b");
  world.silence("b");
  world.run(120_000);
  assert.deepEqual(world.events, [
    "joined b",
    `suspected b at ${lastAnswer + 15_000 + 5_000}`,
    `died b at ${lastAnswer + 60_000 + 5_000}`,
  ]);
});

test("a peer that refuses connections is dead with the fourth refusal, however fast it refuses", () => {
  const world = watch([B], failover);
  world.run(40_000);
  const lastAnswer = world.heardAt("b");
  world.fail("b", "refused");
  world.run(120_000);
  assert.equal(world.events.at(-1), `died b at ${lastAnswer + 60_000 + 1}`);
});

test("the connectivity runbook: three polls missed, 5 s apart, and the first recovery probe after about 10 s", () => {
  const world = watch([B], connectivity);
  world.run(20_000);
  const lastAnswer = world.heardAt("b");
  world.silence("b");
  const asked = world.run(40_000).length;
  const died = lastAnswer + 15_000 + 3_000;
  assert.deepEqual(world.events.slice(1), [`suspected b at ${lastAnswer + 8_000}`, `died b at ${died}`]);
  assert.ok(asked <= 5, `${asked} polls`);
  const [first] = world.polls.filter(({ at }) => at > died);
  assert.ok(first!.at >= died + 10_000 && first!.at <= died + 12_500, `${first!.at - died} ms after the death`);
});

test("one missed poll is a suspicion that the next answer clears", () => {
  const world = watch([B], failover);
  world.run(20_000);
  world.silence("b");
  world.run(16_000);
  world.restore("b");
  world.run(30_000);
  assert.deepEqual(
    world.events.map((event) => event.split(" at ")[0]),
    ["joined b", "suspected b", "refuted b"],
  );
});

test("a dead peer is asked ever more rarely, up to the longest pause, and recovers with the first answer", () => {
  const world = watch([B], failover);
  world.run(20_000);
  world.silence("b");
  world.run(3_600_000);
  const pauses = world.polls.slice(-4).map(({ at }, i, all) => (i === 0 ? 0 : at - all[i - 1]!.at));
  for (const pause of pauses.slice(1)) assert.ok(pause >= 300_000 && pause <= 380_000, `${pause}`);
  assert.ok(world.polls.length < 30, `${world.polls.length} polls of a peer that was gone for an hour`);
  world.restore("b", "boot 2");
  world.run(400_000);
  assert.equal(world.events.at(-1), "recovered b, restarted");
  const before = world.polls.length;
  world.run(60_000);
  assert.equal(world.polls.length - before, 4, "back at the pace of the living");
});

test("a dead peer that calls itself is asked at once instead of after its pause", () => {
  const world = watch([B], failover);
  world.run(20_000);
  world.silence("b");
  world.run(3_600_000);
  world.restore("b");
  world.core.handleContact(world.now, NodeId("b"));
  world.run(1_000);
  assert.equal(world.events.at(-1), "recovered b");
});

test("a poller that stood still for ten minutes declares nobody dead, even if its first poll fails, and does not catch up", () => {
  const world = watch([B, C], failover);
  world.run(40_000);
  world.now = MonotonicMs(world.now + 600_000);
  world.silence("b");
  assert.ok(world.run(16_000).length <= 4, "the polls that it missed are not made up for");
  world.restore("b");
  world.run(60_000);
  assert.deepEqual(
    world.events.filter((event) => !event.startsWith("joined")).map((event) => event.split(" at ")[0]),
    ["suspected b", "refuted b"],
  );
});

test("failed polls alone are no death before the peer timeout, however few of them are asked for", () => {
  const world = watch([B], { ...failover, failures: 1 });
  world.run(40_000);
  const lastAnswer = world.heardAt("b");
  world.fail("b", "refused");
  world.run(120_000);
  assert.equal(world.events.at(-1), `died b at ${lastAnswer + 60_000 + 1}`);
});

test("a poll whose end the driver never tells is given up, so that the peer is asked again", () => {
  const core = createHttpPoll(connectivity, () => 0);
  core.setPeers(MonotonicMs(0), [B]);
  core.handleTimeout(MonotonicMs(0));
  const [lost] = core.takePolls();
  assert.equal(core.nextDeadline, 6_000);
  core.handleTimeout(MonotonicMs(6_000));
  assert.equal(core.view(MonotonicMs(6_000)).failed.lost, 1);
  assert.equal(core.takePolls().length, 1);
  core.handleResult(MonotonicMs(6_001), lost!.poll, { kind: "answered", nodeId: B.id, boot: null });
  assert.equal(core.view(MonotonicMs(6_001)).answered, 0, "a late answer to it is nobody's");
});

test("the next address is tried after a failure, and the one that answers is kept and told", () => {
  const world = watch([C], connectivity);
  world.run(12_000);
  world.silence("http://192.0.2.3:8770");
  world.run(30_000);
  assert.deepEqual(
    world.events.map((event) => event.split(" at ")[0]),
    ["joined c", "suspected c", "refuted c", "address-changed c to http://100.64.0.3:8770"],
  );
});

test("an answer of another node is no sign of life of the one that was asked", () => {
  const world = watch([B], connectivity);
  world.answerAs("b", "2d9de0d97a72");
  world.run(60_000);
  assert.ok(world.events.includes("wrong-node b: 2d9de0d97a72"));
  assert.equal(world.core.view(world.now).peers[0]?.state, "dead");
  assert.ok(world.core.view(world.now).failed["wrong-node"] >= 3);
});

test("I4: an answer that is no JSON is a failed poll with its reason, not an exception", () => {
  const world = watch([B], connectivity);
  world.run(20_000);
  world.fail("b", "not-json");
  world.run(10_000);
  assert.match(world.events.at(-1) ?? "", /^suspected b/);
  assert.ok(world.core.view(world.now).failed["not-json"] > 0);
});

test("a restart that no poll missed is told by the boot", () => {
  const world = watch([B], failover);
  world.run(20_000);
  world.restore("b", "boot 2");
  world.run(20_000);
  assert.deepEqual(world.events, ["joined b", "restarted b"]);
});

test("peers that stay keep their state when the list is replaced; those that go are told", () => {
  const world = watch([B, C], failover);
  world.run(20_000);
  world.core.setPeers(world.now, [B]);
  world.run(20_000);
  assert.equal(world.events.at(-1), "removed c");
  assert.deepEqual(
    world.core.view(world.now).peers.map(({ id, state }) => `${id} ${state}`),
    ["b alive"],
  );
});

test("nodes that start together spread their polls over the interval", () => {
  const peers = Array.from({ length: 35 }, (_, i): Peer => ({ id: NodeId(`n${i}`), addresses: [`http://n${i}`] }));
  const world = watch(peers, failover);
  world.run(15_000);
  const perSecond = Map.groupBy(world.polls, ({ at }) => Math.floor(at / 1_000));
  assert.equal(world.polls.length, 35);
  assert.ok([...perSecond.values()].every((polls) => polls.length <= 9));
});

test("36 nodes at the runbook's pace make 5,040 requests a minute and need 45 to 65 s", () => {
  const { clusterRequestsPerMinute, detectionMinMs, detectionMaxMs } = explainHttpPoll(failover, 36);
  assert.deepEqual([clusterRequestsPerMinute, detectionMinMs, detectionMaxMs], [5_040, 45_000, 65_000]);
});

test("a poll that may last longer than the interval, and the other contradictions, are refused with both numbers", () => {
  const broken = (change: Partial<HttpPollOptions>) =>
    checkHttpPollOptions({ ...failover, ...change }).map(({ message }) => message);
  assert.deepEqual(
    Object.values(httpPollProfiles).flatMap((options) => checkHttpPollOptions(options)),
    [],
  );
  assert.deepEqual(broken({ requestTimeoutMs: 15_000 }), ["request_timeout 15 s must be below interval 15 s"]);
  assert.deepEqual(broken({ peerTimeoutMs: 14_000 }), ["interval 15 s must be at most peer_timeout 14 s"]);
  assert.deepEqual(broken({ recoveryMinMs: 1_000 }), ["interval 15 s must be at most recovery_min 1 s"]);
  assert.deepEqual(broken({ recoveryMaxMs: 14_000 }), ["recovery_min 15 s must be at most recovery_max 14 s"]);
  assert.deepEqual(broken({ failures: 0 }), ["failures 0 must be a whole number from 1 to 100"]);
});

/** Peers that answer 20 ms after they are asked, or let the request time out, on simulated time. */
function watch(peers: readonly Peer[], options: HttpPollOptions) {
  const core: HttpPollCore = createHttpPoll(options, seededRandom(7));
  core.setPeers(MonotonicMs(0), peers);
  const silent = new Set<string>();
  const failing = new Map<string, PollResult>();
  const boots = new Map<string, string>();
  const names = new Map<string, string>();
  const due: { readonly at: number; readonly poll: Poll; readonly result: PollResult }[] = [];
  const world = {
    core,
    now: MonotonicMs(0),
    events: [] as string[],
    polls: [] as { readonly at: number; readonly poll: Poll }[],
    silence: (peerOrAddress: string) => silent.add(peerOrAddress),
    restore: (peer: string, boot = "boot 1") => (silent.delete(peer), boots.set(peer, boot)),
    answerAs: (peer: string, name: string) => names.set(peer, name),
    fail: (peer: string, why: PollFailure) => failing.set(peer, { kind: "failed", why }),
    heardAt: (peer: string) => core.view(world.now).peers.find(({ id }) => id === peer)!.heardAt! - 20,
    /** Lets `ms` pass and returns the polls made meanwhile. */
    run(ms: number) {
      const end = world.now + ms;
      const before = world.polls.length;
      for (;;) {
        const answer = due.toSorted((a, b) => a.at - b.at)[0];
        const next = Math.min(core.nextDeadline ?? Infinity, answer?.at ?? Infinity);
        if (next > end) break;
        world.now = MonotonicMs(Math.max(world.now, next));
        // As a driver does after a stall: what has arrived is read before time is told.
        if (answer !== undefined && answer.at <= world.now) {
          due.splice(due.indexOf(answer), 1);
          core.handleResult(world.now, answer.poll.poll, answer.result);
        } else core.handleTimeout(world.now);
        for (const poll of core.takePolls()) {
          world.polls.push({ at: world.now, poll });
          const lost = silent.has(poll.peer) || silent.has(poll.address);
          const result: PollResult = lost
            ? { kind: "failed", why: "timeout" }
            : (failing.get(poll.peer) ?? {
                kind: "answered",
                nodeId: NodeId(names.get(poll.peer) ?? poll.peer),
                boot: boots.get(poll.peer) ?? "boot 1",
              });
          due.push({ at: world.now + (lost ? poll.timeoutMs : result.kind === "failed" ? 1 : 20), poll, result });
        }
        for (const event of core.takeEvents()) world.events.push(show(event, world.now));
      }
      world.now = MonotonicMs(end);
      return world.polls.slice(before);
    },
  };
  return world;
}

function show(event: ReturnType<HttpPollCore["takeEvents"]>[number], now: number): string {
  switch (event.kind) {
    case "suspected":
    case "died":
      return `${event.kind} ${event.id} at ${now}`;
    case "recovered":
      return `recovered ${event.id}${event.restarted ? ", restarted" : ""}`;
    case "address-changed":
      return `address-changed ${event.id} to ${event.now}`;
    case "wrong-node":
      return `wrong-node ${event.id}: ${event.answered}`;
    default:
      return `${event.kind} ${event.id}`;
  }
}
