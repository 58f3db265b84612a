import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { setTimeout as pause } from "node:timers/promises";
import { ClientError, connect } from "#client";
import { load } from "./commit/load.ts";
import { ProcessGroup } from "./commit/processes.ts";
import { anyCapabilities, progressOf } from "./commit/ringraft.ts";
import { leaderOf, localVoters, startVoter } from "./local-voters.ts";

const TARGET_P99_MS = 2_000;

/** What a planned stop may cost: the leader hands over before it goes. */
const TARGET_P99_TERM_MS = 100;

/** How much of a caller's command is text, so that the whole has about 256 bytes. */
const PAYLOAD = "a".repeat(208);
const LOAD_SHARE = 0.5;

/** What a restarted voter needs to recover and to catch up on cores that it shares with all others: each end meets a cluster that is whole. */
const SETTLED_MS = 5_000;

/**
 * Ends the leader again and again while `callers` send at half of what they could at most, measured first; unavailability = the longest time
 * between two acknowledged writes around its end.
 */
export async function failover(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      kills: { type: "string", default: "10" },
      callers: { type: "string", default: "256" },
      voters: { type: "string", default: "5" },
      signal: { type: "string", default: "SIGKILL" },
      json: { type: "string" },
    },
  });
  const { signal } = values;
  if (signal !== "SIGKILL" && signal !== "SIGTERM") throw new Error(`--signal is SIGKILL or SIGTERM, not ${signal}`);
  const targetMs = signal === "SIGTERM" ? TARGET_P99_TERM_MS : TARGET_P99_MS;
  const group = new ProcessGroup();
  try {
    const [voters, kills, callers] = [values.voters, values.kills, values.callers].map(Number) as [number, number, number];
    const { gaps, maximum } = await measure(group, { voters, kills, callers, signal });
    gaps.sort((a, b) => a - b);
    const at = (q: number): number => Math.round(gaps[Math.min(gaps.length - 1, Math.floor(gaps.length * q))]!);
    console.log(
      `write unavailability over ${gaps.length} times ${signal}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, worst ${Math.round(gaps.at(-1)!)} ms`,
    );
    console.log(`target: under ${targetMs} ms (profile local): ${gaps.at(-1)! < targetMs ? "met" : "NOT met"}`);
    if (gaps.at(-1)! >= targetMs) process.exitCode = 1;
    if (values.json !== undefined) {
      const result = {
        signal,
        voters,
        callers,
        maximum_per_s: maximum,
        load_per_s: Math.round(maximum * LOAD_SHARE),
        gaps_ms: gaps.map(Math.round),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        target_ms: targetMs,
      };
      writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`);
    }
  } finally {
    await group.stop();
  }
}

interface Run {
  readonly voters: number;
  readonly kills: number;
  readonly callers: number;
  readonly signal: "SIGKILL" | "SIGTERM";
}

async function measure(
  group: ProcessGroup,
  { voters, kills, callers, signal }: Run,
): Promise<{ readonly gaps: number[]; readonly maximum: number }> {
  const layout = await localVoters(group, voters);
  const processes = new Map(layout.nodes.map((node) => [node.name, startVoter(group, layout, node.name)]));
  await leaderOf(layout);
  const client = connect({ endpoints: layout.endpoints, timeoutMs: 30_000 });
  const session = await client.openSession({ purpose: "benchmark", ttlMs: 60_000, capabilities: anyCapabilities });
  const commit = await progressOf(session, callers, PAYLOAD);
  const { ops_per_s: maximum } = await load({ name: "ringraft", commit, close: () => client.close() }, callers, 3);
  console.log(`${callers} callers reach ${maximum} writes per second; the load is half of that`);
  const pace = new Pace(maximum * LOAD_SHARE);
  const acknowledged: number[] = [];
  const stop = new AbortController();
  let refused = 0;
  const callersAtWork = Array.from({ length: callers }, async (_, caller) => {
    while (!stop.signal.aborted) {
      await pace.turn();
      try {
        await commit(caller);
        acknowledged.push(performance.now());
      } catch (error) {
        if (!(error instanceof ClientError)) throw error;
        refused += 1;
      }
    }
  });
  const gaps: number[] = [];
  for (let kill = 1; kill <= kills; kill += 1) {
    await pause(2_000);
    const leader = await leaderOf(layout);
    const before = acknowledged.length - 1;
    const killedAt = performance.now();
    const process = processes.get(leader)!;
    const gone = once(process, "exit");
    process.kill(signal);
    await leaderOf(layout, leader);
    const ledAt = performance.now();
    // The gap ends with the first write that the new leader acknowledged.
    while ((acknowledged.at(-1) ?? 0) <= ledAt) await pause(20);
    const gap = longestGap(acknowledged, Math.max(0, before), killedAt);
    gaps.push(gap);
    await gone;
    console.log(`${signal} ${kill}: ${leader}, writes unavailable for ${Math.round(gap)} ms`);
    processes.set(leader, startVoter(group, layout, leader));
    await pause(SETTLED_MS);
  }
  stop.abort();
  await Promise.all(callersAtWork);
  pace.end();
  console.log(`${acknowledged.length} writes acknowledged, ${refused} refused or unknown`);
  await client.close();
  return { gaps, maximum };
}

/** Lets callers go, one after the other, so that together they send `perSecond`. */
class Pace {
  readonly #waiting: (() => void)[] = [];
  readonly #timer: NodeJS.Timeout;
  #credit = 0;

  constructor(perSecond: number) {
    let lastMs = performance.now();
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      // Turns that nobody could take are gone: after a failover no burst makes up for them.
      this.#credit = Math.min(this.#credit + ((nowMs - lastMs) / 1000) * perSecond, Math.max(1, perSecond / 100));
      lastMs = nowMs;
      while (this.#credit >= 1 && this.#waiting.length > 0) {
        this.#credit -= 1;
        this.#waiting.shift()!();
      }
    }, 1);
  }

  turn(): Promise<void> {
    return new Promise((go) => this.#waiting.push(go));
  }

  end(): void {
    clearInterval(this.#timer);
  }
}

/** The longest silence that ends after the kill. */
function longestGap(acknowledged: readonly number[], from: number, killedAt: number): number {
  let longest = 0;
  for (let at = from + 1; at < acknowledged.length; at += 1) {
    if (acknowledged[at]! >= killedAt) longest = Math.max(longest, acknowledged[at]! - acknowledged[at - 1]!);
  }
  return longest;
}
