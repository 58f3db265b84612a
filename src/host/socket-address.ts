import type { Endpoint } from "#ports";

/** `203.0.113.7:8771` or `[2001:db8::7]:8771` in its parts. */
export function hostAndPort(address: string): Endpoint {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon);
  const port = Number(address.slice(colon + 1));
  return host.startsWith("[") ? { host: host.slice(1, -1), port } : { host, port };
}
