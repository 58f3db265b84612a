import type { LogIndex, NodeId } from "#kernel";
import type { CoreState, ObservedInput } from "#node";
import { type Configuration, isVoter } from "#raft";

interface Held {
  readonly index: LogIndex;
  readonly configuration: Configuration;
  /** Came together with others before it, which were not seen. */
  readonly hidesOthers: boolean;
}

/** The reference machine's book of configurations: the committed one, and those behind it that may still be truncated. */
export class ReferenceConfigurations {
  #held: Held[];

  constructor(start: {
    readonly state: CoreState;
    readonly configuration: Configuration;
    readonly committedConfiguration: Configuration;
  }) {
    const { state, configuration, committedConfiguration } = start;
    this.#held = [{ index: state.baseIndex, configuration: committedConfiguration, hidesOthers: false }];
    if (state.configurationIndex > state.baseIndex) {
      this.#held.push({ index: state.configurationIndex, configuration, hidesOthers: true });
    }
  }

  /** The newest in the log, committed or not (§6). */
  get inForce(): Configuration {
    return this.#held.at(-1)!.configuration;
  }

  /** A node that its own log removes goes on standing until that is committed (dissertation, figure 4.6). */
  mayStand(id: NodeId): boolean {
    return this.#held.some(({ configuration, hidesOthers }) => hidesOthers || isVoter(configuration, id));
  }

  follow(input: ObservedInput, { configurationIndex, commitIndex }: CoreState, configuration: Configuration): void {
    if (configuration !== this.inForce || configurationIndex !== this.#held.at(-1)!.index) {
      if (input.kind === "installed") this.#held = [];
      while ((this.#held.at(-1)?.index ?? -1) >= configurationIndex) this.#held.pop();
      this.#held.push({ index: configurationIndex, configuration, hidesOthers: bringsSeveral(input) });
    }
    while ((this.#held[1]?.index ?? Infinity) <= commitIndex) this.#held.shift();
  }
}

function bringsSeveral(input: ObservedInput): boolean {
  if (input.kind !== "message" || input.message.kind !== "append") return false;
  return input.message.entries.filter(({ kind }) => kind === "configuration").length > 1;
}
