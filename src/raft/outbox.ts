import { assertNever, type LogIndex } from "#kernel";
import type { RaftLog } from "./log.ts";
import type { BatchId, HardState, Message, Persist } from "./types.ts";

/**
 * Decides when a message may leave: at once when everything it promises is durable, else with the batch that makes it so.
 * Nobody else in the core chooses; a vote or an acknowledgement cannot be sent early by mistake.
 */
export class Outbox {
  readonly #log: RaftLog;
  #hardState: HardState;
  #hardStateChanged = false;
  /** The batch that holds the newest hard state; 0 = it was recovered from the disk. */
  #hardStateBatch = 0;
  #lastBatch = 0;
  /** The batch that lifts the suspicion: null = not asked for, 0 = not given out yet. */
  #liftBatch: number | null = null;
  #persistedBatch = 0;
  #now: Message[] = [];
  #afterPersist: Message[] = [];

  constructor(log: RaftLog, recovered: HardState) {
    this.#log = log;
    this.#hardState = recovered;
  }

  get hardState(): HardState {
    return this.#hardState;
  }

  set hardState(hardState: HardState) {
    this.#hardState = hardState;
    this.#hardStateChanged = true;
  }

  liftSuspicion(): void {
    this.#liftBatch ??= 0;
  }

  get isSuspicionLifted(): boolean {
    return this.#liftBatch !== null && this.#liftBatch > 0 && this.#liftBatch <= this.#persistedBatch;
  }

  get isHardStateDurable(): boolean {
    return !this.#hardStateChanged && this.#hardStateBatch <= this.#persistedBatch;
  }

  emit(message: Message): void {
    if (this.#isDurable(message)) this.#now.push(message);
    else this.#queueAfterPersist(message);
  }

  get hasOutput(): boolean {
    return this.#now.length > 0 || this.#needsBatch;
  }

  takeSendable(): readonly Message[] {
    if (this.#now.length === 0) return NO_MESSAGES;
    const messages = this.#now;
    this.#now = [];
    return messages;
  }

  /** Everything for the disk since the last call, as one batch; null when there is nothing. */
  takePersist(): Persist | null {
    if (!this.#needsBatch) return null;
    const batch = ++this.#lastBatch as BatchId;
    const hardState = this.#hardStateChanged ? this.#hardState : null;
    if (hardState !== null) this.#hardStateBatch = batch;
    this.#hardStateChanged = false;
    const thenSend = this.#afterPersist.length === 0 ? NO_MESSAGES : this.#afterPersist;
    if (thenSend !== NO_MESSAGES) this.#afterPersist = [];
    const entries = this.#log.takeUnwritten(batch);
    if (this.#liftBatch !== 0) return { batch, hardState, entries, thenSend };
    this.#liftBatch = batch;
    return { batch, hardState, entries, liftsSuspicion: true, thenSend };
  }

  persisted(batch: BatchId): void {
    if (batch > this.#persistedBatch) this.#persistedBatch = batch;
    this.#log.persisted(batch);
  }

  /** The disk has work that it has not finished. */
  get isWaiting(): boolean {
    return this.#lastBatch > this.#persistedBatch;
  }

  get lastBatch(): number {
    return this.#lastBatch;
  }

  get #needsBatch(): boolean {
    return this.#hardStateChanged || this.#afterPersist.length > 0 || this.#log.hasUnwritten || this.#liftBatch === 0;
  }

  #isDurable(message: Message): boolean {
    switch (message.kind) {
      case "preVote":
      case "preVoteReply":
      case "readIndex":
      case "stateDigest":
        return true; // promises nothing, not even its own term
      case "appendReply":
        return this.#isDurableTo(message.matchIndex);
      case "snapshotReply":
        return message.installed ? this.#isDurableTo(message.index) : this.isHardStateDurable;
      case "requestVote":
      case "voteReply":
      case "append":
      case "appendRejected":
      case "heartbeat":
      case "heartbeatReply":
      case "snapshotChunk":
      case "readIndexReply":
      case "timeoutNow":
        return this.isHardStateDurable;
      default:
        return assertNever(message, "message");
    }
  }

  #isDurableTo(index: LogIndex): boolean {
    return this.isHardStateDurable && index <= this.#log.durableIndex;
  }

  /** An acknowledgement that waits is replaced by a later, higher one: the leader needs only the last of a batch. */
  #queueAfterPersist(message: Message): void {
    const at = this.#afterPersist.length - 1;
    const waiting = this.#afterPersist[at];
    const supersedes =
      message.kind === "appendReply" &&
      waiting?.kind === "appendReply" &&
      waiting.to === message.to &&
      waiting.term === message.term &&
      waiting.matchIndex <= message.matchIndex;
    if (supersedes) this.#afterPersist[at] = message;
    else this.#afterPersist.push(message);
  }
}

const NO_MESSAGES: readonly Message[] = [];
