import type { RaftCore } from "#consensus";
import type { VoterProbe } from "#node";
import type { Input, Persist, Ready } from "#raft";
import type { StateMachine } from "#statemachine";
import type { Observer } from "./observer.ts";
import type { SimProcess } from "./process.ts";

/** Tells the observer what passes through the core of one process, for as long as that process lives. */
export function probeOf(process: SimProcess, observer: Required<Observer>): VoterProbe {
  let machine: StateMachine | null = null;
  return {
    core: (core) => {
      process.status = () => core.status();
      observer.started(process.node, process.life, core.status(), core);
      return observed(core, process, observer, () => machine!.digest());
    },
    machine: (created) => {
      machine = created;
      return created;
    },
  };
}

function observed(core: RaftCore, process: SimProcess, observer: Required<Observer>, digest: () => string): RaftCore {
  const { node } = process;
  /** Handed out for writing and not reported durable yet, in order. */
  const persisting: Persist[] = [];

  const tellPersisted = (upTo: number): void => {
    while (persisting.length > 0 && persisting[0]!.batch <= upTo) {
      const { batch, hardState, entries } = persisting.shift()!;
      observer.persisted(node, batch, hardState, entries);
    }
  };
  const step = (input: Input): void => {
    core.step(input);
    if (!process.isAlive) return;
    if (input.kind === "persisted") tellPersisted(input.batch);
    observer.stepped(node, input, core.status());
    if (input.kind === "applied") observer.applied(node, input.index, digest);
    if (input.kind === "installed") observer.restored(node, input.meta.index, digest);
  };
  const propose: RaftCore["propose"] = (commands, stamp) => {
    const outcome = core.propose(commands, stamp);
    if (process.isAlive) observer.stepped(node, { kind: "propose", commands: commands.length }, core.status());
    return outcome;
  };
  // A tick may end the lead before the drain: the entry would then seem to be the tick's.
  const changeMembership: RaftCore["changeMembership"] = (change, stamp) => {
    const outcome = core.changeMembership(change, stamp);
    if (process.isAlive) observer.stepped(node, { kind: "changeMembership" }, core.status());
    return outcome;
  };
  const drain: RaftCore["drain"] = () => {
    const ready = core.drain();
    if (!process.isAlive || isEmpty(ready)) return ready;
    if (ready.persist !== null) persisting.push(ready.persist);
    observer.drained(node, ready, core.status());
    if (ready.committed.length > 0) observer.committed(node, ready.committed);
    return ready;
  };
  return { ...forwarding(core), step, propose, changeMembership, drain };
}

/** Most ticks ask the shell for nothing. Had the core changed all the same, the next step would show it. */
function isEmpty(ready: Ready): boolean {
  const { send, persist, committed, readable, readsRejected, snapshotSends, snapshotChunks, status, trace } = ready;
  const asked = send.length + committed.length + readable.length + readsRejected.length;
  return asked + snapshotSends.length + snapshotChunks.length + trace.length === 0 && persist === null && status === null;
}

/** All methods of the core, bound to it: a method that the core gains later needs no line here. */
function forwarding(core: RaftCore): RaftCore {
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(core)) as (keyof RaftCore)[];
  return Object.fromEntries(
    methods.filter((name) => typeof core[name] === "function").map((name) => [name, core[name].bind(core)]),
  ) as unknown as RaftCore;
}
