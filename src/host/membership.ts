import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import type { HostConfig, NodeConfig } from "#config";
import { exitCodes, type NodeId } from "#kernel";
import {
  decodeMembers,
  encodeMembers,
  type MachineFacts,
  type MembershipSetup,
  type RememberedMembers,
  splitPlace,
} from "#membership";
import { formatEndpoint, type MemberRecord, parseIp, votersHashOf, whyNotTold } from "#membership/core";
import type { Clock, Disk, Log } from "#ports";
import { countBoot, raiseBoot, StorageError, writeDurably } from "#storage";
import { readGossipKeys } from "./gossip-keys.ts";
import type { Pulse } from "./pulse/index.ts";
import type { MembershipEvent, PulseMembership } from "./pulse/messages.ts";
import { StartError } from "./start-error.ts";
import { version } from "./version.ts";

/** What the pulse thread needs to take part; null where the configuration asks for no detector. Throws StartError for the keys. */
export function membershipStart(config: NodeConfig): PulseMembership | null {
  const { modes, membership } = config;
  if (modes.membership === "none") return null;
  const keys = membership.keyFile === null || modes.membership === "http" ? [] : readGossipKeys(membership.keyFile);
  const setup: MembershipSetup = {
    mode: modes.membership,
    id: config.nodeId,
    label: membership.label,
    keys,
    advertise: membership.advertise,
    seeds: membership.seeds,
    allow: membership.allow,
    metadata: {
      role: config.role,
      provider: config.hosts.get(config.nodeId)?.provider ?? "",
      capabilities: capabilitiesOf(config.worker?.queues ?? []),
      version,
      degraded: false,
      keys: [],
      voters: votersHashOf(config.voters),
    },
    swim: membership.swim,
    httpPoll: membership.httpPoll,
    peers: [...config.hosts.values()].filter(({ name }) => name !== config.nodeId).map(peerOf),
  };
  if (modes.membership !== "http") requireRoom(setup);
  const keyFile = keys.length === 0 ? null : membership.keyFile;
  return { setup: structuredClone(setup), keyFile, bind: membership.bind, machine: machineFacts(membership.advertise) };
}

/** Throws {@link StartError} (exit 78) when datagrams of the configured size cannot tell others of this node. */
function requireRoom({ id, advertise, metadata, swim }: MembershipSetup): void {
  // A name is not resolved yet: it counts as the longest address.
  const addresses = advertise.map((place) => {
    const { host, port } = splitPlace(place);
    return formatEndpoint(parseIp(host) ?? new Uint8Array(16).fill(0xfd), port);
  });
  const why = whyNotTold({ id, addresses, metadata }, swim);
  if (why === null) return;
  const message = `membership.swim.datagram_size: ${swim.datagramBytes} bytes are too few for this node: ${why}`;
  throw new StartError(exitCodes.config, message, "Raise it, advertise fewer addresses, or serve fewer queues.");
}

const MAX_CAPABILITIES = 8;
const MAX_CAPABILITIES_BYTES = 256;

/** What fits into a member's record beside its addresses. A queue's name may be longer, and in any script: such a one is not told. */
function capabilitiesOf(queues: readonly string[]): readonly string[] {
  let left = MAX_CAPABILITIES_BYTES;
  return queues
    .filter((queue) => /^[\x20-\x7e]{1,64}$/.test(queue))
    .filter((queue) => (left -= queue.length + 1) >= 0)
    .slice(0, MAX_CAPABILITIES);
}

const MEMBERS_FILE = "members.json";
const RETRY_MS = 30_000;

/**
 * The main thread's part: it has the disk and the log. Nothing is sent before this life's number is durable. While it cannot be
 * made durable (a full disk) the node goes on without membership, for it may be the one that makes room, and tries again.
 */
export async function joinMembers(
  config: NodeConfig,
  { disk, pulse, clock, log }: { readonly disk: Disk; readonly pulse: Pulse; readonly clock: Clock; readonly log: Log },
): Promise<void> {
  if (config.modes.membership === "none") return;
  let writing = Promise.resolve();
  /** One after the other: the last word wins. */
  const inTurn = (write: () => Promise<void>): Promise<void> => {
    writing = writing.then(write).catch((error: unknown) => log.error("membership: a write failed", { error: String(error) }));
    return writing;
  };
  let remembered = await readMembers(disk, log);
  const begin = async (): Promise<void> => {
    const { boot, problem } = await countBoot(disk).catch((error: unknown) => {
      setTimeout(() => void inTurn(begin), RETRY_MS).unref();
      throw error;
    });
    if (problem !== null) log.warn("the boot count begins anew", { why: problem });
    log.info("joining the members", { mode: config.modes.membership, boot, remembered: remembered.members.length });
    pulse.join({ epoch: boot, members: remembered.members, wallMs: remembered.writtenAtMs });
  };
  pulse.onMembership((event: MembershipEvent) => {
    switch (event.kind) {
      case "boot":
        return void inTurn(() => raiseBoot(disk, event.boot));
      case "members":
        remembered = { members: event.members, writtenAtMs: clock.now().wallMs };
        return void inTurn(() => writeMembers(disk, event.members, clock));
      case "life-wanted":
        return void inTurn(begin);
      case "log":
        return log[event.level](event.message, event.fields);
      case "left":
        return;
    }
  });
  await inTurn(begin);
}

async function readMembers(disk: Disk, log: Log): Promise<RememberedMembers> {
  const text = await readText(disk, MEMBERS_FILE);
  const read = text === null ? null : decodeMembers(text);
  if (text !== null && read === null) {
    log.warn("the remembered members cannot be read and are forgotten", { file: MEMBERS_FILE });
  }
  return read ?? { members: [], writtenAtMs: null };
}

async function writeMembers(disk: Disk, members: readonly MemberRecord[], clock: Clock): Promise<void> {
  await writeDurably(disk, MEMBERS_FILE, Buffer.from(encodeMembers(members, clock.now().wallMs), "utf8"));
}

async function readText(disk: Disk, path: string): Promise<string | null> {
  try {
    const file = await disk.open(path, { create: false });
    try {
      return Buffer.from(await file.read(0, await file.size())).toString("utf8");
    } finally {
      await file.close();
    }
  } catch (thrown) {
    if ((thrown as { readonly code?: string }).code === "ENOENT") return null;
    throw StorageError.from(thrown, "reading it", path);
  }
}

/** The status port of a peer, by which polling asks. */
function peerOf({ name, address, ports }: HostConfig): { readonly id: NodeId; readonly addresses: readonly [string] } {
  const host = address.includes(":") ? `[${address}]` : address;
  return { id: name, addresses: [`http://${host}:${ports.http}`] };
}

function machineFacts(advertise: readonly string[]): MachineFacts {
  return { interfaceMtu: interfaceMtu(advertise.map((address) => splitPlace(address).host)) };
}

/** Linux tells; elsewhere it is unknown. */
function interfaceMtu(hosts: readonly string[]): number | null {
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    if (!addresses.some(({ address }) => hosts.includes(address))) continue;
    try {
      return Number(readFileSync(`/sys/class/net/${name}/mtu`, "utf8").trim()) || null;
    } catch {
      return null;
    }
  }
  return null;
}
