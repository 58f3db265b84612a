import { runSeed } from "./run.ts";
import { type RunOverrides, faultKinds, swarm } from "./swarm.ts";

/**
 * Makes a failing run smaller while the same checker still fails: fewer nodes, fewer kinds of faults, a shorter run, fewer
 * clients. Returns the overrides of the smallest one found; `say` is told of each step.
 */
export async function shrink(seed: number, given: RunOverrides, say: (line: string) => void): Promise<RunOverrides> {
  const first = await runSeed(seed, { overrides: given });
  if (first.failure === null) {
    say("nothing to shrink: the run is clean");
    return given;
  }
  const { checker } = first.failure;
  let best = given;
  const keepsFailing = async (change: RunOverrides): Promise<boolean> => {
    const candidate = { ...best, ...change };
    const { failure } = await runSeed(seed, { overrides: candidate });
    if (failure?.checker !== checker) return false;
    best = candidate;
    say(`still ${checker} at ${(failure.atMs / 1_000).toFixed(1)} s with ${JSON.stringify(change)}`);
    return true;
  };
  for (const voters of [1, 2, 3, 5].filter((fewer) => fewer < first.config.voters)) if (await keepsFailing({ voters })) break;
  let kinds = faultKinds.filter((kind) => swarm(seed, best).faults[kind] !== undefined);
  for (const kind of kinds) {
    const fewer = kinds.filter((other) => other !== kind);
    if (await keepsFailing({ faults: fewer })) kinds = fewer;
  }
  for (const minutes of [0.5, 1, 2].filter((shorter) => shorter < (best.minutes ?? 5)))
    if (await keepsFailing({ minutes })) break;
  for (const clients of [1, 2, 4].filter((fewer) => fewer < first.config.load.clients))
    if (await keepsFailing({ clients })) break;
  return best;
}
