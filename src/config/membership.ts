import { NodeId } from "#kernel";
import {
  checkHttpPollOptions,
  checkSwimOptions,
  createAllowList,
  type HttpPollOptions,
  httpPollKnobs,
  httpPollProfiles,
  type Knobs,
  type SwimOptions,
  swimKnobs,
  swimProfiles,
} from "#membership/core";
import { timingOf } from "./effective.ts";
import { whyNotNodeId } from "./identity.ts";
import { advertiseOf, bindOf, checkAddresses, seedsOf } from "./membership-addresses.ts";
import type { Finding } from "./problem.ts";
import { formatDuration } from "./quantities.ts";
import type { FileShape, HostShape } from "./schema.ts";
import { nearest } from "./suggest.ts";
import type { MembershipConfig } from "./types.ts";

/** ADR-013's names for three of the knobs. Its `gossip_interval` is the protocol period, not the pace of gossip. */
const adrNames: ReadonlyMap<keyof SwimOptions, "gossip_interval_ms" | "ping_timeout_ms" | "indirect_ping_count"> = new Map([
  ["periodMs", "gossip_interval_ms"],
  ["probeTimeoutMs", "ping_timeout_ms"],
  ["indirectProbes", "indirect_ping_count"],
]);

/** The file's section with profile and defaults put in. `key_file` is resolved by the caller, which knows the folder. */
export function membershipOf(shape: FileShape, host: HostShape): Omit<MembershipConfig, "keyFile"> {
  const section = shape.membership;
  return {
    label: section?.label ?? shape.cluster?.id ?? "ringraft",
    bind: bindOf(shape, host),
    advertise: advertiseOf(shape, host),
    seeds: seedsOf(shape).map(({ id, addrs }) => ({ id: id === null ? null : NodeId(id), addresses: addrs })),
    allow: {
      ids: [...Object.keys(shape.hosts), ...(section?.allow_ids ?? [])],
      networks: section?.allow_cidrs ?? [],
    },
    maxMainStallMs: maxMainStallOf(shape),
    swim: swimOf(shape),
    httpPoll: httpPollOf(shape),
  };
}

/** What must hold within the section, whichever node reads it. */
export function checkMembership(shape: FileShape): {
  readonly findings: readonly Finding[];
  readonly warnings: readonly Finding[];
} {
  if (!setsMembership(shape)) return { findings: [], warnings: [] };
  return {
    findings: [
      ...checkSwim(shape),
      ...checkHttpPoll(shape),
      ...checkSeeds(shape),
      ...checkAllow(shape),
      ...checkMainStall(shape),
      ...checkAddresses(shape),
    ],
    warnings: warnAdrNames(shape),
  };
}

/** The file says something about membership: then a detector runs, in the mode `swim` where it names none. */
export function setsMembership(shape: FileShape): boolean {
  return shape.membership !== undefined || Object.values(shape.hosts).some(({ ringraft }) => ringraft?.membership !== undefined);
}

const DEFAULT_MAX_MAIN_STALL_MS = 30_000;

function maxMainStallOf(shape: FileShape): number {
  return shape.membership?.max_main_stall ?? DEFAULT_MAX_MAIN_STALL_MS;
}

function swimOf(shape: FileShape): SwimOptions {
  const given = shape.membership?.swim ?? {};
  const fromAdr = Object.fromEntries([...adrNames].map(([field, name]) => [swimKnobs[field].key, given[name]]));
  return withKnobs(swimProfiles[timingOf(shape).profile], swimKnobs, { ...withoutUnset(fromAdr), ...given });
}

function httpPollOf(shape: FileShape): HttpPollOptions {
  const { profile = "failover", ...given } = shape.membership?.http_poll ?? {};
  return withKnobs(httpPollProfiles[profile], httpPollKnobs, given);
}

function withKnobs<O extends object>(profile: O, knobs: Knobs<O>, given: Readonly<Record<string, unknown>>): O {
  const fields = Object.entries<{ readonly key: string }>(knobs).map(([field, { key }]) => [field, given[key]] as const);
  return { ...profile, ...withoutUnset(Object.fromEntries(fields)) };
}

