import {
  ClusterTimeMs,
  type LogIndex,
  MonotonicMs,
  NO_INDEX,
  type NodeId,
  type Random,
  type Refusal,
  Term,
  WallTimeMs,
} from "#kernel";
import {
  type Configuration,
  type CoreStamp,
  type Entry,
  type HardState,
  type Input,
  type Message,
  type Persist,
  Raft,
  type RaftOptions,
  type RaftStatus,
  type ReadId,
  type Ready,
  type SnapshotMeta,
  type SnapshotSend,
} from "#raft";

/** What survives a crash. */
interface Disk {
  hardState: HardState;
  entries: Entry[];
  snapshot: { readonly meta: SnapshotMeta; readonly state: Uint8Array } | null;
  suspect: boolean;
}

/** Where a node's doings go. */
export interface NodeEvents {
  send(message: Message): void;
  note(text: string): void;
  mark(node: NodeId, mark: string): void;
  readAnswered(node: NodeId, readId: ReadId, answer: LogIndex | Refusal): void;
}

/** One process of a scenario: a core, its disk and its state machine (a list of commands), each of which a script can hold. */
export class ScenarioNode {
  readonly id: NodeId;
  readonly options: RaftOptions;
  readonly disk: Disk;
  readonly #random: Random;
  readonly #events: NodeEvents;
  #raft: Raft | null = null;
  /** Counts the starts: what must never fall within one life may fall between two. */
  life = 0;
  /** Why it stopped by itself; null while it runs or after a crash that the script asked for. */
  fatal: Error | null = null;
  /** The script expects that stop. */
  isFatalExplained = false;
  diskHeld = false;
  applyHeld = false;
  installHeld = false;
  #writing: Persist[] = [];
  #toApply: Entry[] = [];
  #incoming: { readonly meta: SnapshotMeta; readonly data: number[]; whole: boolean } | null = null;
  delivered: LogIndex = NO_INDEX;
  commands: string[] = [];
  #nowMs = 0;
  #isPumping = false;
  #noted = { role: "", configuration: "" };

  constructor(options: RaftOptions, disk: Disk, random: Random, events: NodeEvents) {
    this.id = options.id;
    this.options = options;
    this.disk = disk;
    this.#random = random;
    this.#events = events;
  }

  get isUp(): boolean {
    return this.#raft !== null;
  }

  get status(): RaftStatus | null {
    return this.#raft?.status() ?? null;
  }

  get baseIndex(): number {
    return this.#raft?.baseIndex ?? 0;
  }

  termAt(index: number): Term | null {
    return this.#raft?.termAt(index as LogIndex) ?? null;
  }

