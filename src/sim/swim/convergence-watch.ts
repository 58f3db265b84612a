import { swimConvergence } from "#membership";
import type { MembershipView, SwimOptions } from "#membership/core";
import type { Machine } from "./machine.ts";
import type { Measures } from "./measures.ts";

/** Digests may differ for so long before nobody may say that the cluster has converged. */
const DISAGREEMENT_MS = 5_000;

interface Look {
  readonly machine: Machine;
  readonly view: MembershipView;
  readonly isConverged: boolean;
}

/** Holds what each member's health says (`/health?converged=true`) against what all of them hold (incident I12). */
export class ConvergenceWatch {
  readonly #machines: readonly Machine[];
  readonly #options: SwimOptions;
  readonly #measures: Measures;
  readonly #now: () => number;
  /** Since when two members' digests have differed at every look, by their indexes. */
  #differ = new Map<string, number>();
  /** The start after which all have said that the cluster has converged. */
  #answeredStartMs: number;

  constructor(machines: readonly Machine[], options: SwimOptions, measures: Measures, now: () => number) {
    this.#machines = machines;
    this.#options = options;
    this.#measures = measures;
    this.#now = now;
    this.#answeredStartMs = now();
  }

  look(): void {
    const looks = this.#machines.flatMap((machine): Look[] => {
      if (machine.process === null || machine.process.isPaused) return [];
      const view = machine.process.view();
      return [{ machine, view, isConverged: swimConvergence(view, this.#options).every(({ broken }) => broken === null) }];
    });
    if (this.#hasLongDisagreement(looks)) {
      for (const { isConverged } of looks) if (isConverged) this.#measures.happened("called-converged-too-soon");
    }
    const lastStartMs = Math.max(...looks.map(({ machine }) => machine.process!.startedMs));
    if (lastStartMs <= this.#answeredStartMs || !looks.every(({ isConverged }) => isConverged)) return;
    this.#answeredStartMs = lastStartMs;
    this.#measures.sample("called-converged", this.#now() - lastStartMs);
  }

  #hasLongDisagreement(looks: readonly Look[]): boolean {
    const differ = new Map<string, number>();
    for (const a of looks) {
      for (const b of looks) {
        if (a.machine.index >= b.machine.index || a.view.digest === b.view.digest) continue;
        const pair = `${a.machine.index} ${b.machine.index}`;
        differ.set(pair, this.#differ.get(pair) ?? this.#now());
      }
    }
    this.#differ = differ;
    return [...differ.values()].some((sinceMs) => this.#now() - sinceMs > DISAGREEMENT_MS);
  }
}
