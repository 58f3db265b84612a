import type { Cluster } from "./cluster.ts";
import type { Dice } from "./time/random.ts";
import type { Scheduler } from "./time/scheduler.ts";

export interface NemesisPorts {
  readonly scheduler: Scheduler;
  readonly dice: Dice;
  readonly onFault: (what: string) => void;
}

export class Nemesis {
  constructor(_cluster: Cluster, _ports: NemesisPorts) {}
  start(): void {}
  heal(): void {}
}
