import type { NodeId } from "#kernel";
import { Address, type MemberRecord } from "#membership/core";
import type { NatBox } from "./nat.ts";
import type { SimMember } from "./member.ts";

/** One machine: its addresses, its disk (what a restart finds) and what the faults do to it. A process of the detector runs on it, or none. */
export interface Machine {
  readonly index: number;
  readonly id: NodeId;
  /** One for every plane of the network, in the order in which it announces them. */
  addresses: readonly Address[];
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
  /** Counted, as faults overlap. */
  readonly faults: { udp: number; slowMs: number; lossChance: number; readonly planes: number[] };
}

export function machineOf(index: number, id: NodeId, planes: number): Machine {
  return {
    index,
    id,
    addresses: addressesOf(index, 0, planes),
    generation: 0,
    nat: null,
    isUp: true,
    process: null,
    epoch: 0,
    snapshot: [],
    faults: { udp: 0, slowMs: 0, lossChance: 0, planes: Array.from({ length: planes }, () => 0) },
  };
}

/** The first plane stands for the Internet, the second for a mesh VPN; the block 198.18.0.0/15 is set aside for tests. */
export function addressesOf(index: number, generation: number, planes: number): readonly Address[] {
  return Array.from({ length: planes }, (_, plane) => {
    const host = `${(index >> 8) & 255}.${index & 255}`;
    const network = plane === 0 ? `198.${18 + (generation % 2)}` : `${100 + (plane - 1)}.${64 + (generation % 2)}`;
    return Address(`${network}.${host}:${8771 + generation}`);
  });
}
