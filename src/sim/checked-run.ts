import { type RunResult, runSeed } from "./run.ts";
import type { RunOverrides } from "./swarm.ts";

/** Every so many seeds run twice: both runs must do the same. */
const TWICE_EVERY = 20;

/** One seed, and now and then the same seed again: what differs is not a function of the seed. */
export async function checkedRun(seed: number, overrides: RunOverrides): Promise<RunResult> {
  const result = await runSeed(seed, { overrides });
  if (seed % TWICE_EVERY !== 0 || result.failure !== null) return result;
  const again = await runSeed(seed, { overrides });
  if (again.fingerprint === result.fingerprint) return result;
  const problem = `two runs of one seed differ: ${result.fingerprint} and ${again.fingerprint}`;
  return { ...result, failure: { checker: "determinism", problem, atMs: result.simulatedMs } };
}