function withoutUnset(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function checkSwim(shape: FileShape): readonly Finding[] {
  const given: Readonly<Record<string, unknown>> = shape.membership?.swim ?? {};
  const twice = [...adrNames].flatMap(([field, name]): readonly Finding[] => {
    const { key } = swimKnobs[field];
    if (given[name] === undefined || given[key] === undefined) return [];
    const message = `${name} is ADR-013's name for ${key}, and both are given`;
    return [{ path: ["membership", "swim", name], message, hint: `keep ${key}`, atKey: true }];
  });
  if (twice.length > 0) return twice;
  const nameOf = (field: keyof SwimOptions): string => {
    const adrName = adrNames.get(field);
    return adrName !== undefined && given[adrName] !== undefined ? adrName : swimKnobs[field].key;
  };
  return checkSwimOptions(swimOf(shape), nameOf).map(({ field, other, message, hint }) => ({
    path: ["membership", "swim", given[nameOf(field)] === undefined ? nameOf(other) : nameOf(field)],
    message: `${message} (profile ${timingOf(shape).profile})`,
    hint,
  }));
}

function checkHttpPoll(shape: FileShape): readonly Finding[] {
  const given: Readonly<Record<string, unknown>> = shape.membership?.http_poll ?? {};
  const profile = shape.membership?.http_poll?.profile ?? "failover";
  return checkHttpPollOptions(httpPollOf(shape)).map(({ field, other, message, hint }) => {
    const key = given[httpPollKnobs[field].key] === undefined ? httpPollKnobs[other].key : httpPollKnobs[field].key;
    return { path: ["membership", "http_poll", key], message: `${message} (profile ${profile})`, hint };
  });
}

function checkSeeds(shape: FileShape): readonly Finding[] {
  const seeds = shape.membership?.seeds ?? [];
  return seeds.flatMap(({ id }, i): readonly Finding[] => {
    const path = ["membership", "seeds", i, "id"];
    const wrong = id === undefined ? null : whyNotNodeId(id);
    if (wrong !== null) return [{ path, message: wrong }];
    if (id === undefined || isAllowed(shape, id)) return [];
    const meant = nearest(id, Object.keys(shape.hosts));
    const message = `the seed ${id} is neither under hosts nor matched by membership.allow_ids`;
    return [{ path, message, hint: meant === null ? null : `did you mean ${meant}?` }];
  });
}

function checkMainStall(shape: FileShape): readonly Finding[] {
  const { periodMs } = swimOf(shape);
  const stallMs = maxMainStallOf(shape);
  if (stallMs >= 2 * periodMs) return [];
  const { max_main_stall: given, swim } = shape.membership ?? {};
  const period = swim?.gossip_interval_ms === undefined ? "period" : "gossip_interval_ms";
  const path = ["membership", ...(given === undefined ? ["swim", period] : ["max_main_stall"])];
  const message = `max_main_stall ${formatDuration(stallMs)} must be at least twice the period ${formatDuration(periodMs)} (profile ${timingOf(shape).profile})`;
  return [{ path, message, hint: "the others must hear that a node is degraded before it falls silent" }];
}

/** Each entry by itself, so that the place of the wrong one can be named. */
function checkAllow(shape: FileShape): readonly Finding[] {
  const { allow_ids: ids = [], allow_cidrs: networks = [] } = shape.membership ?? {};
  const problem = (key: string, i: number, options: Parameters<typeof createAllowList>[0]): readonly Finding[] => {
    const list = createAllowList(options);
    return list.ok ? [] : [{ path: ["membership", key, i], message: list.refusal.message }];
  };
  return [
    ...ids.flatMap((id, i) => problem("allow_ids", i, { ids: [id], networks: [] })),
    ...networks.flatMap((network, i) => problem("allow_cidrs", i, { ids: [], networks: [network] })),
  ];
}

function warnAdrNames(shape: FileShape): readonly Finding[] {
  const given = shape.membership?.swim ?? {};
  return [...adrNames].flatMap(([field, name]): readonly Finding[] => {
    if (given[name] === undefined) return [];
    const { key } = swimKnobs[field];
    return [{ path: ["membership", "swim", name], message: `read as ${key}, which is its name here`, atKey: true }];
  });
}

function isAllowed(shape: FileShape, id: string): boolean {
  if (Object.hasOwn(shape.hosts, id)) return true;
  const patterns = shape.membership?.allow_ids ?? [];
  const list = createAllowList({ ids: patterns, networks: [] });
  // A pattern that cannot be read is a finding of its own.
  return patterns.length > 0 && (!list.ok || list.value.allowsId(NodeId(id)));
}
