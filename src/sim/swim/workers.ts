import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { scriptOptions } from "./real-core.ts";
import { type Report, reportOf } from "./report.ts";
import type { ScriptOverrides } from "./scenario/parse.ts";
import type { SwimScript } from "./scenario/script.ts";
import type { RunSummary } from "./summary.ts";

/** What a worker process needs to know to run the script: it reads the file itself. */
export interface WorkerTask {
  readonly text: string;
  readonly overrides: ScriptOverrides;
  /** Which row of the file's table. */
  readonly row: number;
  readonly seal: boolean;
}

export interface WorkerOptions {
  readonly seeds: readonly number[];
  readonly jobs: number;
}

/** As `runBatch`, in `jobs` processes. A run is a function of script and seed, so the report is the same. */
export async function runOnWorkers(script: SwimScript, task: WorkerTask, { seeds, jobs }: WorkerOptions): Promise<Report> {
  scriptOptions(script);
  const queue = [...seeds];
  const runs: RunSummary[] = [];
  const count = Math.min(jobs, seeds.length);
  await Promise.all(Array.from({ length: count }, () => worker(task, queue, (run) => runs.push(run))));
  return reportOf(script, runs);
}

/** One child process works off seeds until there are none. */
function worker(task: WorkerTask, queue: number[], onRun: (run: RunSummary) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL("worker.ts", import.meta.url)), [], { serialization: "advanced" });
    const next = (): void => {
      const seed = queue.shift();
      if (seed === undefined) child.disconnect();
      else child.send(seed);
    };
    child.on("message", (run) => {
      onRun(run as RunSummary);
      next();
    });
    child.on("error", reject);
    child.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`))));
    child.send(task);
    next();
  });
}
