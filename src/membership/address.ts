import { Address, parseIp } from "#membership/core";
import type { Endpoint } from "#ports";

/** The one spelling of an endpoint, so that addresses compare as text; null where it is none that others could dial (a zone). */
export function canonicalAddress({ host, port }: Endpoint): Address | null {
  const ip = parseIp(host);
  if (ip === null || port < 1) return null;
  // An IPv4-mapped address is the IPv4 address: a socket that serves both families reports it so.
  if (ip.length === 4) return Address(`${ip.join(".")}:${port}`);
  // The URL standard writes IPv6 as RFC 5952 does.
  return Address(`${new URL(`http://[${host}]`).hostname}:${port}`);
}

/** `name:port` or `ip:port` in its parts; the configuration has checked it. */
export function splitPlace(place: string): Endpoint {
  const colon = place.lastIndexOf(":");
  const host = place.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  return { host, port: Number(place.slice(colon + 1)) };
}
