import { assertNever, type LogIndex, NO_INDEX, type NodeId, type Refusal, seededRandom, Term } from "#kernel";
import {
  type Configuration,
  type CoreStamp,
  defaultRaftOptions,
  type Message,
  type Raft,
  type RaftOptions,
  type ReadId,
  settledConfiguration,
} from "#raft";
import { Invariants } from "./invariants.ts";
import { buildMessage, givenEntry, messageText, type MessageWords } from "./message-words.ts";
import { encodeState, type NodeEvents, ScenarioNode, snapshotMeta } from "./node.ts";
import { ScriptNetwork } from "./script-network.ts";
import type { Action, Holdable, Members, OptionValues } from "./script.ts";

/** Something that a script asks for and that cannot be: reported with the statement's line. */
export class ImpossibleStep extends Error {
  override readonly name = "ImpossibleStep";
}

type RequestOutcome = { readonly ok: true } | { readonly ok: false; readonly refusal: Refusal };

interface ReadState {
  readonly node: NodeId;
  readonly readId: ReadId;
  answer: LogIndex | Refusal | null;
}

type NodeSetup = Extract<Action, { kind: "node" }>;

/** The nodes of one run, what is on its way between them, and what has been seen of them. */
export class World implements NodeEvents {
  readonly members: Members;
  readonly nodes = new Map<NodeId, ScenarioNode>();
  readonly reads = new Map<string, ReadState>();
  /** Of the last step: every message that left, every mark, every answer to a proposal, transfer or change. */
  sent: Message[] = [];
  marks: { readonly node: NodeId; readonly mark: string }[] = [];
  outcomes: RequestOutcome[] = [];
  /** Per node the ticks of each round of `measure timeouts`. */
  readonly measured = new Map<NodeId, number[]>();
  readonly #note: (text: string) => void;
  readonly #options: { readonly nodes: readonly NodeId[] | null; readonly values: OptionValues }[] = [];
  readonly #setups = new Map<NodeId, NodeSetup>();
  readonly #timeouts = new Map<NodeId, number>();
  #seed: number | null = null;
  readonly #network = new ScriptNetwork();
  #nextRead = 1;
  #started = false;
  readonly #invariants = new Invariants();

  constructor(members: Members, note: (text: string) => void) {
    this.members = members;
    this.#note = note;
  }

