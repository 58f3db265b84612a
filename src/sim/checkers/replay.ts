import type { LogIndex, NodeId } from "#kernel";
import { decodeCommand } from "#codec";
import type { Entry } from "#raft";
import { electionGraceOf } from "#replica";
import {
  type Command,
  createStateMachine,
  type Decision,
  type Event,
  type ObjectKind,
  type ObjectValue,
  type Reader,
} from "#statemachine";
import type { Observer } from "../observer.ts";

/** One committed entry, executed. */
export interface Executed {
  readonly entry: Entry;
  /** Null where the entry is no command. */
  readonly command: Command | null;
  readonly decision: Decision | null;
  readonly events: readonly Event[];
  /** Of the whole state after it. */
  readonly digest: string;
}

/**
 * The model: a fresh state machine that executes the commit order once, as the world saw it first. Other checkers compare
 * replies, reads, watches and digests with it.
 */
export class Replay implements Observer {
  readonly #machine = createStateMachine();
  readonly #executed: Executed[] = [];
  readonly #histories = new Map<string, { readonly revision: LogIndex; readonly object: ObjectValue | null }[]>();
  readonly #listeners: ((executed: Executed) => void)[] = [];

  /** The last index executed. */
  get index(): LogIndex {
    return this.#executed.length as LogIndex;
  }

  /** The state after {@link index}. */
  get reader(): Reader {
    return this.#machine.read();
  }

  at(index: number): Executed | null {
    return this.#executed[index - 1] ?? null;
  }

  /** The object as it stood after `revision`; null when it did not exist. */
  objectAt(kind: ObjectKind, key: string, revision: number): ObjectValue | null {
    const history = this.#histories.get(`${kind} ${key}`);
    if (history === undefined) return null;
    let low = 0;
    let high = history.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (history[middle]!.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? null : history[low - 1]!.object;
  }

  /** As it stood last; of a removed object, before it was removed. */
  lastOf(kind: ObjectKind, key: string): ObjectValue | null {
    return this.#histories.get(`${kind} ${key}`)?.findLast(({ object }) => object !== null)?.object ?? null;
  }

  /** Names of all objects of a kind that ever existed. */
  *keys(kind: ObjectKind): Generator<string> {
    for (const name of this.#histories.keys()) if (name.startsWith(`${kind} `)) yield name.slice(kind.length + 1);
  }

  onExecuted(listener: (executed: Executed) => void): void {
    this.#listeners.push(listener);
  }

  committed(_node: NodeId, entries: readonly Entry[]): void {
    if (entries.at(-1)!.index <= this.index) return;
    for (const entry of entries) if (entry.index === this.index + 1) this.#execute(entry);
  }

  #execute(entry: Entry): void {
    const executed = { entry, ...this.#effectOf(entry), digest: this.#machine.digest() };
    this.#executed.push(executed);
    for (const { revision, kind, key, object } of executed.events) {
      const name = `${kind} ${key}`;
      const history = this.#histories.get(name);
      if (history === undefined) this.#histories.set(name, [{ revision, object }]);
      else history.push({ revision, object });
    }
    for (const listener of this.#listeners) listener(executed);
  }

  #effectOf(entry: Entry): Pick<Executed, "command" | "decision" | "events"> {
    if (entry.kind === "command") {
      const decoded = decodeCommand(entry.data);
      if (decoded.ok) return { command: decoded.value.command, ...this.#machine.apply(decoded.value.command, entry) };
    }
    const events =
      entry.kind === "leader" ? this.#machine.leaderChanged(entry, electionGraceOf(entry.data)) : this.#machine.skip(entry);
    return { command: null, decision: null, events };
  }
}
