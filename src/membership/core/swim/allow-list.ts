import { type NodeId, type Outcome, accepted, refusal, refused } from "#kernel";
import { parseEndpoint, parseIp } from "./address.ts";
import type { Address } from "./types.ts";

export interface AllowListOptions {
  /** Node ids; `*` stands for any characters (`lambda-*`), yet never for a whole container id. Empty: every id. */
  readonly ids: readonly string[];
  /** `100.64.0.0/10`, `2001:db8::/32`. Empty: every address. */
  readonly networks: readonly string[];
}

/** Who may be a member at all. The key is the real door; this one keeps wrongly named and wrongly placed nodes out. */
export interface AllowList {
  allowsId(id: NodeId): boolean;
  /** Asked of a datagram's source, and of every address that a member gives for itself. */
  allowsAddress(address: Address): boolean;
}

/** Refuses (INVALID_ARGUMENT) a pattern or network that cannot be read, naming it. */
export function createAllowList(options: AllowListOptions): Outcome<AllowList> {
  const networks: Network[] = [];
  for (const text of options.networks) {
    const network = parseNetwork(text);
    if (network === null) return unreadable("allow_networks", `${JSON.stringify(text)} is not a network like 100.64.0.0/10`);
    networks.push(network);
  }
  for (const pattern of options.ids) {
    if (!/^[A-Za-z0-9._*-]{1,64}$/.test(pattern)) {
      return unreadable("allow_ids", `${JSON.stringify(pattern)} is not a node id, nor one with * in it`);
    }
  }
  const ids = options.ids.map((pattern) => pattern.split("*"));
  return accepted({
    allowsId: (id) => ids.length === 0 || ids.some((parts) => matches(id, parts) && (parts.length === 1 || !isContainerId(id))),
    allowsAddress(address) {
      if (networks.length === 0) return true;
      const endpoint = parseEndpoint(address);
      return endpoint !== null && networks.some((network) => contains(network, endpoint.ip));
    },
  });
}

/** As container runtimes make them, short or whole: the name of a machine that has no name. */
export function isContainerId(id: string): boolean {
  return /^(?:[0-9a-f]{12}|[0-9a-f]{64})$/.test(id);
}

interface Network {
  readonly ip: readonly number[];
  readonly bits: number;
}

function parseNetwork(text: string): Network | null {
  const match = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(text);
  const ip = match === null ? null : parseIp(match[1]!);
  if (match === null || ip === null) return null;
  const bits = Number(match[2]);
  return bits > ip.length * 8 ? null : { ip, bits };
}

function contains(network: Network, ip: readonly number[]): boolean {
  if (ip.length !== network.ip.length) return false;
  for (let bit = 0; bit < network.bits; bit += 8) {
    const mask = 0xff00 >> Math.min(8, network.bits - bit);
    if (((ip[bit >> 3]! ^ network.ip[bit >> 3]!) & mask & 0xff) !== 0) return false;
  }
  return true;
}

/** `parts` are what stands between the stars. Each is sought from where the one before ended, so time stays linear. */
function matches(id: string, parts: readonly string[]): boolean {
  const [head, ...rest] = parts;
  const tail = rest.pop();
  if (tail === undefined) return id === head;
  if (!id.startsWith(head!) || !id.endsWith(tail)) return false;
  let at = head!.length;
  for (const part of rest) {
    const found = id.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return at <= id.length - tail.length;
}

function unreadable(field: string, message: string): { readonly ok: false; readonly refusal: ReturnType<typeof refusal> } {
  return refused(refusal("INVALID_ARGUMENT", message, { field }));
}