  /** One statement. What it causes at once (disk, state machine) happens; messages wait for `deliver`, `settle` or `run`. */
  do(action: Exclude<Action, { kind: "expect" }>): void {
    this.sent = [];
    this.marks = [];
    this.outcomes = [];
    switch (action.kind) {
      case "voters":
      case "outgoing":
      case "learners":
      case "outside":
      case "absent":
        return;
      case "options":
        this.#options.push(action);
        return;
      case "node":
        if (this.#started) throw new ImpossibleStep('"node" gives a disk before the nodes start: move it up');
        this.#setups.set(action.node, action);
        return;
      case "timeout":
        for (const node of action.nodes) this.#setTimeout(node, action.ticks);
        return;
      case "seed":
        this.#seed = action.seed;
        return;
      default:
        this.start();
        this.#run(action);
        this.#invariants.check(this.nodes.values());
    }
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    const { voters, outgoing, learners, outside, absent } = this.members;
    const all = new Set([...voters, ...(outgoing ?? []), ...learners, ...outside]);
    for (const [position, id] of [...all].entries()) {
      if (absent.includes(id)) continue;
      const node = this.#makeNode(id, position);
      this.nodes.set(id, node);
      node.start(this.#optionsOf(id));
    }
  }

  /** A node that runs, or ran. */
  node(id: NodeId): ScenarioNode {
    const node = this.nodes.get(id);
    if (node === undefined) throw new ImpossibleStep(`${id} is absent: no process runs there`);
    return node;
  }

  #running(id: NodeId): ScenarioNode {
    const node = this.node(id);
    if (!node.isUp) throw new ImpossibleStep(`${id} is down`);
    return node;
  }

  send(message: Message): void {
    this.sent.push(message);
    const isThere = this.nodes.has(message.to);
    this.#note(messageText(message));
    if (isThere) this.#network.send(message);
  }

  note(text: string): void {
    this.#note(text);
  }

  mark(node: NodeId, mark: string): void {
    this.marks.push({ node, mark });
  }

  readAnswered(node: NodeId, readId: ReadId, answer: LogIndex | Refusal): void {
    for (const [label, read] of this.reads) {
      if (read.node !== node || read.readId !== readId) continue;
      read.answer = answer;
      this.#note(`${node} read ${label} ${typeof answer === "number" ? `at ${answer}` : `refused ${answer.reason}`}`);
    }
  }

  #run(action: Exclude<Action, { kind: "expect" | "node" | "options" | "timeout" | "seed" | keyof Members }>): void {
    switch (action.kind) {
      case "start":
        return;
      case "tick":
        for (let i = 0; i < action.times; i++) for (const id of action.nodes) this.node(id).tick();
        return;
      case "run":
        for (let i = 0; i < action.rounds; i++) {
          for (const node of this.nodes.values()) node.tick();
          this.#settle(null);
        }
        return;
      case "settle":
        return this.#settle(action.nodes);
      case "deliver":
        for (const message of this.#taken(action.count, action.pattern)) this.#arrive(message);
        return;
      case "drop":
        for (const message of this.#taken(Infinity, action.pattern)) this.#noteLost(message);
        return;
      case "block":
        this.#network.block(action.pattern);
        return;
      case "unblock":
        this.#network.unblock();
        return;
      case "hold":
        return this.#hold(action.what);
      case "release":
        return this.#release(action.what);
      case "cut":
        this.#network.cut(action.from, action.to);
        if (!action.oneWay) this.#network.cut(action.to, action.from);
        return;
      case "isolate":
        for (const node of action.nodes) this.#isolate(node);
        return;
      case "heal":
        this.#network.heal();
        return;
      case "campaign":
        for (const id of action.nodes) this.#running(id).step({ kind: "campaign" });
        return;
      case "propose":
        for (const batch of action.batches) this.#propose(action.node, batch);
        return;
      case "read":
        return this.#read(action.node, action.label);
      case "receive": {
        const node = this.#running(action.node);
        const ownTerm = node.status?.term ?? Term(0);
        node.step({ kind: "message", message: buildMessage(action.message, action.from, action.node, ownTerm, action.words) });
        return;
      }
      case "persist":
        return this.node(action.node).persist(action.batches);
      case "apply":
        return this.node(action.node).apply(action.entries);
      case "install":
        return this.node(action.node).install();
      case "crash":
        for (const id of action.nodes) this.#crash(id, action.written);
        return;
      case "restart":
        for (const id of action.nodes) this.#restart(id);
        return;
      case "compact":
        return this.#running(action.node).compact(action.keep);
      case "disconnect":
        return this.#running(action.node).step({ kind: "peerDisconnected", peer: action.peer });
      case "transfer":
        return this.#ask(action.node, (raft) => raft.transferLeadership(action.to));
      case "change":
        return this.#ask(action.node, (raft, stamp) => raft.changeMembership(action.change, stamp));
      case "measure":
        return this.#measure(action.role, action.nodes, action.rounds);
      default:
        assertNever(action, "action");
    }
  }

  #setTimeout(id: NodeId, ticks: number): void {
    const { electionTicks } = this.#optionsOf(id);
    if (ticks < electionTicks || ticks >= 2 * electionTicks) {
      throw new ImpossibleStep(`the timeouts of ${id} lie from ${electionTicks} to ${2 * electionTicks - 1} ticks`);
    }
    this.#timeouts.set(id, ticks);
  }

  #makeNode(id: NodeId, position: number): ScenarioNode {
    const { log = [], term = null, vote = null, snapshot = null, suspect = false } = this.#setups.get(id) ?? {};
    const entries = log.map((entryTerm, i) => givenEntry(i + 1, entryTerm));
    const options = this.#optionsOf(id);
    const covered = snapshot === null ? undefined : entries[snapshot - 1];
    if (snapshot !== null && covered === undefined)
      throw new ImpossibleStep(`the snapshot of ${id} at ${snapshot} is beyond its log`);
    const disk = {
      hardState: { term: Term(term ?? log.at(-1) ?? 0), votedFor: vote },
      entries,
      suspect,
      snapshot:
        covered === undefined
          ? null
          : { meta: snapshotMeta(covered.index, covered.term, options.initialConfiguration), state: encodeState([]) },
    };
    const random = seededRandom((this.#seed ?? 0) * 1000 + position);
    const draw = (): number => {
      const fixed = this.#timeouts.get(id);
      if (fixed === undefined && this.#seed !== null) return random();
      const ticks = fixed ?? options.electionTicks + (position % options.electionTicks);
      return (ticks - options.electionTicks + 0.5) / options.electionTicks;
    };
    return new ScenarioNode(options, disk, draw, this);
  }

  #optionsOf(id: NodeId): RaftOptions {
    const given = this.#options.filter(({ nodes }) => nodes === null || nodes.includes(id)).map(({ values }) => values);
    return Object.assign({ ...defaultRaftOptions, id, initialConfiguration: this.#configurationOf(id) }, ...given) as RaftOptions;
  }

  #configurationOf(id: NodeId): Configuration {
    const { voters, outgoing, learners, outside } = this.members;
    if (outside.includes(id)) return settledConfiguration([]);
    return { ...settledConfiguration(voters, learners), votersOutgoing: outgoing };
  }

  /** Messages travel until none is left, or none between `nodes`. */
  #settle(nodes: readonly NodeId[] | null): void {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const chosen = this.#network.takeFree(nodes);
      if (chosen.length === 0) return;
      for (const message of chosen) this.#arrive(message);
    }
    throw new ImpossibleStep(`the network does not come to rest within ${MAX_ROUNDS} rounds`);
  }

  #taken(count: number, pattern: MessageWords): readonly Message[] {
    const taken = this.#network.take(count, pattern);
    if (taken.length === 0) throw new ImpossibleStep("no such message is on its way");
    return taken;
  }

