import type { MemberState, Reach } from "#membership/core";
import type { MetricName } from "../metrics.ts";

/** A scenario file, read: what must hold, and one script per row of its table. */
export interface SwimScenario {
  readonly sentence: string;
  readonly source: string;
  /** How many runs of it the proof wants (`# proof: 200 seeds`). */
  readonly proofSeeds: number;
  /** What a run may cost on one core (`# proof: under 10m of processor time`); null: whatever it takes. */
  readonly proofProcessorMs: number | null;
  readonly rows: readonly SwimScript[];
}

/** One cluster, one network, what happens to them, and what is expected of every run. Times count from the end of the warm-up. */
export interface SwimScript {
  /** The row's name; empty for a file without a table. */
  readonly name: string;
  readonly nodes: number;
  readonly profile: string;
  readonly settings: readonly Setting[];
  readonly network: NetworkScript;
  readonly groups: ReadonlyMap<string, Selector>;
  /** Not started before an action starts them. */
  readonly absent: Selector;
  readonly seeds: Selector;
  readonly nats: readonly NatScript[];
  readonly labels: readonly Named[];
  /** Names of keys, the primary first. */
  readonly keys: readonly Named[];
  readonly announcements: readonly Announced[];
  readonly start: StartKind;
  /** How long a cluster that has come together runs before the clock of the script starts. */
  readonly settleMs: number;
  readonly runMs: number;
  readonly steps: readonly Step[];
  readonly expectations: readonly Expectation[];
}

/** `joining`: they know the seeds, and come together. `warm`: all know all, as if they had been together for long. */
export type StartKind = (typeof START_KINDS)[number];
export const START_KINDS = ["joining", "warm"] as const;

/** An option of the detector that differs from the profile, everywhere or at some nodes. */
export interface Setting {
  readonly line: number;
  readonly option: string;
  readonly value: number | boolean;
  readonly of: Selector;
}

export interface NetworkScript {
  readonly delay: Delay;
  readonly lossChance: number;
  readonly duplicateChance: number;
  /** Streams lose time with the loss rate, or they do not. */
  readonly streams: "delayed" | "lossless";
  /** Names of the networks on which every node has an address, in the order in which it announces them. */
  readonly planes: readonly string[];
}

/** Of one way. `perLink`: drawn once for a pair of nodes, then up to a tenth more per packet; otherwise per packet. */
export type Delay = { readonly perLink: boolean } & (
  | { readonly kind: "uniform"; readonly fromMs: number; readonly toMs: number }
  | { readonly kind: "lognormal"; readonly medianMs: number; readonly sigma: number }
);

export interface NatScript {
  readonly of: Selector;
  readonly mappingMs: number;
  /** A mapping of its own per destination, which nobody else can use. */
  readonly endpointDependent: boolean;
}

export interface Named {
  readonly of: Selector;
  readonly names: readonly string[];
}

/** Nodes that tell others of some of their networks only. */
export interface Announced {
  readonly of: Selector;
  readonly planes: readonly string[];
}

/** Nodes: by name, by group, or drawn anew at the moment of the step. */
export type Selector = readonly SelectorTerm[];
export type SelectorTerm =
  | { readonly kind: "nodes"; readonly from: number; readonly to: number }
  | { readonly kind: "group"; readonly name: string }
  | { readonly kind: "all" }
  /** The member that is the node's best relay at the moment; none if it needs none. */
  | { readonly kind: "relay-of"; readonly node: number }
  /** Running nodes that no fault holds. */
  | { readonly kind: "random"; readonly count: number };

export interface Step {
  readonly line: number;
  readonly text: string;
  /** Each node of the step gets its own moment in this range. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly everyMs: number | null;
  readonly times: number;
  readonly action: Action;
}

export interface Range {
  readonly fromMs: number;
  readonly toMs: number;
}

export type StateKept = "kept" | "lost" | "lost by half";

/** `forMs` null: until the run ends. */
export type Action =
  | { readonly kind: "kill"; readonly of: Selector }
  | { readonly kind: "crash"; readonly of: Selector }
  | {
      readonly kind: "start";
      readonly of: Selector;
      readonly state: StateKept;
      readonly moved: boolean;
      /** The primary first; null: the keys that it had. */
      readonly keys: readonly string[] | null;
    }
  | {
      readonly kind: "restart";
      readonly of: Selector;
      readonly down: Range;
      readonly state: StateKept;
      readonly moved: boolean;
    }
  | { readonly kind: "leave"; readonly of: Selector }
  | { readonly kind: "duplicate"; readonly of: Selector }
  | { readonly kind: "move"; readonly of: Selector }
  | { readonly kind: "announce"; readonly of: Selector; readonly planes: readonly string[] }
  | { readonly kind: "pause"; readonly of: Selector; readonly forMs: number | null }
  | { readonly kind: "block"; readonly of: Selector; readonly forMs: number | null }
  | { readonly kind: "starve"; readonly of: Selector; readonly by: Range; readonly forMs: number | null }
  | { readonly kind: "partition"; readonly of: Selector; readonly from: Selector | null; readonly forMs: number | null }
  | { readonly kind: "cut"; readonly of: Selector; readonly to: Selector; readonly forMs: number | null }
  | { readonly kind: "drop udp"; readonly of: Selector; readonly forMs: number | null }
  | { readonly kind: "drop plane"; readonly plane: string; readonly of: Selector; readonly forMs: number | null }
  | { readonly kind: "lose"; readonly chance: number; readonly of: Selector; readonly forMs: number | null }
  | { readonly kind: "slow"; readonly of: Selector; readonly byMs: number; readonly forMs: number | null }
  | { readonly kind: "drift"; readonly of: Selector; readonly rate: number }
  | {
      readonly kind: "key";
      readonly command: "install-key" | "use-key" | "remove-key";
      readonly key: string;
      readonly of: Selector;
    }
  | { readonly kind: "forget"; readonly of: Selector; readonly by: Selector }
  | { readonly kind: "see"; readonly observers: Selector; readonly of: Selector; readonly sight: Sight };

/** How an observer must hold a member at a moment. `running`: alive or suspect; `absent`: not known at all. */
export interface Sight {
  readonly state: MemberState | "running" | "absent";
  readonly reach: Reach | null;
}

export type Comparison = "=" | "<" | "<=" | ">" | ">=";
export type Statistic = "p50" | "p90" | "p99" | "max" | "min" | "mean" | "total" | "count";

export interface Expectation {
  readonly line: number;
  readonly text: string;
  readonly metric: MetricName;
  /** Null: a number of each single run. */
  readonly statistic: Statistic | null;
  readonly comparison: Comparison;
  /** Milliseconds for a duration. */
  readonly value: number;
  readonly of: Selector | null;
  readonly fromMs: number | null;
  readonly toMs: number | null;
}
