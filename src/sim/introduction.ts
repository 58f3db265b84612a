import { NO_INDEX, type NodeId } from "#kernel";
import { type Configuration, admissionOf } from "#raft";
import { type DirectoryFault, type PeerDirectories, type ShownDirectory, isShutOut, weighingVoters } from "#storage";

/** A majority of the voters refuses the data directory of a process: it ends, and a restart cures nothing. */
export class DirectoryRefused extends Error {
  override readonly name = "DirectoryRefused";
}

/** What one life of a process shows of its data directory, what it remembers of its peers', and who refuses it. */
export class Introduction {
  readonly directories: PeerDirectories;
  readonly #own: Own;
  readonly #refusedBy = new Set<NodeId>();
  readonly #end: (error: DirectoryRefused) => void;

  constructor(own: Own, directories: PeerDirectories, end: (error: DirectoryRefused) => void) {
    this.#own = own;
    this.directories = directories;
    this.#end = end;
  }

  get shown(): ShownDirectory {
    const { node, directory, configuration } = this.#own;
    return { ...directory, admission: admissionOf(configuration(), node) ?? NO_INDEX };
  }

  /** By a voter; it stands in the node's health. */
  get isRefused(): boolean {
    return this.#voters.some((voter) => this.#refusedBy.has(voter));
  }

  /** `fault` null: the peer accepts this process. */
  heard(by: NodeId, fault: DirectoryFault | null): void {
    if (fault === null) this.#refusedBy.delete(by);
    else this.#refusedBy.add(by);
    if (isShutOut(this.#refusedBy, this.#voters)) this.#end(new DirectoryRefused(`refused by ${[...this.#refusedBy].join()}`));
  }

  get #voters(): readonly NodeId[] {
    const { node, configuration, configuredVoters } = this.#own;
    return weighingVoters(node, configuration(), configuredVoters);
  }
}

interface Own {
  readonly node: NodeId;
  readonly directory: Omit<ShownDirectory, "admission">;
  readonly configuration: () => Configuration;
  readonly configuredVoters: readonly NodeId[];
}
