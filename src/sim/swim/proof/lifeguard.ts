import { runOnWorkers } from "../workers.ts";
import { NO_OVERRIDES, parseSwimScenario } from "../scenario/parse.ts";
import type { Item, Line } from "./item.ts";

/** Fewer false deaths than this without Lifeguard show nothing. */
const LEAST_BASELINE = 20;
const LEAST_RATIO = 10;

interface Cell {
  readonly name: string;
  readonly sick: number;
  readonly fault: string;
}

/** The Lifeguard paper's interval experiment (arXiv 1707.00788), and members that read everything late. */
const CELLS: readonly Cell[] = [
  ...[1, 8, 32].map((sick) => ({
    name: `${sick} of 128 blocked for 16.4 s`,
    sick,
    fault: "at 0s every 17.424s block sick for 16.4s",
  })),
  { name: "32 of 128 starved", sick: 32, fault: "at 0s starve sick by 0.5s..2.5s" },
];
const OFF = "set suspicion_confirmations 0; set awareness_max 0; set buddy off";

export interface CellCounts {
  readonly cell: string;
  /** False deaths, all seeds together. */
  readonly off: number;
  readonly on: number;
}

/** False deaths with Lifeguard and without it, on the same seeds. */
export async function lifeguardGrid(
  seeds: readonly number[],
  jobs: number,
  onCell: (counts: CellCounts) => void = () => {},
): Promise<readonly CellCounts[]> {
  const grid: CellCounts[] = [];
  for (const { name, sick, fault } of CELLS) {
    const arm = async (settings: string): Promise<number> => {
      const text = scenario(sick, fault, settings);
      const [script] = parseSwimScenario(text).rows;
      const report = await runOnWorkers(script!, { text, overrides: NO_OVERRIDES, row: 0, seal: false }, { seeds, jobs });
      return report.metrics["false-deaths"]!.total;
    };
    const counts = { cell: name, off: await arm(OFF), on: await arm("") };
    onCell(counts);
    grid.push(counts);
  }
  return grid;
}

/** Null: the baseline is too small to say anything. */
export function holdsTenfold({ off, on }: CellCounts): boolean | null {
  return off < LEAST_BASELINE ? null : on * LEAST_RATIO <= off;
}

export function lifeguardItem(seedCount: number): Item {
  const seeds = Array.from({ length: seedCount }, (_, at) => at + 1);
  return {
    name: "lifeguard",
    // Without it, the storm of false news makes the runs several times as dear.
    cost: 4 * CELLS.length * 2 * seedCount * 128 * 140_000,
    run: async (jobs) =>
      (await lifeguardGrid(seeds, jobs)).map((counts): Line => ({
        name: `lifeguard, ${counts.cell}`,
        expected: `false deaths at most a tenth of ${counts.off} without it`,
        found: `${counts.on} (${seedCount} runs each)`,
        holds: holdsTenfold(counts),
      })),
  };
}

function scenario(sick: number, fault: string, settings: string): string {
  return `holds: Lifeguard keeps the healthy alive.
source: the Lifeguard paper's interval experiment, N = 128, alpha 5, period 1 s
nodes 128
set period 1s
set probe_timeout 500ms
set suspicion_multiplier 5
${settings}
delay uniform 0.5ms 1.5ms
loss 1%
settle 20s
group sick random ${sick}
${fault}
run 2m
expect false-deaths >= 0
`;
}
