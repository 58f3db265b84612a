/** Where `ringraft dev` speaks: events scroll by, and on a terminal the last line is the present state, drawn anew each time. */
export class Screen {
  readonly #stream: NodeJS.WriteStream;
  #status = "";

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** Something happened: a line that stays. */
  say(line: string): void {
    if (!this.#stream.isTTY) {
      this.#stream.write(`${line}\n`);
      return;
    }
    this.#stream.write(`${CLEAR_LINE}${line}\n${this.#fitted()}`);
  }

  /** How things are. Without a terminal it is written only when it differs from before; `elapsed` is not a difference. */
  show(elapsed: string, status: string): void {
    if (!this.#stream.isTTY) {
      if (status !== this.#status) this.#stream.write(`${elapsed}  ${status}\n`);
      this.#status = status;
      return;
    }
    this.#status = `${elapsed}  ${status}`;
    this.#stream.write(`${CLEAR_LINE}${this.#fitted()}`);
  }

  /** A line that wraps could not be cleared as one. */
  #fitted(): string {
    return this.#status.slice(0, Math.max(20, this.#stream.columns - 1));
  }
}

const CLEAR_LINE = "\r\x1b[K";
