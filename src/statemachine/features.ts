import { accepted, type Outcome, type Refusal, refusal, refused } from "#kernel";
import { checkCount, refuse } from "./check.ts";
import type { Reply } from "./reply.ts";
import type { State } from "./state.ts";

/**
 * What came after the first version, by the level that switches it on. The level is replicated and only rises: voters that
 * are upgraded one by one all apply the same log in the same way until an operator, once all of them are new, raises it.
 *
 * 1: records of nodes and partitions, NodeDown and the session state SUSPECT, cordon and drain.
 */
export const NODES_LEVEL = 1;
/** At which a new cluster begins: all of its voters start with this version or a newer one. */
export const NEWEST_LEVEL = 1;

/** Again at the present level or below: no change, so that it may be repeated. */
export function raiseFeatureLevel(state: State, level: number): Outcome<Reply> {
  const problem = checkCount("level", level, 1, 0xffff_ffff);
  if (problem !== null) return refused(problem);
  if (level > NEWEST_LEVEL) {
    return refuse(
      "UNIMPLEMENTED",
      `feature level ${level} is not known to this version, whose newest is ${NEWEST_LEVEL}`,
      "level",
    );
  }
  if (level > state.featureLevel) setFeatureLevel(state, level);
  return accepted({ kind: "none" });
}

export function setFeatureLevel(state: State, level: number): void {
  state.digest.moveFeatureLevel(state.featureLevel, level);
  state.featureLevel = level;
}

/** Null when the cluster is at `level` or above. */
export function needsLevel(state: State, level: number, what: string): Refusal | null {
  if (state.featureLevel >= level) return null;
  return refusal(
    "BAD_STATE",
    `${what} need feature level ${level}, this cluster is at ${state.featureLevel}: raise it with \`ringraft cluster upgrade\` once every voter runs this version`,
  );
}
