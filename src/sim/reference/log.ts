import { type LogIndex, NO_TERM, type Term } from "#kernel";

/** The reference machine's book of one log: a term for every index, and how far the disk has it. */
export class ReferenceLog {
  #baseIndex: LogIndex;
  /** `#terms[i]` is of index `#baseIndex + i`: the first is what the log begins after. */
  #terms: (Term | null)[];
  #durableIndex: LogIndex;

  constructor(baseIndex: LogIndex, terms: readonly (Term | null)[]) {
    this.#baseIndex = baseIndex;
    this.#terms = [...terms];
    this.#durableIndex = this.lastIndex;
  }

  get baseIndex(): LogIndex {
    return this.#baseIndex;
  }

  get lastIndex(): LogIndex {
    return (this.#baseIndex + this.#terms.length - 1) as LogIndex;
  }

  get durableIndex(): LogIndex {
    return this.#durableIndex;
  }

  /** Null when it is compacted away or not there. */
  termAt(index: LogIndex): Term | null {
    return this.#terms[index - this.#baseIndex] ?? null;
  }

  endsAt(index: LogIndex, term: Term): boolean {
    return index === this.lastIndex && term === this.#lastTerm;
  }

  /** Whether this log is more up to date than one that ends there (§5.4.1). */
  isAheadOf(lastIndex: LogIndex, lastTerm: Term): boolean {
    return this.#lastTerm > lastTerm || (this.#lastTerm === lastTerm && this.lastIndex > lastIndex);
  }

  extend(to: LogIndex, term: Term): void {
    while (this.lastIndex < to) this.#terms.push(term);
  }

  truncate(lastKept: LogIndex): void {
    this.#terms.length = Math.max(1, lastKept - this.#baseIndex + 1);
    if (this.#durableIndex > lastKept) this.#durableIndex = lastKept;
  }

  becomeDurable(index: LogIndex): void {
    if (index > this.#durableIndex) this.#durableIndex = index;
  }

  compact(upTo: LogIndex): void {
    if (upTo <= this.#baseIndex) return;
    this.#terms = this.#terms.slice(upTo - this.#baseIndex);
    this.#baseIndex = upTo;
  }

  reset(to: { readonly index: LogIndex; readonly term: Term }): void {
    this.#baseIndex = to.index;
    this.#terms = [to.term];
    this.#durableIndex = to.index;
  }

  describeEnd(): string {
    return `${this.lastIndex} in term ${this.#lastTerm}`;
  }

  get #lastTerm(): Term {
    return this.#terms.at(-1) ?? NO_TERM;
  }
}
