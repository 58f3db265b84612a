import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkSwimOptions,
  explainSwim,
  profileHashOf,
  type SwimOptions,
  swimKnobs,
  swimProfiles,
  withoutLifeguard,
} from "#membership/core";

const { mesh } = swimProfiles;
/** The period of which the published tables speak. */
const oneSecond: SwimOptions = { ...mesh, periodMs: 1_000, probeTimeoutMs: 500 };

test("every profile keeps every rule, and so does each without Lifeguard", () => {
  for (const [name, options] of Object.entries(swimProfiles)) {
    assert.deepEqual(checkSwimOptions(options), [], name);
    assert.deepEqual(checkSwimOptions(withoutLifeguard(options)), [], name);
  }
});

test("ADR-013's sample waits longer for a ping than its period lasts: refused with both names and both numbers", () => {
  const names: Partial<Record<keyof SwimOptions, string>> = { periodMs: "gossip_interval_ms", probeTimeoutMs: "ping_timeout_ms" };
  const sample = { ...mesh, periodMs: 500, probeTimeoutMs: 1_000 };
  const [broken, ...others] = checkSwimOptions(sample, (field) => names[field] ?? field);
  assert.deepEqual(others, []);
  assert.deepEqual([broken?.field, broken?.other], ["probeTimeoutMs", "periodMs"]);
  assert.equal(broken?.message, "ping_timeout_ms 1 s must be at most half of gossip_interval_ms 500 ms");
});

test("each rule is refused by itself, with the two numbers that break it", () => {
  const broken = (change: Partial<SwimOptions>) => checkSwimOptions({ ...mesh, ...change }).map(({ message }) => message);
  assert.deepEqual(broken({ probeTimeoutMs: 375 }), []);
  assert.deepEqual(broken({ probeTimeoutMs: 376 }), ["probe_timeout 376 ms must be at most half of period 750 ms"]);
  assert.deepEqual(broken({ probeTimeoutFloorMs: 351 }), ["probe_timeout_floor 351 ms must be at most probe_timeout 350 ms"]);
  assert.deepEqual(broken({ verdictSlackMs: 151 }), ["verdict_slack 151 ms must be at most probe_timeout_floor 150 ms"]);
  assert.deepEqual(broken({ gossipIntervalMs: 751 }), ["gossip_interval 751 ms must be at most period 750 ms"]);
  assert.deepEqual(broken({ repairIntervalMs: 30_001 }), ["repair_interval 30.001 s must be at most push_pull_interval 30 s"]);
  assert.deepEqual(broken({ streamTimeoutMs: 31_000 }), ["stream_timeout 31 s must be at most push_pull_interval 30 s"]);
  assert.deepEqual(broken({ joinBackoffMaxMs: 1_000, joinBackoffMinMs: 1_001 }), [
    "join_backoff_min 1.001 s must be at most join_backoff_max 1 s",
  ]);
  assert.deepEqual(broken({ reconnectMinMs: 901_000 }), ["reconnect_min 901 s must be at most reconnect_max 900 s"]);
  assert.deepEqual(broken({ tombstoneMs: 600_000 }), ["reconnect_max 900 s must be at most tombstone 600 s"]);
  assert.deepEqual(broken({ leaveTimeoutMs: 199 }), ["gossip_interval 200 ms must be at most leave_timeout 199 ms"]);
  assert.deepEqual(broken({ sourceBurst: 199 }), ["source_packets_per_second 200 must be at most source_burst 199"]);
});

test("a number outside its safe range, a fraction of a millisecond and not-a-number are refused before any relation", () => {
  const broken = (change: Partial<SwimOptions>) => checkSwimOptions({ ...mesh, ...change }).map(({ message }) => message);
  assert.deepEqual(broken({ datagramBytes: 1_401, periodMs: 20 }), [
    "period 20 ms must be a whole number from 50 ms to 60 s",
    "datagram_size 1401 bytes must be a whole number from 576 bytes to 1400 bytes",
  ]);
  // A stop of the process would cut a longer goodbye short without a word.
  assert.deepEqual(broken({ leaveTimeoutMs: 8_001 }), ["leave_timeout 8.001 s must be a whole number from 100 ms to 8 s"]);
  assert.deepEqual(broken({ nackShare: 1 }), ["nack_share 1 must be from 0.1 to 0.95"]);
  assert.deepEqual(broken({ probeTimeoutMs: 200.5 }), ["probe_timeout 200.5 ms must be a whole number from 10 ms to 30 s"]);
  assert.equal(broken({ suspicionMultiplier: Number.NaN }).length, 1);
});

