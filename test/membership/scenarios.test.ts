import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { runBatch } from "../../src/sim/swim/batch.ts";
import { realCore } from "../../src/sim/swim/real-core.ts";
import { runSwim } from "../../src/sim/swim/run.ts";
import { parseSwimScenario, type ScriptOverrides } from "../../src/sim/swim/scenario/parse.ts";
import type { Setting } from "../../src/sim/swim/scenario/script.ts";
import { SINGLE_CRASH } from "../../src/sim/swim/single-crash.ts";
import type { Judgement } from "../../src/sim/swim/verdict.ts";

// The real core on the simulated network. `npm run sim:swim -- --scenario FILE --seeds 200` is the long form of each.
const folder = new URL("scenarios/", import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith(".swim"));
const SLOW = /^# slow: /m;

for (const file of files) {
  const text = readFileSync(new URL(file, folder), "utf8");
  const { sentence, source } = parseSwimScenario(text);
  test(`${sentence} (${source})`, { skip: SLOW.test(text) && "slow: run by npm run sim:swim" }, () => {
    assert.deepEqual(failures(text, [1]), []);
  });
}

test("a single crash with the numbers of the mesh profile is known within 10 s", () => {
  assert.deepEqual(failures(SINGLE_CRASH, [1, 2, 3]), []);
});

test("a run is a function of its seed: the same packets and reports twice, others from another seed", () => {
  const [script] = parseSwimScenario(SINGLE_CRASH).rows;
  const fingerprint = (seed: number, seal = false): string =>
    runSwim(script!, seed, { launch: realCore(seal), onLine: null }).fingerprint;
  assert.equal(fingerprint(5), fingerprint(5));
  assert.notEqual(fingerprint(5), fingerprint(6));
  // The checksum that stands for the cipher changes nothing else: sizes, moments and verdicts are those of AES-GCM.
  assert.equal(fingerprint(5, true), fingerprint(5));
});

test("members that start warm have long been together, and take a crash and a newcomer as those that joined", () => {
  const text = `holds: x
source: y
nodes 36
start warm
settle 5s
at 0s restart random 1 down 30s losing state
run 60s
expect undetected = 0
expect known-everywhere max <= 15s
expect false-deaths = 0
expect not-rejoined = 0
expect not-converged = 0
expect comings = 0 from 0s to 29s
`;
  assert.deepEqual(failures(text, [1, 2, 3]), []);
});

test("the scenarios have teeth: without streams and relays, members without datagrams are declared dead", () => {
  const text = readFileSync(new URL("without-udp-a-member-lives-by-streams.swim", folder), "utf8").replace("run 12m", "run 2m");
  const found = failures(text, [1], [off("stream_probe"), { ...off("relays"), value: 0 }]);
  assert.ok(found.some(({ expected }) => expected === "expect deaths-of-running = 0"));
});

test("the scenarios have teeth: without Lifeguard, a few blocked members take many others with them", () => {
  const arm = (settings: readonly Setting[]): number => {
    const [script] = parseSwimScenario(BLOCKED, { nodes: null, profile: null, settings }).rows;
    return runBatch(script!, { seeds: [1], launch: realCore(false), onLine: null }).metrics["false-deaths"]!.total;
  };
  const without = arm([{ ...off("suspicion_confirmations"), value: 0 }, { ...off("awareness_max"), value: 0 }, off("buddy")]);
  const withIt = arm([]);
  assert.ok(without >= 20, `only ${without} false deaths without Lifeguard: this scenario shows nothing`);
  assert.ok(withIt * 10 <= without, `${withIt} false deaths with Lifeguard, ${without} without`);
});

const BLOCKED = `holds: Lifeguard keeps the healthy alive.
source: the Lifeguard paper's interval experiment, small
nodes 36
set period 1s
set probe_timeout 500ms
delay uniform 1ms 2ms
settle 10s
group sick random 4
at 0s every 17.424s block sick for 16.4s
run 70s
expect false-deaths >= 0
`;

function failures(text: string, seeds: readonly number[], settings: readonly Setting[] = []): readonly Judgement[] {
  const overrides: ScriptOverrides = { nodes: null, profile: null, settings };
  return parseSwimScenario(text, overrides).rows.flatMap(
    (row) => runBatch(row, { seeds, launch: realCore(false), onLine: null }).failures,
  );
}

function off(option: string): Setting {
  return { line: 1, option, value: false, of: [{ kind: "all" }] };
}
