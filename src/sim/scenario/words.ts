import type { NodeId } from "#kernel";
import { nearest } from "./nearest.ts";

/** A mistake in a scenario file: where it is, and what would be right. Never a finding about Raft. */
export class ScenarioError extends Error {
  override readonly name = "ScenarioError";
  readonly line: number;
  readonly column: number;

  constructor(line: number, column: number, message: string) {
    super(message);
    this.line = line;
    this.column = column;
  }
}

export interface Word {
  readonly text: string;
  /** 1-based, in the file's own line: a word that came out of a `{placeholder}` has the placeholder's column. */
  readonly column: number;
}

/** The nodes that the lines so far have named. */
export interface Roster {
  readonly nodes: Set<NodeId>;
  readonly absent: Set<NodeId>;
}

/** The words of one statement, read from left to right. Every refusal names the offending word. */
export class Words {
  readonly line: number;
  readonly #words: readonly Word[];
  readonly #endColumn: number;
  readonly #roster: Roster;
  #at = 0;

  constructor(line: number, words: readonly Word[], roster: Roster) {
    this.line = line;
    this.#words = words;
    const last = words.at(-1);
    this.#endColumn = last === undefined ? 1 : last.column + last.text.length;
    this.#roster = roster;
  }

  get text(): string {
    return this.#words.map((word) => word.text).join(" ");
  }

  get peek(): string | null {
    return this.#words[this.#at]?.text ?? null;
  }

  get column(): number {
    return this.#words[this.#at]?.column ?? this.#endColumn;
  }

  fail(message: string): never {
    throw new ScenarioError(this.line, this.column, message);
  }

  /** `what` completes "expected …". */
  next(what: string): string {
    const text = this.peek;
    if (text === null) this.fail(`expected ${what}, but the line ends`);
    this.#at++;
    return text;
  }

  /** Takes the word if it is next. */
  take(text: string): boolean {
    if (this.peek !== text) return false;
    this.#at++;
    return true;
  }

  require(text: string): void {
    if (!this.take(text)) this.unexpected(`"${text}"`);
  }

  unexpected(what: string): never {
    this.fail(this.peek === null ? `expected ${what}, but the line ends` : `expected ${what}, got "${this.peek}"`);
  }

  oneOf<T extends string>(what: string, allowed: readonly T[]): T {
    const found = allowed.find((word) => word === this.peek);
    if (found === undefined) {
      const near = this.peek === null ? null : nearest(this.peek, allowed);
      this.fail(
        this.peek === null
          ? `expected ${what}, but the line ends`
          : `unknown ${what} "${this.peek}"${near === null ? ` (one of: ${allowed.join(", ")})` : `, did you mean "${near}"?`}`,
      );
    }
    this.#at++;
    return found;
  }

  number(what: string): number {
    if (!/^\d+$/.test(this.peek ?? "")) this.unexpected(`${what} (a number)`);
    return Number(this.next(what));
  }

  optionalNumber(otherwise: number): number {
    return /^\d+$/.test(this.peek ?? "") ? this.number("count") : otherwise;
  }

  /** `1,1,2`, or `none`. */
  terms(what: string): readonly number[] {
    if (this.take("none")) return [];
    if (!/^\d+(,\d+)*$/.test(this.peek ?? "")) this.unexpected(`${what} (terms such as 1,1,2, or none)`);
    return this.next(what).split(",").map(Number);
  }

  node(): NodeId {
    const { peek } = this;
    if (peek === null) this.unexpected("a node");
    if (!this.#isNode(peek)) {
      const near = nearest(peek, [...this.#roster.nodes]);
      this.fail(`unknown node "${peek}"${near === null ? "" : `, did you mean "${near}"?`}`);
    }
    return this.next("a node") as NodeId;
  }

  nodeOrNone(): NodeId | null {
    return this.take("none") ? null : this.node();
  }

  /** One or more nodes, or `all` that have a process. */
  nodes(): readonly NodeId[] {
    if (this.take("all")) return [...this.#roster.nodes].filter((node) => !this.#roster.absent.has(node));
    const nodes = [this.node()];
    while (this.peek !== null && this.#isNode(this.peek)) nodes.push(this.node());
    return nodes;
  }

  get startsWithNode(): boolean {
    return this.peek === "all" || (this.peek !== null && this.#isNode(this.peek));
  }

  /** Names that this line makes known. */
  newNodes(): readonly NodeId[] {
    const nodes: NodeId[] = [];
    while (this.peek !== null) {
      if (!/^[A-Za-z][A-Za-z0-9_-]*$/.test(this.peek) || RESERVED.has(this.peek)) this.unexpected("a node's name");
      const node = this.next("a node's name") as NodeId;
      this.#roster.nodes.add(node);
      nodes.push(node);
    }
    if (nodes.length === 0) this.unexpected("a node's name");
    return nodes;
  }

  absentNodes(): readonly NodeId[] {
    const nodes = this.nodes();
    for (const node of nodes) this.#roster.absent.add(node);
    return nodes;
  }

  rest(): readonly string[] {
    const rest = this.#words.slice(this.#at).map((word) => word.text);
    this.#at = this.#words.length;
    return rest;
  }

  end(): void {
    if (this.peek !== null) this.unexpected("the end of the line");
  }

  #isNode(text: string): boolean {
    return this.#roster.nodes.has(text as NodeId);
  }
}

/** Splits at white space; `"…"` is one word; `;` separates statements; `#` begins a comment. */
export function splitStatements(text: string, columnOf: (at: number) => number): readonly (readonly Word[])[] {
  const statements: Word[][] = [[]];
  const pattern = /"([^"]*)"|(#.*)|(;)|[^\s;"]+/g;
  for (const match of text.matchAll(pattern)) {
    if (match[2] !== undefined) break;
    if (match[3] !== undefined) statements.push([]);
    else statements.at(-1)!.push({ text: match[1] ?? match[0], column: columnOf(match.index) });
  }
  return statements.filter((statement) => statement.length > 0);
}

/** Words that would make a line ambiguous if a node were called so. */
const RESERVED: ReadonlySet<string> = new Set([
  "all",
  "none",
  "no",
  "not",
  "from",
  "to",
  "for",
  "leader",
  "follower",
  "candidate",
  "preCandidate",
  "sent",
  "read",
  "votes",
  "mark",
]);
