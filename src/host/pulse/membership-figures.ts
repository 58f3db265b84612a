import type { MembershipLook } from "#membership";
import type { ComparisonView } from "#membership/core";
import type { DetectorFigures, MembershipFigures, SwimFigures } from "#observe";
import { countsOf, isConverged, snakeCase } from "./nodes-body.ts";

/** `events`: how many there were of each kind. */
export function figuresOf(look: MembershipLook, events: ReadonlyMap<string, number>): MembershipFigures {
  const { mode, swim, comparison, clauses } = look;
  return {
    mode,
    members: countsOf(look),
    converged: isConverged(clauses),
    events,
    swim: swim === null ? null : swimFigures(swim),
    detectors: comparison === null ? [] : [detectorOf("swim", comparison), detectorOf("http", comparison)],
    disagreements: comparison?.disagreements ?? null,
  };
}

function swimFigures({ view, counters, selfTest }: NonNullable<MembershipLook["swim"]>): SwimFigures {
  const { datagramsReceived, bytesSent, bytesReceived, probes, failedProbes, unknownMessages, rejected } = view.counters;
  return {
    boot: view.self.incarnation.epoch,
    sampled: view.sampled,
    agreeing: view.agreeing,
    healthMultiplier: view.healthMultiplier,
    partitionLost: view.partition?.length ?? 0,
    mismatched: view.mismatched,
    otherVoters: view.otherVoters,
    messagesSent: counters.messagesSent,
    datagramsReceived,
    bytesSent,
    bytesReceived,
    probes,
    failedProbes,
    unknownMessages,
    rejected,
    streamsRefused: counters.streamsRefused,
    selfTest: Object.fromEntries(
      Object.entries(snakeCase(selfTest)).map(([check, found]) => [check, found === "unknown" ? null : found === "ok"]),
    ),
  };
}

function detectorOf(detector: "swim" | "http", { [detector]: figures }: ComparisonView): DetectorFigures {
  const { deaths, falseDeaths, unclearDeaths, messages, detection } = figures;
  return { detector, deaths, falseDeaths, unclearDeaths, messages, detection };
}
