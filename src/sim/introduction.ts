import type { NodeId } from "#kernel";
import { type DirectoryFault, type PeerDirectories, type ShownDirectory, isShutOut } from "#storage";

/** A majority of the voters refuses the data directory of a process: it ends, and a restart cures nothing. */
export class DirectoryRefused extends Error {
  override readonly name = "DirectoryRefused";
}

/** What one life of a process shows of its data directory, what it remembers of its peers', and who refuses it. */
export class Introduction {
  readonly shown: ShownDirectory;
  readonly directories: PeerDirectories;
  readonly #refusedBy = new Set<NodeId>();
  readonly #voters: () => readonly NodeId[];
  readonly #end: (error: DirectoryRefused) => void;

  constructor(
    own: { readonly shown: ShownDirectory; readonly directories: PeerDirectories },
    voters: () => readonly NodeId[],
    end: (error: DirectoryRefused) => void,
  ) {
    this.shown = own.shown;
    this.directories = own.directories;
    this.#voters = voters;
    this.#end = end;
  }

  /** By a voter: a spare node that was never added hears of no removal, and goes on refusing whom it met once. */
  get isRefused(): boolean {
    return this.#voters().some((voter) => this.#refusedBy.has(voter));
  }

  /** `fault` null: the peer accepts this process. */
  heard(by: NodeId, fault: DirectoryFault | null): void {
    if (fault === null) this.#refusedBy.delete(by);
    else this.#refusedBy.add(by);
    if (isShutOut(this.#refusedBy, this.#voters())) this.#end(new DirectoryRefused(`refused by ${[...this.#refusedBy].join()}`));
  }
}
