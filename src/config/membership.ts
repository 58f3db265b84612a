import { NodeId } from "#kernel";
import {
  checkHttpPollOptions,
  checkSwimOptions,
  createAllowList,
  type HttpPollOptions,
  httpPollKnobs,
  httpPollProfiles,
  type Knobs,
  parseIp,
  type SwimOptions,
  swimKnobs,
  swimProfiles,
} from "#membership/core";
import { addressOf, listenOf, timingOf, votersOf } from "./effective.ts";
import { whyNotNodeId } from "./identity.ts";
import type { Finding } from "./problem.ts";
import type { FileShape, HostShape } from "./schema.ts";
import { nearest } from "./suggest.ts";
import type { MembershipConfig } from "./types.ts";

/** Datagrams and streams of SWIM. */
const DEFAULT_PORT = 8771;

/** ADR-013's names for three of the knobs. Its `gossip_interval` is the protocol period, not the pace of gossip. */
const adrNames: ReadonlyMap<keyof SwimOptions, "gossip_interval_ms" | "ping_timeout_ms" | "indirect_ping_count"> = new Map([
  ["periodMs", "gossip_interval_ms"],
  ["probeTimeoutMs", "ping_timeout_ms"],
  ["indirectProbes", "indirect_ping_count"],
]);

/** The file's section with profile and defaults put in. `key_file` is resolved by the caller, which knows the folder. */
export function membershipOf(shape: FileShape, host: HostShape): Omit<MembershipConfig, "keyFile"> {
  const section = shape.membership;
  const seeds = section?.seeds?.map(({ id, addrs }) => ({ id: id ?? null, addrs })) ?? votersAsSeeds(shape);
  return {
    label: section?.label ?? shape.cluster?.id ?? "ringraft",
    bind: bindOf(shape, host),
    advertise: advertiseOf(shape, host),
    seeds: seeds.map(({ id, addrs }) => ({
      id: id === null ? null : NodeId(id),
      addresses: addrs.map((address) => withPort(address) ?? address),
    })),
    allow: {
      ids: [...Object.keys(shape.hosts), ...(section?.allow_ids ?? [])],
      networks: section?.allow_cidrs ?? [],
    },
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
      ...checkAddresses(shape),
    ],
    warnings: warnAdrNames(shape),
  };
}

/** The file says something about membership: then a detector runs, in the mode `swim` where it names none. */
export function setsMembership(shape: FileShape): boolean {
  return shape.membership !== undefined || Object.values(shape.hosts).some(({ ringraft }) => ringraft?.membership !== undefined);
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
  return seeds.flatMap(({ id, addrs }, i): readonly Finding[] => {
    const path = ["membership", "seeds", i];
    const findings = addrs.flatMap((address, at) => wrongAddress([...path, "addrs", at], address));
    const wrong = id === undefined ? null : whyNotNodeId(id);
    if (wrong !== null) return [...findings, { path: [...path, "id"], message: wrong }];
    if (id === undefined || isAllowed(shape, id)) return findings;
    const meant = nearest(id, Object.keys(shape.hosts));
    const message = `the seed ${id} is neither under hosts nor matched by membership.allow_ids`;
    return [...findings, { path: [...path, "id"], message, hint: meant === null ? null : `did you mean ${meant}?` }];
  });
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

function checkAddresses(shape: FileShape): readonly Finding[] {
  const bind = shape.membership?.bind;
  return [
    ...(bind === undefined ? [] : wrongAddress(["membership", "bind"], bind)),
    ...Object.entries(shape.hosts).flatMap(([name, { ringraft }]) => {
      const path = ["hosts", name, "ringraft", "membership"];
      const own = ringraft?.membership;
      const advertise = own?.advertise ?? [];
      return [
        ...(own?.bind === undefined ? [] : wrongAddress([...path, "bind"], own.bind)),
        ...advertise.flatMap((address, i) => wrongAddress([...path, "advertise", i], address)),
        ...advertise.flatMap((address, i) => unreachable([...path, "advertise", i], address)),
      ];
    }),
  ];
}

function wrongAddress(path: readonly (string | number)[], address: string): readonly Finding[] {
  if (withPort(address) !== null) return [];
  const message = `${JSON.stringify(address)} is not an address: write an IP address or a name, with :port where it is not ${DEFAULT_PORT}`;
  return [{ path, message, hint: "IPv6 with a port stands in brackets: [2001:db8::7]:8771" }];
}

function unreachable(path: readonly (string | number)[], address: string): readonly Finding[] {
  if (!/^(?:0\.0\.0\.0|::|\[::\])(?::\d+)?$/.test(address)) return [];
  return [{ path, message: `${JSON.stringify(address)} is every address of this machine: others need one that they can dial` }];
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

function bindOf(shape: FileShape, host: HostShape): string {
  const bind = host.ringraft?.membership?.bind ?? shape.membership?.bind ?? listenOf(shape, host).host;
  return withPort(bind) ?? bind;
}

/** What the inventory knows is reached on the port that is bound; an address that is written out has its own. */
function advertiseOf(shape: FileShape, host: HostShape): readonly string[] {
  const written = host.ringraft?.membership?.advertise;
  if (written !== undefined) return written.map((address) => withPort(address) ?? address);
  const port = Number(/:(\d+)$/.exec(bindOf(shape, host))?.[1] ?? DEFAULT_PORT);
  return addressesOf(host).map((address) => withPort(address, port) ?? address);
}

function votersAsSeeds(shape: FileShape): readonly { readonly id: string; readonly addrs: readonly string[] }[] {
  return votersOf(shape).map((id) => ({ id, addrs: advertiseOf(shape, shape.hosts[id] ?? {}) }));
}

/** All that the inventory knows, since one of them may be closed to the one who dials (a mesh address outside the mesh). */
function addressesOf(host: HostShape): readonly string[] {
  const own = addressOf(host);
  return [...new Set([own, host.tailscale_ip, host.fallback_host])].filter((address) => address != null);
}

/** `address` as `host:port`, with the default port where it names none; null when it cannot be read. */
function withPort(address: string, otherwise: number = DEFAULT_PORT): string | null {
  if (address.includes(":") && !address.startsWith("[") && parseIp(address) !== null) return `[${address}]:${otherwise}`;
  const [, host, port = String(otherwise)] = /^(\[[^\]]+\]|[^:[\]]+)(?::([1-9]\d{0,4}))?$/.exec(address) ?? [];
  if (host === undefined || Number(port) > 65_535) return null;
  const readable = host.startsWith("[") ? parseIp(host.slice(1, -1)) !== null : isNameOrIpv4(host);
  return readable ? `${host}:${port}` : null;
}

/** A name whose last part is a number would be read as an IPv4 address by some resolvers; then it must be one. */
function isNameOrIpv4(host: string): boolean {
  if (/(?:^|\.)\d+$/.test(host)) return parseIp(host) !== null;
  return host.length <= 253 && host.split(".").every((label) => /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label));
}
