import { Registry } from "./registry.ts";

/** What membership shows to Prometheus. */
export interface MembershipFigures {
  readonly mode: string;
  readonly members: Readonly<Record<string, number>>;
  readonly converged: boolean;
  readonly events: ReadonlyMap<string, number>;
  readonly swim: SwimFigures | null;
  readonly detectors: readonly DetectorFigures[];
  readonly disagreements: number | null;
}

export interface SwimFigures {
  readonly boot: number;
  readonly sampled: number;
  readonly agreeing: number;
  readonly healthMultiplier: number;
  readonly partitionLost: number;
  readonly mismatched: readonly string[];
  readonly otherVoters: readonly string[];
  readonly messagesSent: number;
  readonly datagramsReceived: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly probes: number;
  readonly failedProbes: number;
  readonly unknownMessages: number;
  readonly rejected: Readonly<Record<string, number>>;
  readonly streamsRefused: number;
  /** Null: nobody was there to tell. */
  readonly selfTest: Readonly<Record<string, boolean | null>>;
}

export interface DetectorFigures {
  readonly detector: string;
  readonly deaths: number;
  readonly falseDeaths: number;
  readonly unclearDeaths: number;
  readonly messages: number;
  readonly detection: { readonly p50Ms: number; readonly p99Ms: number } | null;
}

/** Made in the pulse thread, so that a busy main thread does not make these old. */
export function membershipMetrics(): { readonly render: (figures: MembershipFigures) => string } {
  const registry = new Registry();
  return {
    render: (figures) => {
      update(registry, figures);
      if (figures.swim !== null) updateSwim(registry, figures.swim);
      for (const detector of figures.detectors) updateDetector(registry, detector);
      return registry.render();
    },
  };
}

function update(registry: Registry, { mode, members, converged, events, disagreements }: MembershipFigures): void {
  registry.gauge("ringrift_membership_info", mode).set(1);
  for (const [state, count] of Object.entries(members)) registry.gauge("ringrift_membership_members", state).set(count);
  registry.gauge("ringrift_membership_converged").set(converged ? 1 : 0);
  for (const [event, count] of events) registry.counter("ringrift_membership_events_total", event).set(count);
  if (disagreements !== null) registry.counter("ringrift_detector_disagreements_total").set(disagreements);
}

function updateSwim(registry: Registry, swim: SwimFigures): void {
  registry.gauge("ringrift_swim_boot").set(swim.boot);
  registry.gauge("ringrift_swim_sampled_peers").set(swim.sampled);
  registry.gauge("ringrift_swim_agreeing_peers").set(swim.agreeing);
  registry.gauge("ringrift_swim_health_multiplier").set(swim.healthMultiplier);
  registry.gauge("ringrift_swim_partition_lost").set(swim.partitionLost);
  registry.clear("ringrift_swim_config_mismatch");
  for (const peer of swim.mismatched) registry.gauge("ringrift_swim_config_mismatch", peer).set(1);
  registry.clear("ringrift_swim_voters_mismatch");
  for (const peer of swim.otherVoters) registry.gauge("ringrift_swim_voters_mismatch", peer).set(1);
  registry.counter("ringrift_swim_messages_sent_total").set(swim.messagesSent);
  registry.counter("ringrift_swim_datagrams_received_total").set(swim.datagramsReceived);
  registry.counter("ringrift_swim_bytes_total", "sent").set(swim.bytesSent);
  registry.counter("ringrift_swim_bytes_total", "received").set(swim.bytesReceived);
  registry.counter("ringrift_swim_probes_total").set(swim.probes);
  registry.counter("ringrift_swim_failed_probes_total").set(swim.failedProbes);
  registry.counter("ringrift_swim_unknown_messages_total").set(swim.unknownMessages);
  for (const [reason, count] of Object.entries(swim.rejected))
    registry.counter("ringrift_swim_rejected_total", reason).set(count);
  registry.counter("ringrift_swim_streams_refused_total").set(swim.streamsRefused);
  registry.clear("ringrift_membership_self_test");
  for (const [check, passed] of Object.entries(swim.selfTest)) {
    if (passed !== null) registry.gauge("ringrift_membership_self_test", check).set(passed ? 1 : 0);
  }
}

function updateDetector(registry: Registry, figures: DetectorFigures): void {
  const { detector, deaths, falseDeaths, unclearDeaths, messages, detection } = figures;
  registry.counter("ringrift_detector_deaths_total", detector, "true").set(deaths - falseDeaths - unclearDeaths);
  registry.counter("ringrift_detector_deaths_total", detector, "false").set(falseDeaths);
  registry.counter("ringrift_detector_deaths_total", detector, "unclear").set(unclearDeaths);
  registry.counter("ringrift_detector_messages_total", detector).set(messages);
  if (detection === null) return;
  registry.gauge("ringrift_detector_detection_seconds", detector, "0.5").set(detection.p50Ms / 1_000);
  registry.gauge("ringrift_detector_detection_seconds", detector, "0.99").set(detection.p99Ms / 1_000);
}
