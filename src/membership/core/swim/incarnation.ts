import type { Incarnation } from "#kernel";

/** Both halves are u32 on the wire. */
const LARGEST = 0xffff_ffff;

/** Epochs between a member's last known boot and the barrier that its removal sets: twelve days of a crash loop at one boot a second. */
const REMOVAL_LEAP = 2 ** 20;

/**
 * Epochs by which others' word about a member may stand above what is held of it. A boot is one of them and a removal 2^20, so nobody
 * gets there honestly, be it a node that has lost its boot count or a joiner that knows nobody yet.
 */
const PLAUSIBLE_LEAP = 2 ** 30;

/** The next statement of a member about itself within one boot: a change of address, of metadata. */
export function nextIncarnation(own: Incarnation): Incarnation {
  return own.counter < LARGEST ? { epoch: own.epoch, counter: own.counter + 1 } : newEpoch(own.epoch);
}

/**
 * What a member says of itself to overrule `seen`, which is not older than its own word.
 *
 * Within its epoch it counts one up. A higher epoch than its own can only come from a former life whose boot count was
 * lost, or from a rival: then it opens an epoch of its own above it, so that an epoch never belongs to two boots. That
 * epoch is to be made durable (memberlist#311: restarted nodes at a low incarnation stay dead to those who remember). In the
 * last epoch of all it counts, too: one wrong word must not use up all that is left.
 */
export function incarnationAbove(seen: Incarnation, own: Incarnation): Incarnation {
  return seen.epoch === own.epoch || seen.epoch === LARGEST ? nextIncarnation(seen) : newEpoch(Math.max(seen.epoch, own.epoch));
}

/** Of a member that begins another life, `seen` being the highest incarnation under which it is known anywhere. */
export function epochAbove(seen: Incarnation, own: Incarnation): number {
  return newEpoch(Math.max(seen.epoch, own.epoch)).epoch;
}

/**
 * Whether others may say `seen` of a member that is held at `held` (null: not known). At the end of the number space nothing can be
 * refuted: one wrong word there, taken, would hold for ever.
 */
export function isPlausible(seen: Incarnation, held: Incarnation | null): boolean {
  return seen.epoch - (held?.epoch ?? 0) <= PLAUSIBLE_LEAP;
}

/**
 * The incarnation under which the operator's `forget` removes a member: far above any that the member reaches by itself, so
 * that in the plain order of incarnations neither late gossip nor a reboot undoes it. Computed once, by whoever proposes
 * the removal, and carried in the command: voters that each computed their own could remove again what was let back in.
 */
export function removalBarrier({ epoch, counter }: Incarnation): Incarnation {
  if (epoch < LARGEST) return { epoch: Math.min(epoch + REMOVAL_LEAP, LARGEST), counter: 0 };
  return { epoch, counter: Math.min(counter + REMOVAL_LEAP, LARGEST) };
}

/** The end of the number space is a fixed point: a member there cannot be refuted for, only forgotten. Nobody gets there honestly. */
function newEpoch(above: number): Incarnation {
  return above < LARGEST ? { epoch: above + 1, counter: 0 } : { epoch: LARGEST, counter: LARGEST };
}
