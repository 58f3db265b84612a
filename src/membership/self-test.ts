import type { MembershipView, SwimOptions } from "#membership/core";
import type { DriverCounters } from "./swim-driver.ts";

/** `unknown`: nobody there yet who could have answered. */
export type Finding = "ok" | "failed" | "unknown";

/** What this machine's network lets through, read off what has happened since the start. */
export interface SelfTest {
  /** Datagrams leave and their answers come back. */
  readonly udp: Finding;
  /** Datagrams of others come in. */
  readonly udpIn: Finding;
  readonly streamOut: Finding;
  readonly streamIn: Finding;
  /** The interface that carries an address of this node takes the largest datagram in one piece. */
  readonly mtu: Finding;
  /** The wall clock does not stand before a moment that this node has lived through. */
  readonly clock: Finding;
}

/** What only the host can look up, once. */
export interface MachineFacts {
  /** Of the network interface that carries an advertised address; null where unknown. */
  readonly interfaceMtu: number | null;
}

/** The longest headers: IPv6 and UDP. */
const HEADER_BYTES = 48;

export function selfTestOf(
  view: MembershipView,
  counters: DriverCounters,
  machine: MachineFacts & { readonly clockIsBehind: boolean },
  options: SwimOptions,
): SelfTest {
  const { datagramsReceived, probes, rejected } = view.counters;
  const answered = view.members.some(({ rttMs }) => rttMs !== null);
  const taken = datagramsReceived - Object.values(rejected).reduce((sum, count) => sum + count, 0);
  // Without a peer that a stream reaches, silence proves nothing.
  const reachesSomebody = counters.streamsOpened > 0 || counters.streamsAccepted > 0;
  // Nor before the first ping has had its whole period: that may be longer than people wait for the self-test.
  const silence: Finding = reachesSomebody && probes > 1 ? "failed" : "unknown";
  return {
    udp: answered ? "ok" : silence,
    udpIn: taken > 0 ? "ok" : silence,
    streamOut: counters.streamsOpened > 0 ? "ok" : counters.streamsDialled > 0 && answered ? "failed" : "unknown",
    streamIn: counters.streamsAccepted > 0 ? "ok" : "unknown",
    mtu:
      machine.interfaceMtu === null ? "unknown" : machine.interfaceMtu >= options.datagramBytes + HEADER_BYTES ? "ok" : "failed",
    clock: machine.clockIsBehind ? "failed" : "ok",
  };
}