  #arrive(message: Message): void {
    const target = this.node(message.to);
    if (target.isUp && !this.#network.loses(message)) target.step({ kind: "message", message });
    else this.#noteLost(message);
  }

  #noteLost(message: Message): void {
    this.#note(`lost: ${messageText(message)}`);
  }

  #isolate(node: NodeId): void {
    for (const other of this.nodes.keys()) {
      if (other === node) continue;
      this.#network.cut(node, other);
      this.#network.cut(other, node);
    }
  }

  #hold(what: Holdable): void {
    if (what.kind === "messages") this.#network.hold(what.pattern);
    else for (const id of what.nodes) this.#setHeld(this.node(id), what.kind, true);
  }

  #release(what: Holdable): void {
    if (what.kind === "messages") {
      if (!this.#network.release(what.pattern)) throw new ImpossibleStep("nothing is held by these words");
      return;
    }
    for (const id of what.nodes) this.#setHeld(this.node(id), what.kind, false);
  }

  #setHeld(node: ScenarioNode, what: "disk" | "apply" | "install", held: boolean): void {
    switch (what) {
      case "disk":
        node.diskHeld = held;
        if (!held) node.persist(Infinity);
        return;
      case "apply":
        node.applyHeld = held;
        if (!held) node.apply(Infinity);
        return;
      case "install":
        node.installHeld = held;
        if (!held) node.install();
        return;
      default:
        assertNever(what, "holdable");
    }
  }

  #propose(id: NodeId, commands: readonly string[]): void {
    const encoder = new TextEncoder();
    const data = commands.map((command) => encoder.encode(command));
    this.#ask(id, (raft, stamp) => raft.propose(data, stamp));
  }

  #ask(id: NodeId, request: (raft: Raft, stamp: CoreStamp) => RequestOutcome): void {
    const outcome = this.#running(id).call(request);
    if (outcome === null) return; // it stopped
    this.outcomes.push(outcome);
    if (!outcome.ok) this.#note(`${id} refuses: ${outcome.refusal.reason}, ${outcome.refusal.message}`);
  }

  #read(id: NodeId, label: string | null): void {
    const readId = this.#nextRead++ as ReadId;
    this.reads.set(label ?? `r${readId}`, { node: id, readId, answer: null });
    const node = this.#running(id);
    node.step({ kind: "read", readId, stamp: node.stamp });
  }

  #crash(id: NodeId, written: number): void {
    this.node(id).crash(written);
    this.#note(`${id} crashes`);
  }

  #restart(id: NodeId): void {
    const node = this.node(id);
    node.start(this.#optionsOf(id));
    const status = node.status;
    if (status !== null) this.#note(`${id} restarts in term ${status.term} with log ${status.lastIndex}:${status.lastTerm}`);
  }

  /** Each round puts all `ids` into `role` with a fresh timeout, then ticks each until its next election. What they send is lost. */
  #measure(role: "follower" | "candidate", ids: readonly NodeId[], rounds: number): void {
    for (let round = 0; round < rounds; round++) {
      const nodes = ids.map((id) => this.node(id));
      const term = Term(Math.max(...nodes.map((node) => node.status?.term ?? 0)) + 1);
      for (const node of nodes) {
        if (role === "candidate") node.step({ kind: "campaign" });
        else node.step({ kind: "message", message: this.#newLeadersHeartbeat(node.id, term) });
      }
      for (const node of nodes) this.#measureOne(node);
      this.#network.clear();
    }
  }

  #newLeadersHeartbeat(to: NodeId, term: Term): Message {
    const from = this.members.voters.find((voter) => voter !== to);
    if (from === undefined) throw new ImpossibleStep(`${to} has no other voter to hear from`);
    return { kind: "heartbeat", from, to, term, commitIndex: NO_INDEX, readRound: 0 };
  }

  #measureOne(node: ScenarioNode): void {
    const term = node.status?.term;
    const role = node.status?.role;
    let ticks = 0;
    while (node.status?.term === term && node.status?.role === role && ticks < 10 * node.options.electionTicks) {
      node.tick();
      ticks++;
    }
    const seen = this.measured.get(node.id) ?? [];
    seen.push(ticks);
    this.measured.set(node.id, seen);
  }
}

/** More than any exchange that comes to an end. */
const MAX_ROUNDS = 1000;
