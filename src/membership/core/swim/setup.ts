import type { NodeId, Random } from "#kernel";
import type { Aead } from "#ports";
import type { AllowListOptions } from "./allow-list.ts";
import type { MemberNumbers } from "./member-numbers.ts";
import type { SwimOptions } from "./options.ts";
import type { Address, MemberRecord, Metadata, Seed } from "./types.ts";

/** What one boot of a node starts with. */
export interface SwimSetup {
  readonly id: NodeId;
  /** The cluster's name, in the clear at the head of every packet: another cluster's packets are refused unread. */
  readonly label: string;
  /** This boot's number, durable before the core is made, and higher than that of any earlier boot. 1 where all was lost. */
  readonly epoch: number;
  readonly addresses: readonly Address[];
  readonly metadata: Metadata;
  readonly options: SwimOptions;
  /** Asked until one answers, and for ever after when nobody else is left. May name the node itself. */
  readonly seeds: readonly Seed[];
  /** The first one seals; all of them open. 32 bytes each. */
  readonly keys: readonly Uint8Array[];
  readonly aead: Aead;
  readonly random: Random;
  /** Who may be a member. */
  readonly allow: AllowListOptions;
  /** Shared by the cores of one process, where there are many. */
  readonly numbers?: MemberNumbers;
  /**
   * Held from the first moment, as if long joined: a cluster that is watched from its middle, since thousands that join would take longer
   * than what is to be seen. Nothing is told of it. May name the node itself.
   */
  readonly members?: readonly MemberRecord[];
}
