import { ClusterTimeMs, LogIndex, MonotonicMs, NodeId, type Random, type Refusal, seededRandom, Term, WallTimeMs } from "#kernel";
import {
  type Configuration,
  type CoreStamp,
  defaultRaftOptions,
  type Entry,
  type HardState,
  type Input,
  type MembershipChange,
  type Message,
  type Persist,
  type ProposeOutcome,
  Raft,
  type RaftOptions,
  type ReadId,
  type Ready,
  type SnapshotMeta,
  type SnapshotSend,
  settledConfiguration,
} from "#raft";

export const id = (n: number): NodeId => NodeId(`n${n}`);
export const stampAt = (ms: number): CoreStamp => ({ monotonicMs: MonotonicMs(ms), wallMs: WallTimeMs(ms) });
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (data: Uint8Array): string => new TextDecoder().decode(data);

export function voters(count: number, learners: readonly NodeId[] = []): Configuration {
  const electorate = Array.from({ length: count }, (_, i) => id(i + 1));
  return settledConfiguration(electorate, learners);
}

/** One entry per term given, from index 1 (or after `base`) on. */
export function logOf(terms: readonly number[], base = 0): Entry[] {
  return terms.map((term, i) => entry(base + i + 1, term, `t${term}`));
}

export function entry(index: number, term: number, data = ""): Entry {
  return {
    index: LogIndex(index),
    term: Term(term),
    kind: "command",
    clusterTimeMs: ClusterTimeMs(0),
    wallTimeMs: WallTimeMs(0),
    data: bytes(data),
  };
}

interface NodeSetup {
  readonly id: NodeId;
  readonly configuration: Configuration;
  readonly log?: readonly number[];
  readonly term?: number;
  readonly votedFor?: NodeId | null;
  readonly suspect?: boolean;
  readonly options?: Partial<RaftOptions>;
  readonly random?: Random;
}

/** What survives a crash. */
interface Disk {
  hardState: HardState;
  entries: Entry[];
  snapshot: SnapshotMeta | null;
  suspect: boolean;
}

interface AppliedState {
  /** What a snapshot carries: every applied entry as "index:term:data". */
  readonly history: readonly string[];
}

/** A core with a disk that answers only when told to, a state machine that remembers, and a snapshot store. */
export class TestNode {
  readonly id: NodeId;
  readonly options: RaftOptions;
  readonly disk: Disk;
  raft: Raft;
  isUp = true;
  writing: Persist[] = [];
  sent: Message[] = [];
  applied: string[] = [];
  committed: Entry[] = [];
  readable: { readonly readId: ReadId; readonly index: LogIndex }[] = [];
  rejected: { readonly readId: ReadId; readonly refusal: Refusal }[] = [];
  marks: string[] = [];
  snapshots = new Map<LogIndex, AppliedState>();
  incoming: { readonly meta: SnapshotMeta; nextOffset: number } | null = null;
  autoApply = true;
  nowMs = 0;
  readonly #random: Random;
  #nextRead = 1;

  constructor(setup: NodeSetup) {
    this.id = setup.id;
    this.options = { ...defaultRaftOptions, id: setup.id, initialConfiguration: setup.configuration, ...setup.options };
    const entries = logOf(setup.log ?? []);
    const lastTerm = entries.at(-1)?.term ?? 0;
    this.disk = {
      hardState: { term: Term(setup.term ?? lastTerm), votedFor: setup.votedFor ?? null },
      entries,
      snapshot: null,
      suspect: setup.suspect ?? false,
    };
    this.#random = setup.random ?? seededRandom(Number(setup.id.slice(1)));
    this.raft = this.#recover();
  }

  get role(): string {
    return this.raft.status().role;
  }
  get term(): number {
    return this.raft.status().term;
  }
  get commit(): number {
    return this.raft.status().commitIndex;
  }
  get last(): number {
    return this.raft.status().lastIndex;
  }
  get terms(): (number | null)[] {
    return Array.from({ length: this.last - this.raft.baseIndex }, (_, i) =>
      this.raft.termAt(LogIndex(this.raft.baseIndex + 1 + i)),
    );
  }

  step(input: Input): void {
    this.raft.step(input);
  }

  receive(message: Message): void {
    this.raft.step({ kind: "message", message });
  }

  tick(times = 1): void {
    for (let i = 0; i < times; i++) {
      this.nowMs += 100;
      this.raft.step({ kind: "tick", stamp: stampAt(this.nowMs) });
      this.pump();
    }
  }

