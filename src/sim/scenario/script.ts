import type { LogIndex, NodeId } from "#kernel";
import type { MembershipChange, Message, RaftOptions } from "#raft";
import type { Expectation } from "./expectations.ts";
import type { MessageWords } from "./message-words.ts";

/** A scenario file, parsed: what must hold, where it comes from, and one run of it for every row of its table. */
export interface Script {
  readonly sentence: string;
  readonly source: string;
  readonly rows: readonly Row[];
  /** The golden trace, null when the file has none; it begins behind line `line`. */
  readonly trace: { readonly line: number; readonly lines: readonly string[] } | null;
}

export interface Row {
  /** `log=1,2 term=3`; empty in a file without a table. */
  readonly name: string;
  readonly members: Members;
  readonly statements: readonly Statement[];
}

/** Who there is, known before anything happens. */
export interface Members {
  readonly voters: readonly NodeId[];
  readonly outgoing: readonly NodeId[] | null;
  readonly learners: readonly NodeId[];
  /** They run, but no configuration names them yet. */
  readonly outside: readonly NodeId[];
  /** Members without a process: the script speaks for them. */
  readonly absent: readonly NodeId[];
}

export interface Statement {
  readonly line: number;
  readonly column: number;
  readonly text: string;
  readonly action: Action;
}

export type OptionValues = Partial<RaftOptions>;

export type Action =
  | { readonly kind: "voters" | "outgoing" | "learners" | "outside" | "absent"; readonly nodes: readonly NodeId[] }
  | { readonly kind: "options"; readonly nodes: readonly NodeId[] | null; readonly values: OptionValues }
  | {
      readonly kind: "node";
      readonly node: NodeId;
      readonly log: readonly number[];
      readonly term: number | null;
      readonly vote: NodeId | null;
      readonly snapshot: LogIndex | null;
      readonly suspect: boolean;
    }
  | { readonly kind: "timeout"; readonly nodes: readonly NodeId[]; readonly ticks: number }
  | { readonly kind: "seed"; readonly seed: number }
  | { readonly kind: "start" | "unblock" | "heal" }
  | { readonly kind: "tick"; readonly nodes: readonly NodeId[]; readonly times: number }
  | { readonly kind: "run"; readonly rounds: number }
  | { readonly kind: "settle"; readonly nodes: readonly NodeId[] | null }
  | { readonly kind: "deliver"; readonly count: number; readonly pattern: MessageWords }
  | { readonly kind: "drop" | "block"; readonly pattern: MessageWords }
  | { readonly kind: "hold" | "release"; readonly what: Holdable }
  | { readonly kind: "cut"; readonly from: NodeId; readonly to: NodeId; readonly oneWay: boolean }
  | { readonly kind: "isolate" | "campaign"; readonly nodes: readonly NodeId[] }
  | { readonly kind: "propose"; readonly node: NodeId; readonly batches: readonly (readonly string[])[] }
  | { readonly kind: "read"; readonly node: NodeId; readonly label: string | null }
  | {
      readonly kind: "receive";
      readonly node: NodeId;
      readonly from: NodeId;
      readonly message: Message["kind"];
      readonly words: MessageWords;
    }
  | { readonly kind: "persist"; readonly node: NodeId; readonly batches: number }
  | { readonly kind: "apply"; readonly node: NodeId; readonly entries: number }
  | { readonly kind: "install"; readonly node: NodeId }
  | { readonly kind: "crash"; readonly nodes: readonly NodeId[]; readonly written: number }
  | { readonly kind: "restart"; readonly nodes: readonly NodeId[] }
  | { readonly kind: "compact"; readonly node: NodeId; readonly keep: number }
  | { readonly kind: "disconnect"; readonly node: NodeId; readonly peer: NodeId }
  | { readonly kind: "transfer"; readonly node: NodeId; /** null: the best fit */ readonly to: NodeId | null }
  | { readonly kind: "change"; readonly node: NodeId; readonly change: MembershipChange }
  | {
      readonly kind: "measure";
      readonly role: "follower" | "candidate";
      readonly nodes: readonly NodeId[];
      readonly rounds: number;
    }
  | { readonly kind: "expect"; readonly expectation: Expectation };

/** What a script can keep back and let go again. */
export type Holdable =
  | { readonly kind: "disk" | "apply" | "install"; readonly nodes: readonly NodeId[] }
  | { readonly kind: "messages"; readonly pattern: MessageWords };