  start(options: RaftOptions = this.options): void {
    const { hardState, snapshot, entries, suspect } = this.disk;
    const from = snapshot?.meta.index ?? NO_INDEX;
    this.fatal = null;
    this.isFatalExplained = false;
    this.#noted = { role: "", configuration: configurationText(options.initialConfiguration) };
    this.life++;
    this.delivered = from;
    this.commands = snapshot === null ? [] : decodeState(snapshot.state);
    this.#guarded(() => {
      const held = entries.filter((entry) => entry.index > from);
      const recovered = { hardState, snapshot: snapshot?.meta ?? null, entries: held, suspect };
      this.#raft = new Raft(options, recovered, this.#random);
    });
  }

  /** Loses everything that is not on the disk; the first `written` batches in flight happen to have reached it. */
  crash(written: number): void {
    for (const persist of this.#writing.slice(0, written)) this.#write(persist);
    this.#stop();
  }

  step(input: Input): void {
    this.#guarded(() => {
      this.#raft?.step(input);
      this.pump();
    });
  }

  tick(): void {
    this.#nowMs += TICK_MS;
    this.step({ kind: "tick", stamp: this.stamp });
  }

  /** Runs what a step cannot express (proposals, transfers, changes) on the core; null when the node is down. */
  call<T>(action: (raft: Raft, stamp: CoreStamp) => T): T | null {
    let result: T | null = null;
    this.#guarded(() => {
      if (this.#raft === null) return;
      result = action(this.#raft, this.stamp);
      this.pump();
    });
    return result;
  }

  get stamp(): CoreStamp {
    return { monotonicMs: MonotonicMs(this.#nowMs), wallMs: WallTimeMs(this.#nowMs) };
  }

  /** Carries out all that the core asks for, as far as disk and state machine are not held. */
  pump(): void {
    // What a Ready causes (a batch is durable, entries are applied) steps the core again: in turn, never in between.
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      while (this.#raft?.hasReady() === true) this.#carryOut(this.#raft.drain());
    } finally {
      this.#isPumping = false;
    }
  }

  #carryOut(ready: Ready): void {
    const { status } = ready;
    if (status !== null) this.#noteStatus(status);
    for (const { mark } of ready.trace) {
      this.#events.note(`${this.id} notes "${mark}"`);
      this.#events.mark(this.id, mark);
    }
    for (const message of ready.send) this.#events.send(message);
    if (ready.persist !== null) this.#writing.push(ready.persist);
    if (!this.diskHeld) this.persist(Infinity);
    this.#deliver(ready.committed);
    for (const { readId, index } of ready.readable) this.#events.readAnswered(this.id, readId, index);
    for (const { readId, refusal } of ready.readsRejected) this.#events.readAnswered(this.id, readId, refusal);
    for (const wish of ready.snapshotSends) this.#sendChunk(wish);
    for (const chunk of ready.snapshotChunks) this.#receiveChunk(chunk);
  }

  /** A status comes for several reasons; only what is new is worth a line. */
  #noteStatus(status: RaftStatus): void {
    const role = `${this.id} is ${roleText(status)}`;
    const configuration = configurationText(status.configuration);
    if (role !== this.#noted.role) this.#events.note(role);
    if (configuration !== this.#noted.configuration) this.#events.note(`${this.id} is configured with ${configuration}`);
    this.#noted = { role, configuration };
  }

  /** The disk finishes the oldest batches: only now their messages leave. */
  persist(batches: number): void {
    const done = this.#writing.splice(0, Math.min(batches, this.#writing.length));
    const last = done.at(-1);
    if (last === undefined) return;
    for (const persist of done) {
      this.#write(persist);
      this.#events.note(`${this.id} persists ${persistText(persist)}`);
      for (const message of persist.thenSend) this.#events.send(message);
    }
    this.step({ kind: "persisted", batch: last.batch });
  }

  /** The state machine takes the next of the entries handed to it. */
  apply(entries: number): void {
    const taken = this.#toApply.splice(0, Math.min(entries, this.#toApply.length));
    const last = taken.at(-1);
    if (last === undefined) return;
    for (const { kind, data } of taken) if (kind === "command" && data.length > 0) this.commands.push(commandText(data));
    this.step({ kind: "applied", index: last.index });
  }

  /** A durable snapshot of all that is applied; the log behind it goes, but for the last `keep` entries. */
  compact(keep: number): void {
    this.#guarded(() => {
      const raft = this.#raft;
      if (raft === null) return;
      const { appliedIndex } = raft.status();
      const meta = snapshotMeta(appliedIndex, raft.termAt(appliedIndex) ?? Term(0), raft.configurationAt(appliedIndex));
      this.disk.snapshot = { meta, state: encodeState(this.commands) };
      this.#events.note(`${this.id} takes a snapshot at ${appliedIndex}`);
      this.step({ kind: "compacted", meta, keepEntries: keep });
    });
  }

  /** The received snapshot, if it is whole, replaces log and state. */
  install(): void {
    const incoming = this.#incoming;
    if (incoming === null || !incoming.whole) return;
    const { meta } = incoming;
    this.persist(Infinity);
    const state = Uint8Array.from(incoming.data);
    this.#incoming = null;
    this.disk.entries = [];
    this.disk.snapshot = { meta, state };
    this.#toApply = [];
    this.commands = decodeState(state);
    this.delivered = meta.index;
    this.#events.note(`${this.id} installs the snapshot at ${meta.index}`);
    this.step({ kind: "installed", meta });
  }

  #deliver(committed: readonly Entry[]): void {
    const [first] = committed;
    const last = committed.at(-1);
    if (first === undefined || last === undefined) return;
    this.#events.note(`${this.id} delivers ${rangeText(first.index, last.index)}`);
    this.delivered = last.index;
    this.#toApply.push(...committed);
    if (!this.applyHeld) this.apply(Infinity);
  }

  #sendChunk({ to, term, index, offset }: SnapshotSend): void {
    const { snapshot } = this.disk;
    if (snapshot === null || snapshot.meta.index !== index) return;
    const data = snapshot.state.slice(offset, offset + this.options.snapshotChunkBytes);
    const done = offset + data.length >= snapshot.state.length;
    this.#events.send({ kind: "snapshotChunk", from: this.id, to, term, meta: snapshot.meta, offset, data, done, totalBytes: 0 });
  }

  #receiveChunk({ meta, offset, data, done }: Extract<Message, { kind: "snapshotChunk" }>): void {
    if (this.#incoming?.meta.index !== meta.index) this.#incoming = { meta, data: [], whole: false };
    const incoming = this.#incoming;
    if (offset === incoming.data.length) {
      incoming.data.push(...data);
      incoming.whole = done;
    }
    this.#raft?.step({ kind: "snapshotReceived", index: meta.index, nextOffset: incoming.data.length });
    if (!this.installHeld) this.install();
  }

  #write(persist: Persist): void {
    const [first] = persist.entries;
    if (first !== undefined)
      this.disk.entries = [...this.disk.entries.filter((held) => held.index < first.index), ...persist.entries];
    if (persist.hardState !== null) this.disk.hardState = persist.hardState;
    if (persist.liftsSuspicion === true) this.disk.suspect = false;
  }

  #stop(): void {
    this.#raft = null;
    this.#writing = [];
    this.#toApply = [];
    this.#incoming = null;
  }

  /** A broken invariant ends the process, as it does in the real one. */
  #guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.#events.note(`${this.id} stops: ${error.message}`);
      this.fatal = error;
      this.#stop();
    }
  }
}