test("every knob has one key of its own", () => {
  const keys = Object.values(swimKnobs).map(({ key }) => key);
  assert.equal(new Set(keys).size, keys.length);
});

test("the figures agree with a Monte Carlo of the protocol within a tenth", () => {
  const near = (actual: number, expected: number): void =>
    assert.ok(Math.abs(actual - expected) <= expected / 10, `${actual} is not near ${expected}`);
  const at36 = explainSwim(oneSecond, 36);
  assert.deepEqual([at36.suspicionMinMs, at36.suspicionMaxMs, at36.retransmitLimit], [6_225, 37_350, 8]);
  near(at36.firstSuspicion.p50Ms, 1_670);
  near(at36.firstSuspicion.p99Ms, 5_800);
  near(at36.deadEverywhere.p50Ms, 8_180);
  near(at36.deadEverywhere.p99Ms, 12_200);
  near(explainSwim(oneSecond, 1_000).deadEverywhere.p50Ms, 14_300);
  near(explainSwim(mesh, 36).deadEverywhere.p50Ms, 6_200);
  near(explainSwim(mesh, 36).deadEverywhere.p99Ms, 9_300);
  near(explainSwim({ ...oneSecond, suspicionMultiplier: 3 }, 36).deadEverywhere.p50Ms, 6_600);
});

test("false suspicions under loss: with the stream, and with relays alone", () => {
  const perHour = (options: SwimOptions) => explainSwim(options, 36).loss.map(({ suspicionsPerHour }) => suspicionsPerHour);
  const rounded = (values: readonly number[]) => values.map((value) => Number(value.toPrecision(2)));
  assert.deepEqual(rounded(perHour(oneSecond)), [0.0062, 1.3, 15]);
  assert.deepEqual(rounded(perHour({ ...oneSecond, streamProbe: false })), [0.16, 12, 81]);
  assert.deepEqual(rounded(perHour({ ...oneSecond, streamProbe: false, indirectProbes: 0 })), [2_600, 7_700, 13_000]);
});

test("mesh holds its packet budget: 160 a minute when nothing is lost, under 240 at 3 %", () => {
  const figures = explainSwim(mesh, 36);
  assert.equal(figures.idlePacketsPerMinute, 160);
  assert.ok(figures.loss[1]!.packetsPerMinute <= 240);
  assert.deepEqual([figures.burstPacketsPerSecond, figures.burstBytesPerSecond], [15, 18_000]);
});

test("the exchange's interval is fixed up to 100 members and grows with every doubling beyond", () => {
  const interval = (members: number) => explainSwim(mesh, members).pushPullIntervalMs;
  assert.deepEqual([36, 100, 101, 200, 201, 1_000].map(interval), [30_000, 30_000, 60_000, 60_000, 90_000, 150_000]);
});

test("two and three members: nobody can confirm, so every suspicion is of the shortest kind", () => {
  assert.deepEqual(
    [2, 3, 4].map((members) => explainSwim(mesh, members).confirmations),
    [0, 0, 2],
  );
  assert.equal(explainSwim(mesh, 2).worstOwnProbeMs, 750);
});

test("I11: members with another suspicion multiplier have another profile hash; bounds of one's own change nothing", () => {
  assert.equal(profileHashOf(mesh), profileHashOf({ ...mesh, sourceBurst: 999, keepaliveMs: 10_000 }));
  assert.notEqual(profileHashOf(mesh), profileHashOf({ ...mesh, suspicionMultiplier: 6 }));
  assert.equal(new Set(Object.values(swimProfiles).map(profileHashOf)).size, 4);
});
