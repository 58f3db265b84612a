import type { NodeId } from "#kernel";
import type { FormerLives, MachineFacts, MembershipSetup, Removal, Testimony } from "#membership";
import type { MemberRecord } from "#membership/core";
import type { LogFields, PulseSnapshot } from "#ports";

/** What the two threads say to each other; everything by value, except the beat counter, which is shared memory. */

/** Who may change something over HTTP: callers on this machine, and those with the key. */
export interface PostRules {
  /** Names that a Host header may have besides `localhost` and any address. */
  readonly hostNames: readonly string[];
  /** Of the admin key, in hex; the key itself has no business in this thread. Null: there is none. */
  readonly adminKeySha256: string | null;
}

/** A node that takes part in membership. The gossip keys are here: this thread seals. */
export interface PulseMembership {
  readonly setup: MembershipSetup;
  /** Where the keys of `setup` were read; rewritten when they are changed. Null in mode `http`. */
  readonly keyFile: string | null;
  /** `ip:port` of datagrams and streams. */
  readonly bind: string;
  readonly machine: MachineFacts;
}

export interface PulseStart {
  readonly host: string;
  readonly port: number;
  readonly nodeId: string;
  readonly posts: PostRules;
  /** Main silent for longer: held dead, by gossip and by polling, whatever the last snapshot said. A hung process must not look alive for ever. */
  readonly maxMainStallMs: number;
  /** Null: no detector runs, and nothing of one is loaded. */
  readonly membership: PulseMembership | null;
  /** One Int32 that main increments while its event loop turns. */
  readonly beats: SharedArrayBuffer;
  /** One Int32, written by the pulse thread: how many members its detector holds alive or suspect, this node included; −1: unknown. */
  readonly present: SharedArrayBuffer;
}

export type ToPulse =
  | { readonly kind: "snapshot"; readonly snapshot: PulseSnapshot }
  | { readonly kind: "answer"; readonly id: number; readonly code: number; readonly body: object }
  /** Begin a life: its number is durable. A life that still runs ends without a word. */
  | { readonly kind: "join"; readonly lives: FormerLives }
  /** Answered by `seen`: what this node can say of the absent and of those in `about`. */
  | { readonly kind: "look"; readonly id: number; readonly about: readonly NodeId[] }
  | { readonly kind: "remove"; readonly removals: readonly Removal[] }
  /** Say goodbye; answered by `left`. */
  | { readonly kind: "leave" }
  | { readonly kind: "close" };

export type FromPulse =
  | { readonly kind: "listening"; readonly port: number }
  | { readonly kind: "request"; readonly id: number; readonly path: string; readonly body: string }
  | { readonly kind: "seen"; readonly id: number; readonly testimony: Testimony | null }
  | { readonly kind: "failed"; readonly listener: "http" | "membership"; readonly code: string; readonly message: string }
  | { readonly kind: "membership"; readonly event: MembershipEvent };

/** What membership asks of main, which has the disk and the log. */
export type MembershipEvent =
  /** To be made durable: a later boot must be above it. */
  | { readonly kind: "boot"; readonly boot: number }
  /** To be remembered across a restart. */
  | { readonly kind: "members"; readonly members: readonly MemberRecord[] }
  /** Main was silent too long and the last life has ended for it; another one needs a number. */
  | { readonly kind: "life-wanted" }
  | { readonly kind: "left" }
  | { readonly kind: "log"; readonly level: "info" | "warn" | "error"; readonly message: string; readonly fields: LogFields };

/** Main beats at this pace; the thread looks at the same pace. */
export const BEAT_MS = 200;
/** The count of present members is as old as that at most. */
export const PRESENT_MS = 1_000;
/** Silent for longer: `/health` says degraded, and why; other members are told. */
export const DEGRADED_AFTER_MS = 2_000;
