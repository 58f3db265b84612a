import type { NodeId } from "#kernel";
import type { Address, Seed } from "#membership/core";
import type { Timers } from "#ports";
import { canonicalAddress, splitPlace } from "./address.ts";

/** A system's resolver goes through its servers for half a minute. */
const PATIENCE_MS = 2_000;

/** The IP addresses of a name; empty where it has none, or nobody answers. Never rejects. */
export type ResolveName = (name: string) => Promise<readonly string[]>;

/** A seed as people write it: addresses may be names. */
export interface SeedPlaces {
  readonly id: NodeId | null;
  readonly addresses: readonly string[];
}

/**
 * Addresses for `places` in their order, each name replaced by all that it stands for, sorted: name servers answer in a different
 * order each time, and a member that took that for another address would claim a new incarnation with every look.
 */
export async function addressesOf(places: readonly string[], resolve: ResolveName): Promise<readonly Address[]> {
  const found = await Promise.all(
    places.map(async (place) => {
      const endpoint = splitPlace(place);
      const literal = canonicalAddress(endpoint);
      if (literal !== null) return [literal];
      const hosts = await resolve(endpoint.host);
      const resolved = hosts.map((host) => canonicalAddress({ host, port: endpoint.port }));
      return resolved.filter((address) => address !== null).toSorted();
    }),
  );
  return [...new Set(found.flat())];
}

/**
 * A name that nobody answers for at the moment keeps the addresses that it had: a failing name server moves nobody. One that is
 * silent holds nobody up either: its answer counts the next time, and it is not asked again meanwhile.
 */
export function rememberingResolver(resolve: ResolveName, timers: Timers): ResolveName {
  const known = new Map<string, readonly string[]>();
  const asked = new Map<string, Promise<void>>();
  const ask = async (name: string): Promise<void> => {
    const found = await resolve(name);
    asked.delete(name);
    if (found.length > 0) known.set(name, found);
  };
  return async (name) => {
    const asking = asked.get(name) ?? ask(name);
    asked.set(name, asking);
    const { promise: overdue, resolve: giveUp } = Promise.withResolvers<void>();
    const patience = timers.after(PATIENCE_MS, giveUp);
    await Promise.race([asking, overdue]);
    patience.cancel();
    return known.get(name) ?? [];
  };
}

/** Seeds none of whose names is known now are left out: they are looked up again later. */
export async function seedsOf(places: readonly SeedPlaces[], resolve: ResolveName): Promise<readonly Seed[]> {
  const seeds = await Promise.all(
    places.map(async ({ id, addresses }) => ({ id, addresses: await addressesOf(addresses, resolve) })),
  );
  return seeds.filter((seed) => seed.addresses.length > 0);
}
