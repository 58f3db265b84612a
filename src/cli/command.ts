import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { ExitError, RefusalError, surfaces } from "#kernel";
import { ClientError } from "#client";

/** One command of the CLI: `name` is what the user types, `run` gets what follows and returns the exit code. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly usage: string;
  readonly details: string;
  readonly run: (args: readonly string[]) => Promise<number>;
}

/** The caller typed something wrong: exit code 2 (64 for `serve`, which follows sysexits). */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Parses strictly; a wrong option becomes a {@link UsageError} in the first of parseArgs's own sentences. */
export function parse<const T extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: T,
  positionals: readonly string[],
) {
  try {
    const parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
    if (parsed.positionals.length > positionals.length) {
      throw new UsageError(`unexpected argument "${parsed.positionals[positionals.length]}"`);
    }
    const missing = positionals[parsed.positionals.length];
    if (missing !== undefined && !missing.startsWith("[")) throw new UsageError(`missing argument ${missing}`);
    return parsed;
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(firstSentence((error as Error).message), { cause: error });
  }
}

/** The second one explains how to pass an argument that begins with a dash, which none of our commands takes. */
function firstSentence(message: string): string {
  return message.split(/\. |\n/, 1)[0]!;
}

/** Prints one message to standard error and sets the exit code that the reason stands for. */
export function exitWith(error: unknown): void {
  const { message, hint, code } = describe(error);
  process.stderr.write(`ringraft: ${message}\n${hint === null ? "" : `  ${hint}\n`}`);
  process.exitCode = code;
}

function describe(error: unknown): { readonly message: string; readonly hint: string | null; readonly code: number } {
  if (error instanceof UsageError) return { message: error.message, hint: null, code: 2 };
  if (error instanceof ExitError) {
    return { message: error.message, hint: error.hint, code: error.exitCode };
  }
  if (error instanceof ClientError || error instanceof RefusalError) {
    const surface = surfaces[error.refusal.reason];
    return { message: `${error.refusal.reason}: ${error.refusal.message}`, hint: surface.hint, code: surface.exit };
  }
  return { message: error instanceof Error ? error.message : String(error), hint: null, code: 1 };
}