export function snapshotMeta(index: LogIndex, term: Term, configuration: Configuration): SnapshotMeta {
  return { index, term, clusterTimeMs: ClusterTimeMs(0), wallTimeMs: WallTimeMs(0), configuration };
}

export function encodeState(commands: readonly string[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(commands));
}

function decodeState(state: Uint8Array): string[] {
  return JSON.parse(new TextDecoder().decode(state)) as string[];
}

function commandText(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}

function roleText({ role, term, leader, votedFor }: RaftStatus): string {
  const knows = role === "leader" || leader === null ? "" : ` behind ${leader}`;
  return `${role} of term ${term}${knows}${votedFor === null ? "" : `, vote for ${votedFor}`}`;
}

function configurationText({ voters, votersOutgoing, learners }: Configuration): string {
  const groups = { voters, outgoing: votersOutgoing ?? [], learners };
  const named = Object.entries(groups).filter(([, nodes]) => nodes.length > 0);
  return named.map(([name, nodes]) => `${name} ${nodes.join(",")}`).join(" ") || "nobody";
}

function persistText({ hardState, entries }: Persist): string {
  const words: string[] = [];
  if (hardState !== null) words.push(`term ${hardState.term} vote ${hardState.votedFor ?? "none"}`);
  const [first] = entries;
  const last = entries.at(-1);
  if (first !== undefined && last !== undefined) words.push(`entries ${rangeText(first.index, last.index)}`);
  return words.join(", ") || "nothing new";
}

function rangeText(first: number, last: number): string {
  return first === last ? String(first) : `${first}..${last}`;
}

const TICK_MS = 100;
