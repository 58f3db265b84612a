import { parseArgs } from "node:util";
import { countOf, runScript } from "../command-line.ts";
import { SINGLE_CRASH } from "../single-crash.ts";
import { hostileDatagrams } from "./hostile-datagrams.ts";
import { shown } from "./item.ts";
import { lifeguardItem } from "./lifeguard.ts";
import { scenarioItem, scenariosIn } from "./scenarios.ts";

const USAGE = `npm run sim:swim:proof [-- --jobs 2] [--only TEXT]...
  all that the detector is to show in the simulator, with all seeds: one line for each limit, the short parts first
  --jobs J       in J processes (default 2)
  --only TEXT    the parts whose name has TEXT in it
  --list         the parts, and nothing else
Exit: 0 all limits hold, 1 one does not, 64 the command line is wrong.`;

const LIFEGUARD_SEEDS = 5;
const root = new URL("../../../../", import.meta.url);

process.exitCode = await runScript(USAGE, readArguments, main);

async function main(asked: Arguments): Promise<number> {
  const items = [
    scenarioItem("single crash, no --scenario", SINGLE_CRASH),
    ...scenariosIn(new URL("test/membership/scenarios/", root)),
    lifeguardItem(LIFEGUARD_SEEDS),
    hostileDatagrams(1_000_000, root),
  ].toSorted((a, b) => a.cost - b.cost);
  let misses = 0;
  for (const item of items) {
    if (asked.only.length > 0 && !asked.only.some((text) => item.name.includes(text))) continue;
    if (asked.isList) {
      print(item.name);
      continue;
    }
    for (const line of await item.run(asked.jobs)) {
      if (line.holds === false) misses += 1;
      print(shown(line));
    }
  }
  if (!asked.isList) print(misses === 0 ? "all limits hold" : `${misses} limits missed`);
  return misses === 0 ? 0 : 1;
}

interface Arguments {
  readonly jobs: number;
  readonly only: readonly string[];
  readonly isList: boolean;
}

function readArguments(): Arguments {
  const { values } = parseArgs({
    strict: true,
    options: {
      jobs: { type: "string", default: "2" },
      only: { type: "string", multiple: true, default: [] },
      list: { type: "boolean", default: false },
    },
  });
  return { jobs: countOf("jobs", values.jobs), only: values.only, isList: values.list };
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
