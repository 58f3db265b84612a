import { parseArgs } from "node:util";
import { connect } from "./client.ts";
import { runChild } from "./pipeline/child.ts";
import { runCoordinator } from "./pipeline/coordinator.ts";
import { runEvaluation } from "./pipeline/evaluation-job.ts";
import { runSelfplay } from "./pipeline/selfplay-job.ts";
import { startPipeline } from "./pipeline/start.ts";
import { runTraining } from "./pipeline/training-job.ts";
import { eloTable } from "./rating/elo-table.ts";

const USAGE = `Usage: node examples/hex-selfplay/main.ts <verb>
  start --endpoints HOST:PORT[,…]   enqueue the pipeline's coordinator (once; repeating it is harmless)
  elo --data DIRECTORY              ratings from the stored evaluation games, version 1 = 0
  selfplay | train | evaluate | coordinate   one work item; started by a worker node`;

await main();

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { endpoints: { type: "string" }, data: { type: "string" } },
  });
  switch (positionals[0]) {
    case "selfplay":
      return runChild(runSelfplay);
    case "train":
      return runChild(runTraining);
    case "evaluate":
      return runChild(runEvaluation);
    case "coordinate":
      return runChild(runCoordinator);
    case "start":
      return start(values.endpoints ?? process.env["RINGRAFT_ENDPOINTS"]);
    case "elo":
      return printElo(values.data ?? process.env["RINGRAFT_DATA"]);
    default:
      return misused();
  }
}

async function start(endpoints: string | undefined): Promise<void> {
  if (endpoints === undefined) return misused();
  const client = connect({ endpoints: endpoints.split(",") });
  try {
    const { workId, alreadyThere } = await startPipeline(client);
    process.stdout.write(alreadyThere ? `the pipeline is running already as ${workId}\n` : `the pipeline runs as ${workId}\n`);
  } finally {
    await client.close();
  }
}

function printElo(dataDirectory: string | undefined): void {
  if (dataDirectory === undefined) return misused();
  // A reader such as `head` may stop early.
  process.stdout.on("error", () => process.exit());
  for (const { model, elo, plusMinus, games } of eloTable(dataDirectory)) {
    const name = model === 0 ? "uniform-random" : `v${model}`;
    process.stdout.write(
      `${name.padEnd(15)} ${elo.toFixed(0).padStart(6)} ± ${plusMinus.toFixed(0).padStart(4)}   ${games} games\n`,
    );
  }
}

function misused(): void {
  process.stderr.write(`${USAGE}\n`);
  process.exitCode = 64;
}
