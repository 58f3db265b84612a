import { type Refusal, refusal } from "#kernel";
import { invalid } from "../check.ts";
import type { Guard } from "../command.ts";
import { fixedLimits } from "../limits.ts";
import { liveSession, type State } from "../state.ts";

/** "Only while lock L is held under token T" (Chubby's sequencer): null when all of them hold. */
export function checkGuards(state: State, guards: readonly Guard[]): Refusal | null {
  if (guards.length > fixedLimits.guards) return invalid("guards", `has more than ${fixedLimits.guards} entries`);
  for (const { lock: name, fencingToken } of guards) {
    const holder = state.locks.get(name)?.lock.holder ?? null;
    if (holder?.fencingToken === fencingToken && liveSession(state, holder.sessionId) !== null) continue;
    return refusal("FENCED", `token ${fencingToken} does not hold lock ${name} any more`, { field: "guards" });
  }
  return null;
}
