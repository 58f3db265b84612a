import type { NodeId } from "#kernel";
import { canonicalAddress, createAllowList, parseIp } from "#membership/core";
import { addressOf, isLoopback, listenOf, portsOf, votersOf } from "./effective.ts";
import type { Finding } from "./problem.ts";
import type { FileShape, HostShape } from "./schema.ts";
import type { NodeConfig } from "./types.ts";

/** Datagrams and streams of SWIM. */
const DEFAULT_PORT = 8771;

/** A place as the file gives it, and where in the file that is. */
interface Written {
  readonly place: string;
  readonly path: readonly (string | number)[];
}

export interface SeedShape {
  readonly id: string | null;
  readonly addrs: readonly string[];
}

export function bindOf(shape: FileShape, host: HostShape): string {
  const bind = host.ringraft?.membership?.bind ?? shape.membership?.bind ?? listenOf(shape, host).host;
  return withPort(bind) ?? bind;
}

/** What the inventory knows is reached on the port that is bound; an address that is written out has its own. */
export function advertiseOf(shape: FileShape, host: HostShape): readonly string[] {
  return advertised(shape, "", host).map(({ place }) => place);
}

/** The voters, where the file names none. */
export function seedsOf(shape: FileShape): readonly SeedShape[] {
  const written = shape.membership?.seeds?.map(({ id, addrs }) => ({
    id: id ?? null,
    addrs: addrs.map((address) => withPort(address) ?? address),
  }));
  return written ?? votersOf(shape).map((id) => ({ id, addrs: advertiseOf(shape, shape.hosts[id] ?? {}) }));
}

/** What is wrong with an address by itself, wherever the section writes one. */
export function checkAddresses(shape: FileShape): readonly Finding[] {
  const { bind, seeds = [] } = shape.membership ?? {};
  return [
    ...(bind === undefined ? [] : wrongBind(["membership", "bind"], bind)),
    ...seeds.flatMap(({ addrs }, i) =>
      addrs.flatMap((address, at) => wrongAddress(["membership", "seeds", i, "addrs", at], address)),
    ),
    ...Object.entries(shape.hosts).flatMap(([name, { ringraft }]) => {
      const path = ["hosts", name, "ringraft", "membership"];
      const { bind: own, advertise = [] } = ringraft?.membership ?? {};
      return [
        ...(own === undefined ? [] : wrongBind([...path, "bind"], own)),
        ...advertise.flatMap((address, i) => wrongAddress([...path, "advertise", i], address)),
      ];
    }),
  ];
}

/** Whether the others could reach this node, and would listen to it, as far as the file tells. */
export function checkReach(
  shape: FileShape,
  nodeId: NodeId,
  mode: NodeConfig["modes"]["membership"],
): { readonly findings: readonly Finding[]; readonly warnings: readonly Finding[] } {
  const host = shape.hosts[nodeId] ?? {};
  const warnings = mode === "http" || mode === "hybrid" ? warnStatusPort(shape, nodeId, host) : [];
  if (mode !== "swim" && mode !== "hybrid") return { findings: [], warnings };
  const own = advertised(shape, nodeId, host);
  const bind = bindAt(shape, nodeId, host);
  const wrong = [...wrongInventory(shape, nodeId, own), ...wrongBind(bind.path, bind.place)];
  if (wrong.length > 0) return { findings: wrong, warnings };
  const elsewhere = seedElsewhere(shape, nodeId);
  return {
    findings: [
      ...(elsewhere === null ? [] : reachedFrom(elsewhere, bind, own)),
      ...otherFamily(bind, own),
      ...outsideNetworks(shape, own),
    ],
    warnings,
  };
}

function advertised(shape: FileShape, name: string, host: HostShape): readonly Written[] {
  const written = host.ringraft?.membership?.advertise;
  if (written !== undefined) {
    const path = ["hosts", name, "ringraft", "membership", "advertise"];
    return written.map((address, i) => ({ place: withPort(address) ?? address, path: [...path, i] }));
  }
  const port = Number(/:(\d+)$/.exec(bindOf(shape, host))?.[1] ?? DEFAULT_PORT);
  return inventoryOf(host).map(([key, address]) => ({ place: withPort(address, port) ?? address, path: ["hosts", name, key] }));
}

