import { styleText } from "node:util";
import type { Line, Room } from "./frame.ts";

/** Where frames go: in place on a terminal, one after the other elsewhere. Escape codes are written to terminals only. */
export class Terminal {
  readonly #stream: NodeJS.WriteStream;
  readonly #hasColours: boolean;
  #isOpen = false;
  #drawn = 0;

  constructor(stream: NodeJS.WriteStream, env: Readonly<Record<string, string | undefined>>) {
    this.#stream = stream;
    // https://no-color.org: set to anything but nothing.
    this.#hasColours = stream.isTTY && stream.hasColors() && (env["NO_COLOR"] ?? "") === "";
  }

  get room(): Room {
    const { isTTY, columns, rows } = this.#stream;
    return isTTY ? { columns: columns || 80, rows: rows || 24 } : { columns: Infinity, rows: null };
  }

  /** A screen of its own, so that what stood on the terminal is back when this is over. */
  open(): void {
    if (!this.#stream.isTTY || this.#isOpen) return;
    this.#isOpen = true;
    this.#stream.write(OTHER_SCREEN + HIDE_CURSOR);
  }

  draw(lines: readonly Line[]): void {
    const text = lines.map((line) => this.#painted(line));
    if (this.#isOpen) this.#stream.write(HOME + text.map((line) => line + CLEAR_LINE).join("\n") + CLEAR_BELOW);
    else this.#stream.write(`${this.#drawn > 0 ? "\n" : ""}${text.join("\n")}\n`);
    this.#drawn++;
  }

  /** May be called twice. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#stream.write(SHOW_CURSOR + MAIN_SCREEN);
  }

  #painted({ text, style }: Line): string {
    return style === null || !this.#hasColours ? text : styleText(style, text, { validateStream: false });
  }
}

const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";
const OTHER_SCREEN = "\x1b[?1049h";
const MAIN_SCREEN = "\x1b[?1049l";
const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";
