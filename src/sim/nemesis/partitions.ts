import { type NodeId, assertNever } from "#kernel";
import type { Dice } from "../time/random.ts";

export const partitionModes = [
  "isolate-one",
  "isolate-leader",
  "minority",
  "uniform",
  "bridge",
  "majorities-ring",
  "partial-mesh",
  "leader-deaf",
  "leader-mute",
] as const;
export type PartitionMode = (typeof partitionModes)[number];

export interface Cut {
  readonly from: NodeId;
  readonly to: NodeId;
}

/** Which directions are cut in a partition of this kind. */
export function splitOf(mode: PartitionMode, nodes: readonly NodeId[], leader: NodeId, dice: Dice): readonly Cut[] {
  const mixed = dice.shuffled(nodes);
  const others = nodes.filter((node) => node !== leader);
  switch (mode) {
    case "isolate-one":
      return between([mixed[0]!], mixed.slice(1));
    case "isolate-leader":
      return between([leader], others);
    case "minority": {
      const size = Math.max(1, Math.floor((nodes.length - 1) / 2));
      return between(mixed.slice(0, size), mixed.slice(size));
    }
    case "uniform": {
      const size = dice.int(1, Math.max(1, nodes.length - 1));
      return between(mixed.slice(0, size), mixed.slice(size));
    }
    case "bridge": {
      // Two halves that see each other only through one node.
      const [, ...rest] = mixed;
      const half = Math.floor(rest.length / 2);
      return between(rest.slice(0, half), rest.slice(half));
    }
    case "majorities-ring": {
      // Everybody sees a majority, and no two the same one.
      const reach = Math.ceil(Math.floor(nodes.length / 2) / 2);
      return pairs(mixed).filter(({ from, to }) => {
        const apart = Math.abs(mixed.indexOf(from) - mixed.indexOf(to));
        return Math.min(apart, mixed.length - apart) > reach;
      });
    }
    case "partial-mesh":
      // One node sees one other and nobody else: without pre-vote and check-quorum this never settles.
      return between([mixed[0]!], mixed.slice(2));
    case "leader-deaf":
      return others.map((from) => ({ from, to: leader }));
    case "leader-mute":
      return others.map((to) => ({ from: leader, to }));
    default:
      return assertNever(mode, "partition mode");
  }
}

function between(one: readonly NodeId[], other: readonly NodeId[]): readonly Cut[] {
  return one.flatMap((a) =>
    other.flatMap((b) => [
      { from: a, to: b },
      { from: b, to: a },
    ]),
  );
}

function pairs(nodes: readonly NodeId[]): readonly Cut[] {
  return nodes.flatMap((from) => nodes.filter((to) => to !== from).map((to) => ({ from, to })));
}