/** All that the inventory knows, since one of them may be closed to the one who dials (a mesh address outside the mesh). */
function inventoryOf(host: HostShape): readonly (readonly [key: string, address: string])[] {
  const first = addressOf(host);
  const all = (["host", "tailscale_ip", "fallback_host"] as const).flatMap((key) => {
    const address = host[key];
    return address == null ? [] : [[key, address] as const];
  });
  const ordered = all.toSorted(([, a], [, b]) => Number(b === first) - Number(a === first));
  return ordered.filter(([, address], i) => ordered.findIndex(([, other]) => other === address) === i);
}

function bindAt(shape: FileShape, nodeId: NodeId, host: HostShape): Written {
  const place = bindOf(shape, host);
  if (host.ringraft?.membership?.bind !== undefined) return { place, path: ["hosts", nodeId, "ringraft", "membership", "bind"] };
  return { place, path: ["membership", "bind"] };
}

function wrongBind(path: Written["path"], address: string): readonly Finding[] {
  const shown = JSON.stringify(address);
  const place = withPort(address);
  const ip = place === null ? null : parseIp(hostOf(place));
  if (ip === null) {
    const what = whyUnreadable(address) ?? `write one of this machine's, or 0.0.0.0, with :port where it is not ${DEFAULT_PORT}`;
    return [{ path, message: `${shown} is not an IP address to bind: ${what}` }];
  }
  return isMulticast(ip) ? [{ path, message: `${shown} is a multicast address: it cannot be bound` }] : [];
}

function wrongAddress(path: Written["path"], address: string): readonly Finding[] {
  const shown = JSON.stringify(address);
  const place = withPort(address);
  if (place === null) {
    const what = whyUnreadable(address) ?? `write an IP address or a name, with :port where it is not ${DEFAULT_PORT}`;
    const hint = "IPv6 with a port stands in brackets: [2001:db8::7]:8771";
    return [{ path, message: `${shown} is not an address: ${what}`, hint }];
  }
  const ip = parseIp(hostOf(place));
  if (ip !== null && ip.every((byte) => byte === 0)) {
    return [{ path, message: `${shown} is every address of this machine: others need one that they can dial` }];
  }
  return ip !== null && isMulticast(ip) ? [{ path, message: `${shown} is a multicast address: nobody can dial it` }] : [];
}

function whyUnreadable(address: string): string | null {
  const [zone] = /%[^\]:]*/.exec(address) ?? [];
  if (zone !== undefined) return `the zone ${zone} means nothing on another machine`;
  return /[^:]:0+$/.test(address) ? "nobody can dial port 0" : null;
}

/** Of the inventory only what membership is about to use is judged: the file has other readers. */
function wrongInventory(shape: FileShape, nodeId: NodeId, own: readonly Written[]): readonly Finding[] {
  const voters = shape.membership?.seeds === undefined ? votersOf(shape).filter((voter) => voter !== nodeId) : [];
  const used = [...own, ...voters.flatMap((voter) => advertised(shape, voter, shape.hosts[voter] ?? {}))];
  return used.flatMap(({ place, path }) => wrongAddress(path, place));
}

/** A seed that is not on this machine; null: as far as the file tells, the whole cluster is. */
function seedElsewhere(shape: FileShape, nodeId: NodeId): string | null {
  const away = seedsOf(shape).find(({ id, addrs }) => id !== nodeId && addrs.every((place) => !isLoopback(hostOf(place))));
  return away === undefined ? null : `${away.id ?? "a seed"} at ${away.addrs[0]}`;
}

