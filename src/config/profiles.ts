import type { Timing } from "./types.ts";

export type ProfileName = Timing["profile"];

interface Profile {
  readonly tickMs: number;
  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly defaultTtlMs: number;
  readonly electionGraceMs: number;
  readonly renewIntervalMs: number;
}

/**
 * One set of numbers per kind of network. The election timeout is the shortest silence after which a voter stands; each
 * voter draws its own between one and two times it, so a failover ends before about `2 × election` plus a round trip.
 *
 * - `local`: one machine. 600 ms is six missed heartbeats: a loaded two-core box does not depose a healthy leader.
 * - `lan`: one data centre.
 * - `mesh`: several providers over a mesh VPN, round trips up to a few hundred ms. The default.
 * - `legacy`: the failover runbook's numbers (heartbeat 15 s, a leader silent for 60 s is held dead).
 *
 * config/profiles/*.yaml spell the same numbers out, as a start for a profile of one's own.
 */
export const profiles: Readonly<Record<ProfileName, Profile>> = {
  local: {
    tickMs: 20,
    heartbeatMs: 100,
    electionMs: 600,
    defaultTtlMs: 15_000,
    electionGraceMs: 3_000,
    renewIntervalMs: 1_000,
  },
  lan: {
    tickMs: 25,
    heartbeatMs: 100,
    electionMs: 700,
    defaultTtlMs: 15_000,
    electionGraceMs: 3_000,
    renewIntervalMs: 1_000,
  },
  mesh: {
    tickMs: 50,
    heartbeatMs: 250,
    electionMs: 2_000,
    defaultTtlMs: 30_000,
    electionGraceMs: 10_000,
    renewIntervalMs: 2_000,
  },
  legacy: {
    tickMs: 1_000,
    heartbeatMs: 15_000,
    electionMs: 60_000,
    defaultTtlMs: 180_000,
    electionGraceMs: 120_000,
    renewIntervalMs: 15_000,
  },
};
