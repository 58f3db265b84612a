import { type Address, formatEndpoint, parseIp } from "#membership/core";
import type { Endpoint } from "#ports";

/** The one spelling of an endpoint, so that addresses compare as text; null where it is none that others could dial (a zone). */
export function canonicalAddress({ host, port }: Endpoint): Address | null {
  const ip = parseIp(host);
  return ip === null || port < 1 ? null : formatEndpoint(ip, port);
}

/** `name:port` or `ip:port` in its parts; the configuration has checked it. */
export function splitPlace(place: string): Endpoint {
  const colon = place.lastIndexOf(":");
  const host = place.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  return { host, port: Number(place.slice(colon + 1)) };
}
