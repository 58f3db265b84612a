/** What a child said on standard output, line by line (docs/client.md, "The child protocol"). */
export interface ReportedProgress {
  readonly percent: number;
  readonly step: string;
  readonly message: string;
}

/**
 * Reads a child's standard output as it arrives in pieces. Lines that are not of the protocol are the program's own prints
 * and are passed over. The last result wins.
 */
export class ChildOutput {
  #partial = "";
  #overlong = false;
  /** JSON text, or null while the child has reported none. */
  result: string | null = null;

  /** Returns the newest progress in this piece, null when it has none. */
  feed(text: string): ReportedProgress | null {
    const lines = (this.#partial + text).split("\n");
    this.#partial = lines.pop() ?? "";
    let newest: ReportedProgress | null = null;
    for (const line of lines) newest = this.#line(line) ?? newest;
    if (this.#partial.length > MAX_LINE) {
      this.#partial = "";
      this.#overlong = true;
    }
    return newest;
  }

  /** The child has exited: a last line needs no newline. */
  finish(): void {
    this.feed("\n");
  }

  #line(line: string): ReportedProgress | null {
    // What follows a dropped piece is the middle of a line.
    if (this.#overlong) {
      this.#overlong = false;
      return null;
    }
    if (!line.startsWith("{")) return null;
    const said = parse(line);
    if (said === null) return null;
    if ("result" in said) this.result = typeof said["result"] === "string" ? said["result"] : JSON.stringify(said["result"]);
    return progressOf(said["progress"]);
  }
}

/** The end of what a child wrote to standard error, bounded: what a person needs to see why it failed. */
export class ErrorTail {
  #text = "";

  feed(text: string): void {
    this.#text = (this.#text + text).slice(-MAX_TAIL);
  }

  get text(): string {
    return this.#text.trim();
  }
}

function parse(line: string): Record<string, unknown> | null {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
}

function progressOf(value: unknown): ReportedProgress | null {
  if (typeof value !== "object" || value === null) return null;
  const { percent, step, message } = value as Record<string, unknown>;
  return {
    percent: typeof percent === "number" && Number.isFinite(percent) ? Math.min(100, Math.max(0, percent)) : 0,
    step: typeof step === "string" ? step.slice(0, MAX_STEP) : "",
    message: typeof message === "string" ? message.slice(0, MAX_MESSAGE) : "",
  };
}

/** A result may be 64 KiB; escaped in JSON it is at most six times as long. */
const MAX_LINE = 400_000;
/** In characters. The queue takes 256 and 4,096 bytes, and none needs more than three for each of its units. */
const MAX_STEP = 85;
const MAX_MESSAGE = 1_000;
const MAX_TAIL = 1_300;
