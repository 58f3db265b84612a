import { checkedRun } from "./checked-run.ts";
import type { RunOverrides } from "./swarm.ts";

/** A child process of `main.ts`: takes seeds by message, answers with results, ends when it is disconnected. */
const overrides = JSON.parse(process.argv[2] ?? "{}") as RunOverrides;

process.on("message", (seed) => {
  void checkedRun(seed as number, overrides).then((result) => process.send?.(result));
});
