import { MonotonicMs, type NodeId } from "#kernel";
import { sendTo } from "./send.ts";
import type { SwimState } from "./state.ts";
import { closeStream, openStream } from "./streams.ts";
import type { Address, Seed } from "./types.ts";

const RECALLED_AT_ONCE = 8;
/** About half a minute. */
const ATTEMPTS_WITHOUT_SEEDS = 5;

/**
 * Asks every address of every seed at once; the first answer is enough. Seeds were once only reachable by an address that
 * some nodes had no route to, so none is waited for, and none is ever given up.
 */
export function join(state: SwimState, seeds: readonly Seed[]): void {
  state.seeds = seeds.filter((seed) => seed.id !== state.id);
  state.joinAttempt = 0;
  if (state.lifecycle === "joined" && state.order.size > 0) return;
  const strangers = state.seeds.flatMap((seed) => strange(state, seed));
  state.lifecycle = strangers.length === 0 && state.recalled.length === 0 ? "joined" : "joining";
  if (state.lifecycle === "joining") askSeeds(state, 0);
}

/** One attempt; the next one comes after a pause that doubles, with jitter. */
export function askSeeds(state: SwimState, attempt: number): void {
  if (state.lifecycle !== "joining" || attempt !== state.joinAttempt) return;
  // Whoever has no seed but itself is the first of its cluster; those it remembers may be gone, and are looked for by healing.
  if (attempt >= ATTEMPTS_WITHOUT_SEEDS && state.seeds.every((seed) => strange(state, seed).length === 0)) {
    state.lifecycle = "joined";
    return;
  }
  const { joinBackoffMinMs, joinBackoffMaxMs, streamTimeoutMs } = state.options;
  const addresses = [...state.seeds, ...someRecalled(state)].flatMap((seed) => strange(state, seed));
  const asked = new Set([...state.streams.values()].filter(({ use }) => use.kind === "push-pull").map(({ peer }) => peer));
  for (const to of new Set(addresses)) {
    if (!asked.has(to)) openStream(state, to, streamTimeoutMs, { kind: "push-pull", purpose: "join", peer: null });
  }
  const pauseMs = Math.min(joinBackoffMaxMs, joinBackoffMinMs * 2 ** attempt) * (0.5 + state.random() / 2);
  state.joinAttempt = attempt + 1;
  state.timers.set(MonotonicMs(state.now + pauseMs), { kind: "join", attempt: attempt + 1 });
}

/** By another address of ours the way to the seeds may be another one: what waits on the old one is given up. */
export function joinAnew(state: SwimState): void {
  if (state.lifecycle !== "joining") return;
  for (const { id, use } of state.streams.values()) {
    if (use.kind === "push-pull" && use.purpose === "join") closeStream(state, id);
  }
  state.joinAttempt = 0;
  askSeeds(state, 0);
}

/** A full view was exchanged with `peer`, by whoever's wish. */
export function joinedThrough(state: SwimState, peer: NodeId): void {
  state.recalled = [];
  if (state.lifecycle !== "joining" && state.lifecycle !== "alone") return;
  state.lifecycle = "joined";
  state.events.push({ kind: "join-completed", through: peer });
  // For its ack, which says at what address this node is seen.
  const record = state.members.get(peer);
  if (record !== null) sendTo(state, record, [{ kind: "ping", probe: state.newProbeNumber(), target: peer }]);
}

/** Seeds that are not among the living are asked now and then, for ever: they may stand on the other side of a cut. */
export function heal(state: SwimState): void {
  const { healIntervalMs, streamTimeoutMs } = state.options;
  state.timers.set(MonotonicMs(state.now + healIntervalMs * (0.75 + state.random() / 2)), { kind: "heal" });
  if (state.lifecycle !== "joined") return;
  const missing = [...state.seeds, ...state.recalled].filter((seed) => isMissing(state, seed));
  const seed = missing[Math.floor(state.random() * missing.length)];
  if (seed === undefined) return;
  for (const to of strange(state, seed)) {
    openStream(state, to, streamTimeoutMs, { kind: "push-pull", purpose: "heal", peer: seed.id });
  }
}

function isMissing(state: SwimState, seed: Seed): boolean {
  if (seed.id !== null) return !state.order.has(seed.id);
  const living = state.members.records().filter((record) => state.order.has(record.id));
  return !living.some((record) => record.addresses.some((address) => seed.addresses.includes(address)));
}

/** Other ones in every attempt: hundreds of streams at once would help nobody. */
function someRecalled({ recalled, random }: SwimState): readonly Seed[] {
  const from = Math.floor(random() * recalled.length);
  return [...recalled.slice(from), ...recalled.slice(0, from)].slice(0, RECALLED_AT_ONCE);
}

function strange(state: SwimState, seed: Seed): readonly Address[] {
  return seed.addresses.filter((address) => !state.members.self.addresses.includes(address));
}
