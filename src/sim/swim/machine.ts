import type { NodeId } from "#kernel";
import { Address, type MemberRecord } from "#membership/core";
import type { NatBox } from "./nat.ts";
import type { SimMember } from "./member.ts";

/** One machine: its addresses, its disk (what a restart finds) and what the faults do to it. A process of the detector runs on it, or none. */
export interface Machine {
  readonly index: number;
  readonly id: NodeId;
  /** One for every plane of the network. */
  addresses: readonly Address[];
  /** The planes that it tells others of, in this order; null: all, as they stand. */
  announced: readonly number[] | null;
  /** Rises with every change of address, so that none is ever given twice. */
  generation: number;
  nat: NatBox | null;
  /** False after a crash: nothing answers any more. After a kill the machine still refuses streams. */
  isUp: boolean;
  process: SimMember | null;
  /** The boot count on its disk; 0 when there is none, or it was lost. */
  epoch: number;
  /** The members that its last life knew, also on its disk. */
  snapshot: readonly MemberRecord[];
  /** Names of the keys with which its next life starts, the primary first; null: as the script says for all. */
  keys: readonly string[] | null;
  /** Keys that the script had removed here, whether or not a process heard of it. */
  readonly removedKeys: Set<string>;
  /** Counted, as faults overlap. */
  readonly faults: { udp: number; slowMs: number; lossChance: number; readonly planes: number[] };
}

export function machineOf(index: number, id: NodeId, planes: number): Machine {
  return {
    index,
    id,
    addresses: addressesOf(index, 0, planes),
    announced: null,
    generation: 0,
    nat: null,
    isUp: true,
    process: null,
    epoch: 0,
    snapshot: [],
    keys: null,
    removedKeys: new Set(),
    faults: { udp: 0, slowMs: 0, lossChance: 0, planes: Array.from({ length: planes }, () => 0) },
  };
}

/** Where it says that it can be reached. */
export function announcedBy({ addresses, announced, nat }: Machine): readonly Address[] {
  return announced === null || nat !== null ? addresses : announced.map((plane) => addresses[plane]!);
}

/** The first plane stands for the Internet, the second for a mesh VPN; the block 198.18.0.0/15 is set aside for tests. */
export function addressesOf(index: number, generation: number, planes: number): readonly Address[] {
  return Array.from({ length: planes }, (_, plane) => {
    const host = `${(index >> 8) & 255}.${index & 255}`;
    const network = plane === 0 ? `198.${18 + (generation % 2)}` : `${100 + (plane - 1)}.${64 + (generation % 2)}`;
    return Address(`${network}.${host}:${8771 + generation}`);
  });
}
