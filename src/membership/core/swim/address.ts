import { Address } from "./types.ts";

/** An IP address and a port as numbers: 4 bytes for IPv4, 16 for IPv6. */
export interface Endpoint {
  readonly ip: readonly number[];
  readonly port: number;
}

/**
 * Reads `203.0.113.7:8771` or `[2001:db8::7]:8771`; null for anything else, a zone (`%eth0`) or port 0 included. An
 * IPv4-mapped IPv6 address is the IPv4 address: a socket that serves both families reports it so.
 */
export function parseEndpoint(text: string): Endpoint | null {
  const colon = text.lastIndexOf(":");
  const port = decimal(text, colon + 1, text.length, 65_535);
  if (colon <= 0 || port < 1) return null;
  const bracketed = text.charCodeAt(0) === BRACKET;
  if (bracketed && text.charCodeAt(colon - 1) !== CLOSING_BRACKET) return null;
  const ip = bracketed ? parseIpv6(text.slice(1, colon - 1)) : parseIpv4(text, 0, colon);
  return ip === null ? null : { ip, port };
}

/** `203.0.113.7` or `2001:db8::7` as bytes, or null. */
export function parseIp(text: string): readonly number[] | null {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text, 0, text.length);
}

/** The one spelling of an endpoint (RFC 5952 for IPv6), so that addresses compare as text. */
export function formatEndpoint(ip: ArrayLike<number>, port: number): Address {
  if (ip.length === 4) return Address(`${ip[0]}.${ip[1]}.${ip[2]}.${ip[3]}:${port}`);
  return Address(`[${formatIpv6(ip)}]:${port}`);
}

/** The one spelling of `text`, or null when it is not an IP address with a port. For what comes from sockets and people. */
export function canonicalAddress(text: string): Address | null {
  const endpoint = parseEndpoint(text);
  return endpoint === null ? null : formatEndpoint(endpoint.ip, endpoint.port);
}

/** ::ffff:0:0/96, an IPv4 address in disguise. */
export function isMapped(ip: ArrayLike<number>): boolean {
  if (ip.length !== 16 || ip[10] !== 0xff || ip[11] !== 0xff) return false;
  for (let at = 0; at < 10; at++) if (ip[at] !== 0) return false;
  return true;
}

const BRACKET = "[".charCodeAt(0);
const CLOSING_BRACKET = "]".charCodeAt(0);
const ZERO = "0".charCodeAt(0);

/** The number in `text[start, end)`, or −1: no sign, no leading zero (some readers take it for octal), at most `most`. */
function decimal(text: string, start: number, end: number, most: number): number {
  if (start >= end || end - start > 5 || (text.charCodeAt(start) === ZERO && end - start > 1)) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value > most ? -1 : value;
}

function parseIpv4(text: string, start: number, end: number): number[] | null {
  const ip: number[] = [];
  for (let at = start; ;) {
    const dot = text.indexOf(".", at);
    const stop = dot === -1 || dot > end ? end : dot;
    const byte = decimal(text, at, stop, 255);
    if (byte === -1 || ip.push(byte) > 4) return null;
    if (stop === end) return ip.length === 4 ? ip : null;
    at = stop + 1;
  }
}

function parseIpv6(text: string): number[] | null {
  const halves = text.split("::");
  if (halves.length > 2 || text.length > 45) return null;
  const [head, tail] = halves.map((half) => (half === "" ? [] : groupsOf(half)));
  if (head == null || tail === null) return null;
  const written = head.length + (tail?.length ?? 0);
  if (tail === undefined ? written !== 16 : written > 14) return null;
  const ip = [...head, ...Array.from({ length: 16 - written }, () => 0), ...(tail ?? [])];
  return isMapped(ip) ? ip.slice(12) : ip;
}

function groupsOf(half: string): number[] | null {
  const bytes: number[] = [];
  const groups = half.split(":");
  for (const [index, group] of groups.entries()) {
    if (index === groups.length - 1 && group.includes(".")) {
      const ipv4 = parseIpv4(group, 0, group.length);
      if (ipv4 === null) return null;
      bytes.push(...ipv4);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return null;
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    }
  }
  return bytes;
}

function formatIpv6(ip: ArrayLike<number>): string {
  const groups = Array.from({ length: 8 }, (_, index) => (ip[index * 2]! << 8) | ip[index * 2 + 1]!);
  const gap = longestZeroRun(groups);
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(":");
  return gap.length < 2 ? hex(0, 8) : `${hex(0, gap.start)}::${hex(gap.start + gap.length, 8)}`;
}

/** The first of the longest. */
function longestZeroRun(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === 0) end++;
    if (end - start > best.length) best = { start, length: end - start };
  }
  return best;
}
