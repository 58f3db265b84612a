import { assertNever, type LogIndex, type NodeId, type Term } from "#kernel";
import type { CoreState, ObservedInput } from "#node";
import { type Configuration, type Entry, type HardState, type Message, type Ready } from "#raft";
import { ReferenceConfigurations } from "./configurations.ts";
import { ReferenceLog } from "./log.ts";

/** What a life begins with. */
export interface StartState {
  readonly state: CoreState;
  readonly configuration: Configuration;
  readonly committedConfiguration: Configuration;
  /** Of the log from `state.baseIndex` on, which comes first; null where it is not known (a snapshot's own term, maybe). */
  readonly terms: readonly (Term | null)[];
}

/**
 * Raft once more, as the rules say it and nothing else: it takes every transition that a node has made and answers whether
 * the rules allow it. It shares no code with the core that it judges and keeps its own books: log terms, votes received,
 * acknowledgements received, and what is durable. One machine judges one life of one node.
 *
 * It checks safety, not progress: a node that ignores a message is always within its rights.
 */
export class ReferenceMachine {
  readonly #id: NodeId;
  readonly #log: ReferenceLog;
  #state: CoreState;
  readonly #configurations: ReferenceConfigurations;
  /** What the disk is known to hold. */
  #durable: HardState;
  /** Batches on their way to the disk, oldest first. */
  #writing: { readonly batch: number; readonly hardState: HardState | null; lastIndex: LogIndex }[] = [];
  /** Of the election under way: who has granted this node a vote in its term. */
  readonly #granted = new Set<NodeId>();
  /** Of the present leadership: the highest index that each peer has acknowledged, and how much of it counts: a suspect's not. */
  readonly #matched = new Map<NodeId, LogIndex>();
  readonly #acknowledged = new Map<NodeId, LogIndex>();
  #delivered: LogIndex;

  constructor(id: NodeId, start: StartState) {
    this.#id = id;
    this.#log = new ReferenceLog(start.state.baseIndex, start.terms);
    this.#state = start.state;
    this.#configurations = new ReferenceConfigurations(start);
    this.#durable = { term: start.state.term, votedFor: start.state.votedFor };
    this.#delivered = start.state.baseIndex;
  }

  /** Null when the rules allow it; otherwise the rule that is broken. After a refusal the machine is of no more use. */
  stepped(input: ObservedInput, after: CoreState, configuration: Configuration): string | null {
    const before = this.#state;
    if (input.kind === "persisted") this.#becomeDurable(input.batch);
    if (input.kind === "message") this.#note(input.message, after);
    const broken =
      this.#term(input, before, after) ??
      this.#vote(input, before, after) ??
      this.#role(before, after) ??
      this.#entries(input, before, after) ??
      this.#commit(input, before, after, configuration);
    this.#state = after;
    this.#configurations.follow(input, after, configuration);
    return broken;
  }

  /** What the core hands to its shell. */
  drained(ready: Pick<Ready, "send" | "persist" | "committed">, after: CoreState, configuration: Configuration): string | null {
    const grown = this.stepped({ kind: "drain" }, after, configuration);
    if (grown !== null) return grown;
    for (const message of ready.send) {
      const broken = this.#message(message, this.#durable, this.#log.durableIndex);
      if (broken !== null) return `${message.kind} to ${message.to} is sent too early: ${broken}`;
    }
    return this.#persist(ready.persist) ?? this.#deliver(ready.committed);
  }

  // ── terms, votes and roles ───────────────────────────────────────────────────────────────────────────────────────

