import type { LogIndex, NodeId, Term } from "#kernel";
import type { Configuration, Input, RaftStatus, Ready } from "#raft";
import type { RaftCore } from "#consensus";
import type { VoterProbe } from "./voter.ts";

/** A node's state after a transition, as the reference machine is told of it. */
export type CoreState = Pick<
  RaftStatus,
  "term" | "votedFor" | "role" | "baseIndex" | "lastIndex" | "lastTerm" | "commitIndex" | "appliedIndex" | "configurationIndex"
>;

/** Everything that can move a core: its inputs, its synchronous calls, and the drain, in which a leader may still append. */
export type ObservedInput = Input | { readonly kind: "propose" | "drain" | "changeMembership" | "transferLeadership" };

/** One line of a trace. Payloads are never in it, but configurations are. */
export type TraceLine =
  | {
      readonly event: "start";
      readonly node: NodeId;
      readonly state: CoreState;
      readonly configuration: Configuration;
      /** As committed at this moment; not always in force any more. */
      readonly committedConfiguration: Configuration;
      /** Of the log from `state.baseIndex` on, which comes first. */
      readonly terms: readonly (Term | null)[];
    }
  | {
      readonly event: "step";
      readonly input: ObservedInput;
      readonly state: CoreState;
      /** Null: as in the line before. */
      readonly configuration: Configuration | null;
    }
  | {
      readonly event: "drain";
      readonly ready: Pick<Ready, "send" | "persist" | "committed">;
      readonly state: CoreState;
      readonly configuration: Configuration | null;
    };

/** Writes every transition of a voter's core as a line, in order and before anything that follows from it happens. */
export function tracingProbe(node: NodeId, write: (line: string) => void): VoterProbe {
  return {
    machine: (machine) => machine,
    core: (core) => traced(node, core, (line) => write(encodeTraceLine(line))),
  };
}

export function encodeTraceLine(line: TraceLine): string {
  return JSON.stringify(line, (_key, value: unknown) => (isBytes(value) ? { bytes: value.length } : value));
}

function traced(node: NodeId, core: RaftCore, write: (line: TraceLine) => void): RaftCore {
  let known = core.status();
  const { baseIndex, lastIndex, commitIndex, configuration } = known;
  const committedConfiguration = core.configurationAt(commitIndex);
  const terms = Array.from({ length: lastIndex - baseIndex + 1 }, (_, at) => core.termAt((baseIndex + at) as LogIndex));
  write({ event: "start", node, state: stateOf(known), configuration, committedConfiguration, terms });
  const now = (): { readonly state: CoreState; readonly configuration: Configuration | null } => {
    const status = core.status();
    const configuration = status.configuration === known.configuration ? null : status.configuration;
    known = status;
    return { state: stateOf(status), configuration };
  };
  return {
    step: (input) => {
      core.step(input);
      write({ event: "step", input, ...now() });
    },
    propose: (commands, stamp) => {
      const outcome = core.propose(commands, stamp);
      write({ event: "step", input: { kind: "propose" }, ...now() });
      return outcome;
    },
    changeMembership: (change, stamp) => {
      const outcome = core.changeMembership(change, stamp);
      write({ event: "step", input: { kind: "changeMembership" }, ...now() });
      return outcome;
    },
    transferLeadership: (to) => {
      const outcome = core.transferLeadership(to);
      write({ event: "step", input: { kind: "transferLeadership" }, ...now() });
      return outcome;
    },
    drain: () => {
      const ready = core.drain();
      const { send, persist, committed } = ready;
      write({ event: "drain", ready: { send, persist, committed }, ...now() });
      return ready;
    },
    hasReady: () => core.hasReady(),
    status: () => core.status(),
    membership: () => core.membership(),
    termAt: (index) => core.termAt(index),
    configurationAt: (index) => core.configurationAt(index),
    clusterTime: (stamp) => core.clusterTime(stamp),
    wallTime: (stamp) => core.wallTime(stamp),
  };
}

function stateOf(status: RaftStatus): CoreState {
  const { term, votedFor, role, baseIndex, lastIndex, lastTerm, commitIndex, appliedIndex, configurationIndex } = status;
  return { term, votedFor, role, baseIndex, lastIndex, lastTerm, commitIndex, appliedIndex, configurationIndex };
}

function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array;
}
