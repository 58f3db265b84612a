import type { MonotonicMs, NodeId, Random } from "#kernel";
import type { Address, MemberNumbers, MemberRecord, Metadata, Seed, SwimCore } from "#membership/core";
import type { Dice } from "../time/random.ts";

/** What the simulator knows about one life of a member when it starts. */
export interface Launch {
  /** By the member's own clock. */
  readonly now: MonotonicMs;
  readonly id: NodeId;
  readonly label: string;
  readonly epoch: number;
  readonly addresses: readonly Address[];
  readonly metadata: Metadata;
  readonly seeds: readonly Seed[];
  /** Held from the first moment. */
  readonly members: readonly MemberRecord[];
  /** The primary first. */
  readonly keys: readonly Uint8Array[];
  readonly profile: string;
  /** Options in which this member differs from the profile. */
  readonly settings: Readonly<Record<string, number | boolean>>;
  readonly random: Random;
  /** Shared by all cores of the run. */
  readonly numbers: MemberNumbers;
  /** For bytes that no other life may draw. */
  readonly nonceDice: Dice;
}

/** Makes the core of one life. The real one in every scenario; the simulator's own tests hand in a smaller one. */
export type LaunchCore = (launch: Launch) => SwimCore;