  #term(input: ObservedInput, before: CoreState, after: CoreState): string | null {
    if (after.term === before.term) return null;
    if (after.term < before.term) return `the term falls from ${before.term} to ${after.term} (§5.1)`;
    if (input.kind === "message" && input.message.term === after.term && input.message.kind !== "preVote") {
      if (input.message.kind !== "preVoteReply" || !input.message.granted) return null;
    }
    const campaigns = after.term === before.term + 1 && after.votedFor === this.#id && after.role === "candidate";
    if (!campaigns) return `the term rises from ${before.term} to ${after.term} by ${nameOf(input)}`;
    this.#granted.clear();
    return null;
  }

  #vote(input: ObservedInput, before: CoreState, after: CoreState): string | null {
    const { votedFor } = after;
    const known = after.term === before.term ? before.votedFor : null;
    if (votedFor === known) return null;
    if (known !== null) return `the vote of term ${after.term} changes from ${known} to ${votedFor ?? "nobody"} (§5.2)`;
    if (votedFor === this.#id && after.role === "candidate" && after.term === before.term + 1) return null;
    if (input.kind !== "message" || input.message.kind !== "requestVote" || input.message.from !== votedFor) {
      return `a vote for ${votedFor} in term ${after.term} by ${nameOf(input)}: nobody asked`;
    }
    const { lastIndex, lastTerm, term } = input.message;
    if (term !== after.term) return `a vote in term ${after.term} for a candidate of term ${term}`;
    if (this.#log.isAheadOf(lastIndex, lastTerm)) {
      return `a vote for a log that ends at ${lastIndex} in term ${lastTerm}, behind ${this.#log.describeEnd()} (§5.4.1)`;
    }
    return null;
  }

  #role(before: CoreState, after: CoreState): string | null {
    if (after.role === before.role && after.term === before.term) return null;
    switch (after.role) {
      case "follower":
        return null;
      case "preCandidate":
      case "candidate":
        if (before.role === "leader" && after.term === before.term) return `a leader becomes a ${after.role} (figure 4)`;
        return this.#configurations.mayStand(this.#id) ? null : `${this.#id} campaigns and is no voter`;
      case "leader": {
        if (before.role !== "candidate" || after.term !== before.term) return `a ${before.role} becomes leader (figure 4)`;
        if (this.#durable.term === after.term && this.#durable.votedFor === this.#id) this.#granted.add(this.#id);
        if (!hasQuorum(this.#configurations.inForce, (voter) => this.#granted.has(voter))) {
          return `leads term ${after.term} on the votes of ${[...this.#granted].join(", ")} alone (§5.2)`;
        }
        this.#matched.clear();
        this.#acknowledged.clear();
        return null;
      }
      default:
        return assertNever(after.role, "role");
    }
  }

  /** Books of what peers have said. Whether a message counts depends on the term that the node has after it. */
  #note(message: Message, after: CoreState): void {
    if (message.term !== after.term) return;
    if (message.kind === "voteReply" && message.granted && after.votedFor === this.#id) this.#granted.add(message.from);
    const matched = Math.max(matchedBy(message), this.#matched.get(message.from) ?? 0) as LogIndex;
    this.#matched.set(message.from, matched);
    // Whoever is no suspect any more has kept what it acknowledged while it was one.
    const isSound = message.kind !== "readIndex" && "suspect" in message && !message.suspect;
    if (isSound && matched > (this.#acknowledged.get(message.from) ?? 0)) this.#acknowledged.set(message.from, matched);
  }

  // ── the log ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #entries(input: ObservedInput, before: CoreState, after: CoreState): string | null {
    if (input.kind === "compacted") this.#log.compact(Math.min(after.baseIndex, this.#log.lastIndex) as LogIndex);
    if (input.kind === "installed") {
      if (input.meta.index <= before.commitIndex) {
        return `a snapshot at ${input.meta.index} replaces a log that is committed to ${before.commitIndex}`;
      }
      this.#log.reset(input.meta);
      this.#writing = this.#writing.map((write) => ({ ...write, lastIndex: 0 as LogIndex }));
      this.#delivered = input.meta.index;
    }
    if (this.#log.endsAt(after.lastIndex, after.lastTerm)) return null;
    if (after.role === "leader") return this.#leaderGrows(after);
    if (input.kind === "message" && input.message.kind === "append" && input.message.term === after.term) {
      return this.#follow(input.message, before, after);
    }
    return `the log's end moves from ${this.#log.describeEnd()} to ${after.lastIndex} in term ${after.lastTerm} by ${nameOf(input)}`;
  }

  /** A leader only appends (§5.3), and only entries of its own term. */
  #leaderGrows(after: CoreState): string | null {
    if (after.lastIndex < this.#log.lastIndex) return `a leader cuts its log to ${after.lastIndex} (§5.3, leader append-only)`;
    if (after.lastTerm !== after.term) return `a leader of term ${after.term} appends an entry of term ${after.lastTerm}`;
    this.#log.extend(after.lastIndex, after.term);
    return null;
  }

  #follow(message: Extract<Message, { kind: "append" }>, before: CoreState, after: CoreState): string | null {
    const { prevIndex, prevTerm, entries } = message;
    if (this.#log.termAt(prevIndex) !== prevTerm) return `entries are taken after ${prevIndex}, which does not match (§5.3)`;
    const conflict = entries.find((entry) => this.#log.termAt(entry.index) !== entry.term);
    if (conflict === undefined) return `the log changes though it holds all that came: a late append cuts it (§5.3)`;
    if (conflict.index <= before.commitIndex) return `committed entry ${conflict.index} is overwritten (§5.4)`;
    this.#log.truncate((conflict.index - 1) as LogIndex);
    for (const write of this.#writing) if (write.lastIndex >= conflict.index) write.lastIndex = (conflict.index - 1) as LogIndex;
    for (const entry of entries) if (entry.index > this.#log.lastIndex) this.#log.extend(entry.index, entry.term);
    if (this.#log.endsAt(after.lastIndex, after.lastTerm)) return null;
    return `after an append the log ends at ${after.lastIndex} in term ${after.lastTerm}, not at ${this.#log.describeEnd()}`;
  }

  #commit(input: ObservedInput, before: CoreState, after: CoreState, configuration: Configuration): string | null {
    const { commitIndex } = after;
    if (after.appliedIndex < before.appliedIndex) return `applied falls from ${before.appliedIndex} to ${after.appliedIndex}`;
    if (after.appliedIndex > commitIndex) return `applied ${after.appliedIndex} is beyond commit ${commitIndex}`;
    if (commitIndex === before.commitIndex) return null;
    if (commitIndex < before.commitIndex) return `commit falls from ${before.commitIndex} to ${commitIndex}`;
    if (commitIndex > after.lastIndex) return `commit ${commitIndex} is beyond the log's end ${after.lastIndex}`;
    if (after.role === "leader" && before.role === "leader") return this.#leaderCommits(after, configuration);
    if (input.kind === "installed") return commitIndex === input.meta.index ? null : `commit ${commitIndex} after a snapshot`;
    if (input.kind !== "message" || input.message.term !== after.term) return `commit rises by ${nameOf(input)}`;
    const told = this.#toldCommit(input.message);
    return commitIndex <= told ? null : `commit rises to ${commitIndex}, but the leader vouches only for ${told} (§5.3)`;
  }

  /** §5.4.2: by counting, only entries of the own term. */
  #leaderCommits({ commitIndex, term }: CoreState, configuration: Configuration): string | null {
    if (this.#log.termAt(commitIndex) !== term) {
      return `commits ${commitIndex} of term ${this.#log.termAt(commitIndex)} by counting in term ${term} (§5.4.2)`;
    }
    const holds = (voter: NodeId): boolean =>
      (voter === this.#id ? this.#log.durableIndex : (this.#acknowledged.get(voter) ?? 0)) >= commitIndex;
    if (hasQuorum(configuration, holds)) return null;
    const who = [...this.#acknowledged].map(([peer, index]) => `${peer} to ${index}`).join(", ");
    return `commits ${commitIndex} without a durable majority: own disk to ${this.#log.durableIndex}, ${who}`;
  }

  /** Up to where the leader's message vouches for this node's log. */
  #toldCommit(message: Message): LogIndex {
    switch (message.kind) {
      case "append": {
        const lastNew = message.prevIndex + message.entries.length;
        const matches = this.#log.termAt(message.prevIndex) === message.prevTerm || message.prevIndex <= this.#state.commitIndex;
        return (matches ? Math.min(message.commitIndex, lastNew) : 0) as LogIndex;
      }
      case "heartbeat":
        return message.commitIndex;
      case "snapshotChunk":
        return this.#log.termAt(message.meta.index) === message.meta.term ? message.meta.index : (0 as LogIndex);
      default:
        return 0 as LogIndex;
    }
  }

  // ── what leaves the node ─────────────────────────────────────────────────────────────────────────────────────────

  #persist(persist: Ready["persist"]): string | null {
    if (persist === null) return null;
    const { batch, hardState, entries, thenSend } = persist;
    const { term, votedFor } = this.#state;
    if (hardState !== null && (hardState.term !== term || hardState.votedFor !== votedFor)) {
      return `term ${hardState.term} and a vote for ${hardState.votedFor} are written, but the node is in term ${term}, voted ${votedFor}`;
    }
    for (const { index, term: entryTerm } of entries) {
      if (this.#log.termAt(index) !== entryTerm) return `entry ${index} is written in term ${entryTerm}, the log says otherwise`;
    }
    const lastIndex = entries.at(-1)?.index ?? this.#writing.at(-1)?.lastIndex ?? this.#log.durableIndex;
    this.#writing.push({ batch, hardState, lastIndex });
    const then = this.#writing.findLast((write) => write.hardState !== null)?.hardState ?? this.#durable;
    for (const message of thenSend) {
      const broken = this.#message(message, then, Math.max(lastIndex, this.#log.durableIndex) as LogIndex);
      if (broken !== null) return `${message.kind} to ${message.to} is tied to the wrong batch: ${broken}`;
    }
    return null;
  }

  #becomeDurable(batch: number): void {
    while (this.#writing[0] !== undefined && this.#writing[0].batch <= batch) {
      const { hardState, lastIndex } = this.#writing.shift()!;
      this.#durable = hardState ?? this.#durable;
      this.#log.becomeDurable(lastIndex);
    }
  }

  /** What `message` promises must be true with this much on the disk. */
  #message(message: Message, durable: HardState, durableIndex: LogIndex): string | null {
    const { term } = message;
    if (message.kind === "preVote" || message.kind === "preVoteReply" || message.kind === "stateDigest") return null;
    if (message.kind !== "readIndex" && durable.term < term) return `term ${term} is not durable, ${durable.term} is`;
    switch (message.kind) {
      case "requestVote":
        return durable.votedFor === this.#id || durable.term > term ? null : "the vote for itself is not durable";
      case "voteReply":
        if (!message.granted || durable.term > term) return null;
        return durable.votedFor === message.to ? null : `the vote for ${message.to} is not durable`;
      case "appendReply":
        return message.matchIndex <= durableIndex
          ? null
          : `entries to ${message.matchIndex} are not durable, to ${durableIndex} are`;
      case "snapshotReply":
        return !message.installed || message.index <= durableIndex ? null : `snapshot ${message.index} is not durable`;
      case "append":
        return this.#append(message);
      case "heartbeat":
        if (term < this.#state.term) return null;
        return message.commitIndex <= (this.#matched.get(message.to) ?? 0)
          ? null
          : "it commits beyond the known match (etcd#15699)";
      default:
        return null;
    }
  }

  #append({ term, prevIndex, prevTerm, entries, commitIndex }: Extract<Message, { kind: "append" }>): string | null {
    const state = this.#state;
    if (term !== state.term) return null; // of a leadership that ended in the same turn
    if (commitIndex > state.commitIndex) return `it vouches for ${commitIndex}, committed is ${state.commitIndex}`;
    if (prevIndex >= this.#log.baseIndex && this.#log.termAt(prevIndex) !== prevTerm)
      return `prev ${prevIndex} has another term here`;
    const wrong = entries.find((entry) => entry.index > this.#log.baseIndex && this.#log.termAt(entry.index) !== entry.term);
    return wrong === undefined ? null : `entry ${wrong.index} has another term here`;
  }

  #deliver(committed: readonly Entry[]): string | null {
    for (const { index, term } of committed) {
      if (index !== this.#delivered + 1) return `entry ${index} is delivered after ${this.#delivered}`;
      if (index > this.#state.commitIndex) return `entry ${index} is delivered, committed is ${this.#state.commitIndex}`;
      if (index > this.#log.durableIndex) return `entry ${index} is delivered, durable is ${this.#log.durableIndex}`;
      if (this.#log.termAt(index) !== term) return `entry ${index} is delivered in term ${term}, the log says otherwise`;
      this.#delivered = index;
    }
    return null;
  }
}

function matchedBy(message: Message): number {
  if (message.kind === "appendReply") return message.matchIndex;
  return message.kind === "snapshotReply" && message.installed ? message.index : 0;
}

/** A majority of each half, counted the long way. */
function hasQuorum({ voters, votersOutgoing }: Configuration, holds: (voter: NodeId) => boolean): boolean {
  const isMajority = (half: readonly NodeId[]): boolean => half.filter(holds).length * 2 > half.length;
  return isMajority(voters) && (votersOutgoing === null || isMajority(votersOutgoing));
}

function nameOf(input: ObservedInput): string {
  return input.kind === "message" ? `${input.message.kind} of ${input.message.from} in term ${input.message.term}` : input.kind;
}
