import { invariant, InvariantError, type LogIndex, NO_INDEX, type NodeId } from "#kernel";
import { decodeConfiguration } from "./entry-layout.ts";
import type { Configuration, Entry } from "./types.ts";

export interface PlacedConfiguration {
  /** Of its entry, or of the snapshot that it came with. */
  readonly index: LogIndex;
  readonly configuration: Configuration;
}

/**
 * The configurations that the log holds. One is in force from the moment its entry is appended and leaves force when that
 * entry is truncated (§6).
 */
export class Configurations {
  /** By rising index; the first is the one before the log, the last is in force. Never empty. */
  #history: PlacedConfiguration[];

  constructor(initial: Configuration, at: LogIndex = NO_INDEX) {
    this.#history = [{ index: at, configuration: initial }];
  }

  get current(): Configuration {
    return this.inForce.configuration;
  }

  get currentIndex(): LogIndex {
    return this.inForce.index;
  }

  get inForce(): PlacedConfiguration {
    const last = this.#history[this.#history.length - 1];
    invariant(last !== undefined, "the configuration history is empty");
    return last;
  }

  /** The configuration in force after `index`: what a snapshot at that index must carry. */
  at(index: LogIndex): Configuration {
    for (let i = this.#history.length - 1; i >= 0; i--) {
      const held = this.#history[i];
      if (held !== undefined && held.index <= index) return held.configuration;
    }
    throw new InvariantError(`no configuration known at index ${index}: the first is of ${this.#history[0]?.index}`);
  }

  append(entry: Entry): void {
    this.#history.push({ index: entry.index, configuration: decodeConfiguration(entry.data) });
  }

  /** Entries above `lastKept` are gone from the log. */
  truncate(lastKept: LogIndex): void {
    while (this.#history.length > 1 && this.currentIndex > lastKept) this.#history.pop();
  }

  /** Entries up to `index` are in a snapshot: older values can no longer be asked for. */
  compact(index: LogIndex): void {
    while ((this.#history[1]?.index ?? Infinity) <= index) this.#history.shift();
  }

  /** A received snapshot's configuration always wins over whatever the log held (openraft#1808). */
  reset(configuration: Configuration, at: LogIndex): void {
    this.#history = [{ index: at, configuration }];
  }
}

/** A configuration that is not joint and on its way to nothing else. */
export function settledConfiguration(voters: readonly NodeId[], learners: readonly NodeId[] = []): Configuration {
  return { voters, votersOutgoing: null, learners, learnersNext: [], promoting: [], admissions: [] };
}

export function isVoter(configuration: Configuration, id: NodeId): boolean {
  return configuration.voters.includes(id) || (configuration.votersOutgoing?.includes(id) ?? false);
}

/** Everyone who votes in either half, once. */
export function votersOf(configuration: Configuration): ReadonlySet<NodeId> {
  return new Set([...configuration.voters, ...(configuration.votersOutgoing ?? [])]);
}

/** Everyone who receives the log, once. */
export function membersOf(configuration: Configuration): ReadonlySet<NodeId> {
  return new Set([...votersOf(configuration), ...configuration.learners]);
}

/** The entry that made `id` a member, {@link NO_INDEX} if it always was one; null: it is none. */
export function admissionOf(configuration: Configuration, id: NodeId): LogIndex | null {
  if (!isVoter(configuration, id) && !configuration.learners.includes(id)) return null;
  return configuration.admissions.find(({ node }) => node === id)?.index ?? NO_INDEX;
}