  propose(...commands: string[]): ProposeOutcome {
    return this.raft.propose(commands.map(bytes), stampAt(this.nowMs));
  }

  changeMembership(change: MembershipChange): ProposeOutcome {
    return this.raft.changeMembership(change, stampAt(this.nowMs));
  }

  read(): ReadId {
    const readId = this.#nextRead++ as ReadId;
    this.raft.step({ kind: "read", readId, stamp: stampAt(this.nowMs) });
    return readId;
  }

  /** Carries out one Ready, except that the disk does not answer yet. */
  pump(): Ready {
    const ready = this.raft.drain();
    this.sent.push(...ready.send);
    if (ready.persist !== null) this.writing.push(ready.persist);
    this.readable.push(...ready.readable);
    this.rejected.push(...ready.readsRejected);
    this.marks.push(...ready.trace.map((trace) => trace.mark));
    for (const committed of ready.committed) this.#apply(committed);
    const last = ready.committed.at(-1);
    if (last !== undefined && this.autoApply) this.raft.step({ kind: "applied", index: last.index });
    for (const wish of ready.snapshotSends) this.#sendChunk(wish);
    for (const chunk of ready.snapshotChunks) this.#receiveChunk(chunk);
    return ready;
  }

  /** The disk finishes the oldest `count` batches: their messages go out, the core is told of the last. */
  sync(count = this.writing.length): void {
    const done = this.writing.splice(0, count);
    const last = done.at(-1);
    if (last === undefined) return;
    for (const persist of done) this.#write(persist);
    for (const persist of done) this.sent.push(...persist.thenSend);
    this.raft.step({ kind: "persisted", batch: last.batch });
    this.pump();
  }

  /** Pump and sync until nothing is left to do. */
  settle(): void {
    while (this.raft.hasReady() || this.writing.length > 0) {
      this.pump();
      this.sync();
    }
  }

  takeSent(): Message[] {
    const messages = this.sent;
    this.sent = [];
    return messages;
  }

  /** A snapshot of all that is applied. */
  compact(keepEntries = 0): SnapshotMeta {
    const index = this.raft.status().appliedIndex;
    const last = this.committed.at(-1);
    const meta: SnapshotMeta = {
      index,
      term: this.raft.termAt(index) ?? Term(0),
      clusterTimeMs: last?.clusterTimeMs ?? ClusterTimeMs(0),
      wallTimeMs: last?.wallTimeMs ?? WallTimeMs(0),
      configuration: this.raft.configurationAt(index),
    };
    this.disk.snapshot = meta;
    this.snapshots.set(index, { history: [...this.applied] });
    this.raft.step({ kind: "compacted", meta, keepEntries });
    return meta;
  }

  /** Loses everything that is not on the disk; the first `written` batches in flight happen to have reached it. */
  crash(written = 0): void {
    for (const persist of this.writing.slice(0, written)) this.#write(persist);
    this.isUp = false;
    this.writing = [];
    this.sent = [];
    this.incoming = null;
  }

  restart(): void {
    this.isUp = true;
    this.applied = [...(this.snapshots.get(this.disk.snapshot?.index ?? LogIndex(0))?.history ?? [])];
    this.committed = [];
    this.raft = this.#recover();
  }

  #recover(): Raft {
    const { hardState, snapshot, entries, suspect } = this.disk;
    const from = snapshot?.index ?? 0;
    const following = entries.filter((e) => e.index > from);
    return new Raft(this.options, { hardState, snapshot, entries: following, suspect }, this.#random);
  }