function reachedFrom(elsewhere: string, bind: Written, own: readonly Written[]): readonly Finding[] {
  const findings: Finding[] = [];
  if (isLoopback(hostOf(bind.place))) {
    findings.push({
      path: bind.path,
      message: `${bind.place} is heard on this machine only, and ${elsewhere} is on another`,
      hint: "set membership.bind to 0.0.0.0, or to the address that the others dial",
    });
  }
  for (const { place, path } of own.filter((one) => isLoopback(hostOf(one.place)))) {
    findings.push({
      path,
      message: `${place} is advertised to the others, who would dial themselves there: ${elsewhere} is on another machine`,
      hint: "name an address that they can dial under hosts, or in hosts.<name>.ringraft.membership.advertise",
    });
  }
  return findings;
}

/** `[::]` hears both families, 0.0.0.0 only its own. Which one a name stands for is known when it is dialled. */
function otherFamily(bind: Written, own: readonly Written[]): readonly Finding[] {
  const bound = parseIp(hostOf(bind.place));
  const families = own.map(({ place }) => parseIp(hostOf(place))?.length ?? null);
  if (bound?.length !== 4 || families.length === 0 || !families.every((length) => length === 16)) return [];
  const message = `${bind.place} hears IPv4 only, and ${own[0]!.place}, by which the others reach this node, is IPv6`;
  return [{ path: bind.path, message, hint: 'set membership.bind to "[::]", which hears both' }];
}

/** The others take no word about a member that has an address outside: it would be refused by everybody. */
function outsideNetworks(shape: FileShape, own: readonly Written[]): readonly Finding[] {
  const allowed = createAllowList({ ids: [], networks: shape.membership?.allow_cidrs ?? [] });
  if (!allowed.ok) return [];
  return own.flatMap(({ place, path }) => {
    const address = canonicalAddress(place);
    if (address === null || allowed.value.allowsAddress(address)) return [];
    const message = `${place} is advertised to the others and lies outside membership.allow_cidrs: they would refuse this node`;
    return [{ path, message, hint: "add its network, or name what is inside in hosts.<name>.ringraft.membership.advertise" }];
  });
}

function warnStatusPort(shape: FileShape, nodeId: NodeId, host: HostShape): readonly Finding[] {
  const address = addressOf(host) ?? "";
  const { httpHost } = listenOf(shape, host);
  if (isLoopback(address) || !isLoopback(httpHost)) return [];
  const message = `the others poll ${nodeId} at ${address}:${portsOf(shape, host).http}, and its status port listens on ${httpHost} only`;
  return [{ path: ["listen", "http_address"], message, hint: "they will hold it dead in membership modes http and hybrid" }];
}

/** `address` as `host:port`, with the default port where it names none; null when it cannot be read. */
function withPort(address: string, otherwise: number = DEFAULT_PORT): string | null {
  if (address.includes(":") && !address.startsWith("[") && parseIp(address) !== null) return `[${address}]:${otherwise}`;
  const [, host, port = String(otherwise)] = /^(\[[^\]]+\]|[^:[\]]+)(?::([1-9]\d{0,4}))?$/.exec(address) ?? [];
  if (host === undefined || Number(port) > 65_535) return null;
  const readable = host.startsWith("[") ? parseIp(host.slice(1, -1)) !== null : isNameOrIpv4(host);
  return readable ? `${host}:${port}` : null;
}

/**
 * A name whose last part is a number would be read as an IPv4 address by some resolvers; then it must be one. Underscores are
 * none of DNS's, but container runtimes resolve them.
 */
function isNameOrIpv4(host: string): boolean {
  if (/(?:^|\.)\d+$/.test(host)) return parseIp(host) !== null;
  return host.length <= 253 && host.split(".").every((label) => /^\w(?:[\w-]{0,61}\w)?$/.test(label));
}

function hostOf(place: string): string {
  return place.slice(0, place.lastIndexOf(":")).replace(/^\[(.*)\]$/, "$1");
}

/** 224.0.0.0/4 and what is above it, broadcast among it; ff00::/8. */
function isMulticast(ip: readonly number[]): boolean {
  return ip.length === 4 ? ip[0]! >= 224 : ip[0] === 0xff;
}
