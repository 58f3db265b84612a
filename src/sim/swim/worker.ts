import { runOne } from "./batch.ts";
import { realCore } from "./real-core.ts";
import { parseSwimScenario } from "./scenario/parse.ts";
import type { SwimScript } from "./scenario/script.ts";
import type { WorkerTask } from "./workers.ts";

// One process of `--jobs`: the task comes first, then one seed after the other, each answered with its summary.
let script: SwimScript | null = null;
let seal = false;

process.on("message", (message: WorkerTask | number) => {
  if (typeof message === "number") {
    process.send!(runOne(script!, message, { launch: realCore(seal), onLine: null }));
    return;
  }
  script = parseSwimScenario(message.text, message.overrides).rows[message.row]!;
  seal = message.seal;
});
