import { type LogIndex, NO_INDEX, type Term } from "#kernel";
import type { RaftState } from "./state.ts";
import type { ReadId } from "./types.ts";

/**
 * This log may have lost a batch that had been acknowledged (Alagappan et al., "Protocol-Aware Recovery", FAST '18: damage at
 * the end of a log cannot always be told from a torn write). Until a leader has caught it up to a read index that was taken
 * after that leader knew, this node elects nobody, stands for nothing, and its acknowledgements count for no quorum:
 * whatever was committed with the help of the lost batch is then here again (docs/decisions/0011).
 */
export class Suspicion {
  /** How far the log is known to be the leader's: a leader that has not heard yet believes in what is lost. */
  #verified: { term: Term; index: LogIndex } | null = null;
  #asked: { readonly number: ReadId; readonly tick: number } | null = null;
  /** Everything that may have been lost lies at or below it; stays true, whoever leads. */
  goal: LogIndex | null = null;

  /** An append of the leader of `term` matched, up to `index`. */
  verify(term: Term, index: LogIndex): void {
    if (this.#verified?.term !== term) this.#verified = { term, index };
    else if (index > this.#verified.index) this.#verified.index = index;
  }

  verifiedIn(term: Term): LogIndex {
    return this.#verified?.term === term ? this.#verified.index : NO_INDEX;
  }

  isDueToAsk(tick: number, patience: number): boolean {
    return this.#asked === null || tick - this.#asked.tick >= patience;
  }

  asked(number: ReadId, tick: number): void {
    this.#asked = { number, tick };
  }

  /** True when this was the answer to the last question, and not to a caller's read. */
  answered(number: ReadId, index: LogIndex | null): boolean {
    if (this.#asked?.number !== number) return false;
    if (index !== null) this.goal = index;
    return true;
  }
}

/** Asks the leader for a fresh read index, waits until log and commit index have reached it, and has the mark lifted durably. */
export function tickSuspicion(state: RaftState): void {
  const { suspicion, outbox, log, leader, term, id, ticks } = state;
  if (suspicion === null) return;
  if (outbox.isSuspicionLifted) {
    state.suspicion = null;
    state.mark("suspicion lifted", { term, commit: log.commitIndex });
    // The leader learns it at once: it may be waiting for this voter.
    const word = { from: id, term, matchIndex: log.commitIndex, suspect: false } as const;
    if (leader !== null) state.send({ kind: "appendReply", to: leader, ...word });
  } else if (suspicion.goal !== null) {
    if (log.commitIndex >= suspicion.goal && log.durableIndex >= suspicion.goal) outbox.liftSuspicion();
  } else if (leader !== null && suspicion.isDueToAsk(ticks, state.options.electionTicks)) {
    const readId = state.forwarded.takeNumber();
    suspicion.asked(readId, ticks);
    state.send({ kind: "readIndex", from: id, to: leader, term, readId, suspect: true });
  }
}
