import type { NodeId, Revision } from "#kernel";
import type { ClientWorld } from "../world.ts";
import { Life } from "./life.ts";
import type { Notebook } from "./notebook.ts";

/**
 * One client more, that knows what no client can: it reads from leaders that a later one has superseded, and from new ones that
 * have committed nothing yet. Others meet them too rarely for a read without a quorum to show.
 */
export class Doubter {
  readonly #world: ClientWorld;
  readonly #life: Life;
  #isDone = false;

  constructor(world: ClientWorld, notebook: Notebook) {
    this.#world = world;
    this.#life = new Life(0, world, notebook, () => {});
  }

  start(): void {
    const world = this.#world;
    world.after(world.electionMs / LOOKS_PER_ELECTION, () => {
      if (this.#isDone) return;
      for (const node of this.#doubtful()) this.#read(node);
      this.start();
    });
  }

  stop(): void {
    this.#isDone = true;
  }

  /** All leaders when there are two: the newer one shows what is new, and the older one may not know it. */
  #doubtful(): readonly NodeId[] {
    const leaders = this.#world.nodes.flatMap((node) => {
      const status = this.#world.status(node);
      return status?.role === "leader" ? [{ node, ...status }] : [];
    });
    return leaders.filter(({ ownTermCommitted }) => leaders.length > 1 || !ownTermCommitted).map(({ node }) => node);
  }

  #read(node: NodeId): void {
    const request = { kind: "read", mode: "linearizable", minRevision: 0 as Revision, what: "counts", key: "" } as const;
    this.#life.read(
      request,
      node,
      (reader) => reader.counts(),
      () => {},
    );
  }
}

const LOOKS_PER_ELECTION = 5;
