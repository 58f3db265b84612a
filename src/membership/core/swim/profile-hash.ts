import { fnv1aOfText } from "./fnv1a.ts";
import { swimKnobs, type SwimOptions } from "./options.ts";
import { ProfileHash } from "./types.ts";

/**
 * What all members must share for one node's verdict to mean what another's means. Two nodes once ran with a dead timeout of
 * 150 s and of 90 s, and nobody knew. Bounds, back-off and paths are a node's own business.
 */
const shared = [
  "periodMs",
  "probeTimeoutMs",
  "indirectProbes",
  "suspicionMultiplier",
  "suspicionMaxMultiplier",
  "suspicionConfirmations",
  "retransmitMultiplier",
  "gossipIntervalMs",
  "gossipFanOut",
  "tombstoneMs",
] as const satisfies readonly (keyof SwimOptions)[];

/** FNV-1a over the shared options' names and values: stable between versions that know the same options. */
export function profileHashOf(options: SwimOptions): ProfileHash {
  return ProfileHash(fnv1aOfText(shared.map((field) => `${swimKnobs[field].key}=${options[field]};`).join("")));
}