  #write(persist: Persist): void {
    const first = persist.entries[0];
    if (first !== undefined) this.disk.entries = [...this.disk.entries.filter((e) => e.index < first.index), ...persist.entries];
    if (persist.hardState !== null) this.disk.hardState = persist.hardState;
    if (persist.liftsSuspicion === true) this.disk.suspect = false;
  }

  #apply(committed: Entry): void {
    this.committed.push(committed);
    this.applied.push(`${committed.index}:${committed.term}:${text(committed.data)}`);
  }

  #sendChunk({ to, term, index, offset }: SnapshotSend): void {
    const meta = this.disk.snapshot;
    if (meta === null || meta.index !== index) return;
    const data = new Uint8Array(Math.max(0, Math.min(CHUNK_BYTES, SNAPSHOT_BYTES - offset)));
    const done = offset + data.length >= SNAPSHOT_BYTES;
    this.sent.push({ kind: "snapshotChunk", from: this.id, to, term, meta, offset, data, done, totalBytes: SNAPSHOT_BYTES });
  }

  #receiveChunk({ meta, offset, data }: Extract<Message, { kind: "snapshotChunk" }>): void {
    if (this.incoming?.meta.index !== meta.index) this.incoming = { meta, nextOffset: 0 };
    if (offset === this.incoming.nextOffset) this.incoming.nextOffset += data.length;
    const { nextOffset } = this.incoming;
    this.raft.step({ kind: "snapshotReceived", index: meta.index, nextOffset });
  }

  get hasWholeSnapshot(): boolean {
    return this.incoming !== null && this.incoming.nextOffset >= SNAPSHOT_BYTES;
  }

  /** The shell's part of an installation: after all earlier writes, the log is replaced and the state restored. */
  install(history: readonly string[]): void {
    const { incoming } = this;
    if (incoming === null) return;
    this.sync();
    this.disk.entries = [];
    this.disk.snapshot = incoming.meta;
    this.snapshots.set(incoming.meta.index, { history });
    this.applied = [...history];
    this.committed = [];
    this.incoming = null;
    this.raft.step({ kind: "installed", meta: incoming.meta });
  }
}

/** Three chunks, the last one short. */
const SNAPSHOT_BYTES = 10;
const CHUNK_BYTES = 4;

export class Network {
  readonly nodes: ReadonlyMap<NodeId, TestNode>;
  readonly #cuts = new Set<string>();
  /** Messages that a test wants lost. */
  drop: (message: Message) => boolean = () => false;
  delivered: Message[] = [];
  /** False: a whole snapshot waits until the test calls {@link installWhole}. */
  installsAtOnce = true;

  constructor(nodes: readonly TestNode[]) {
    this.nodes = new Map(nodes.map((node) => [node.id, node]));
  }

  static of(count: number, options: Partial<RaftOptions> = {}): Network {
    return new Network(
      Array.from({ length: count }, (_, i) => new TestNode({ id: id(i + 1), configuration: voters(count), options })),
    );
  }

  node(n: number): TestNode {
    const node = this.nodes.get(id(n));
    if (node === undefined) throw new Error(`no node ${n}`);
    return node;
  }

  cut(a: number, b: number): void {
    this.#cuts.add(`${id(a)}>${id(b)}`);
    this.#cuts.add(`${id(b)}>${id(a)}`);
  }

  isolate(n: number): void {
    for (const other of this.nodes.keys()) if (other !== id(n)) this.cut(n, Number(other.slice(1)));
  }

  heal(): void {
    this.#cuts.clear();
    this.drop = () => false;
  }

  campaign(n: number): void {
    this.node(n).step({ kind: "campaign" });
    this.settle();
  }

  /** Everyone ticks once, and all that follows is carried out. */
  tick(times = 1): void {
    for (let i = 0; i < times; i++) {
      for (const node of this.nodes.values()) if (node.isUp) node.tick();
      this.settle();
    }
  }

  propose(n: number, ...commands: string[]): ProposeOutcome {
    const outcome = this.node(n).propose(...commands);
    this.settle();
    return outcome;
  }

  /** Disks answer, messages travel, until the network is quiet. */
  settle(): void {
    for (let round = 0; round < 10_000; round++) {
      const messages = this.#collect();
      if (messages.length === 0) return;
      for (const message of messages) this.deliver(message);
    }
    throw new Error("the network does not come to rest");
  }

  deliver(message: Message): void {
    const target = this.nodes.get(message.to);
    if (target === undefined || !target.isUp || this.#cuts.has(`${message.from}>${message.to}`) || this.drop(message)) return;
    this.delivered.push(message);
    target.receive(message);
    target.pump();
    if (this.installsAtOnce) this.installWhole(target);
  }

  installWhole(target: TestNode): void {
    if (!target.hasWholeSnapshot || target.incoming === null) return;
    const { index } = target.incoming.meta;
    for (const node of this.nodes.values()) {
      const state = node.snapshots.get(index);
      if (state !== undefined) return target.install(state.history);
    }
  }

  leaders(): TestNode[] {
    return [...this.nodes.values()].filter((node) => node.isUp && node.role === "leader");
  }

  #collect(): Message[] {
    const messages: Message[] = [];
    for (const node of this.nodes.values()) {
      if (!node.isUp) continue;
      node.settle();
      messages.push(...node.takeSent());
    }
    return messages;
  }
}
