import { explainProblems, loadMembership } from "#config";
import { ExitError, exitCodes } from "#kernel";
import {
  explainHttpPoll,
  explainSwim,
  type HttpPollOptions,
  httpPollProfiles,
  profileHashOf,
  showKnob,
  type SwimOptions,
  swimKnobs,
  type SwimProfileName,
  swimProfiles,
} from "#membership/core";
import { type Command, parse, UsageError } from "../command.ts";
import { outputFormat, outputHelp, outputOptions, printJson } from "../output.ts";

export const swimExplain: Command = {
  name: "swim explain",
  summary: "What a profile's numbers mean for a cluster: times to a verdict, packets, suspicions under loss",
  usage: "[--profile NAME | --config FILE] [--nodes N] [-o table|json]",
  details: `Options:
      --profile NAME        local, lan, mesh (default) or legacy
      --config FILE         the profile, the overrides and the number of hosts of this file
      --nodes N             members to reckon with (default 36, or the file's hosts)
${outputHelp}
The figures come from a model of the protocol, not from a measurement. Exit code 78 when the file, or its numbers together,
cannot be used.`,
  run: async (args) => {
    const { values } = parse(
      args,
      { ...outputOptions, profile: { type: "string" }, config: { type: "string" }, nodes: { type: "string" } },
      [],
    );
    const format = outputFormat(values);
    if (values.profile !== undefined && values.config !== undefined) {
      throw new UsageError("--profile and --config contradict each other: the file names its profile");
    }
    const asked = values.config === undefined ? ofProfile(values.profile ?? "mesh") : ofFile(values.config);
    const explained = explain(asked, values.nodes === undefined ? asked.members : memberCount(values.nodes));
    if (format === "json") printJson(explained);
    else process.stdout.write(describe(explained, asked.swim));
    return Promise.resolve(exitCodes.ok);
  },
};

interface Asked {
  readonly profile: SwimProfileName;
  readonly members: number;
  readonly swim: SwimOptions;
  readonly httpPoll: HttpPollOptions;
}

function ofProfile(name: string): Asked {
  if (!isProfile(name)) throw new UsageError(`--profile takes ${Object.keys(swimProfiles).join(", ")}, not "${name}"`);
  return { profile: name, members: 36, swim: swimProfiles[name], httpPoll: httpPollProfiles.failover };
}

function isProfile(name: string): name is SwimProfileName {
  return Object.hasOwn(swimProfiles, name);
}

function ofFile(file: string): Asked {
  const loaded = loadMembership(file);
  if (!loaded.ok) throw new ExitError(exitCodes.config, explainProblems(loaded.problems).trimEnd());
  const { profile, members, membership } = loaded;
  return { profile, members, swim: membership.swim, httpPoll: membership.httpPoll };
}

function memberCount(text: string): number {
  const members = Number(text);
  if (!Number.isSafeInteger(members) || members < 2 || members > 100_000) {
    throw new UsageError(`--nodes takes a whole number from 2 to 100000, not "${text}"`);
  }
  return members;
}

function explain({ profile, swim, httpPoll }: Asked, members: number) {
  const preset = swimProfiles[profile];
  const fields = Object.keys(swimKnobs) as readonly (keyof SwimOptions)[];
  return {
    profile,
    profileHash: profileHashOf(swim).toString(16).padStart(8, "0"),
    overridden: fields.filter((field) => swim[field] !== preset[field]).map((field) => swimKnobs[field].key),
    // In the configuration's own keys and units, so that a line can be copied from here.
    options: Object.fromEntries(fields.map((field) => [swimKnobs[field].key, swim[field]])),
    swim: explainSwim(swim, members),
    httpPoll: explainHttpPoll(httpPoll, members),
  };
}

function describe(
  { profile, profileHash, overridden, swim: figures, httpPoll }: ReturnType<typeof explain>,
  options: SwimOptions,
): string {
  const value = (field: keyof SwimOptions): string => showKnob(swimKnobs[field], options[field]);
  const rows: readonly (readonly [label: string, value: string])[] = [
    ["profile", `${profile}${overridden.length === 0 ? "" : `, with its own ${overridden.join(", ")}`} (hash ${profileHash})`],
    ["members", String(figures.members)],
    ["period", value("periodMs")],
    ["probe timeout", `${value("probeTimeoutFloorMs")} to ${value("probeTimeoutMs")}, by the peer's round trip`],
    ["second ways", `${options.indirectProbes} relays${options.streamProbe ? " and a stream" : ""}`],
    [
      "suspicion",
      `${seconds(figures.suspicionMinMs)} once ${figures.confirmations} others confirm, up to ${seconds(figures.suspicionMaxMs)} alone`,
    ],
    ["a crash is suspected", `p50 ${seconds(figures.firstSuspicion.p50Ms)}, p99 ${seconds(figures.firstSuspicion.p99Ms)}`],
    ["and dead everywhere", `p50 ${seconds(figures.deadEverywhere.p50Ms)}, p99 ${seconds(figures.deadEverywhere.p99Ms)}`],
    ["one member's own probe", `at the latest after ${seconds(figures.worstOwnProbeMs)}`],
    ["a record is sent", `${figures.retransmitLimit} times by each member`],
    ["full exchange", `every ${seconds(figures.pushPullIntervalMs)}`],
    ["packets when idle", `${figures.idlePacketsPerMinute} a minute and node, ${figures.clusterPacketsPerMinute} in the cluster`],
    [
      "gossip at its peak",
      `${figures.burstPacketsPerSecond} packets or ${kilobytes(figures.burstBytesPerSecond)} a second and node`,
    ],
    ...figures.loss.map(({ loss, suspicionsPerHour, packetsPerMinute }): readonly [string, string] => [
      `at ${loss * 100} % loss`,
      `${rounded(suspicionsPerHour, 2)} false suspicions an hour in the cluster, ${packetsPerMinute} packets a minute and node`,
    ]),
    [
      "HTTP polling instead",
      `${seconds(httpPoll.detectionMinMs)} to ${seconds(httpPoll.detectionMaxMs)} to a verdict, ${httpPoll.clusterRequestsPerMinute} requests a minute in the cluster`,
    ],
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, text]) => `${label.padEnd(width)}  ${text}\n`).join("");
}

function seconds(ms: number): string {
  return `${rounded(ms / 1_000, 3)} s`;
}

function kilobytes(bytes: number): string {
  return `${rounded(bytes / 1_000, 3)} kB`;
}

/** A model's figures deserve few digits. */
function rounded(value: number, digits: number): number {
  return Number(value.toPrecision(digits));
}
