export const EXIT_USAGE = 64;

/** Reads a script's command line and runs it. Gives its exit code; 64, with the usage, when `read` throws. */
export async function runScript<A>(usage: string, read: () => A, run: (asked: A) => number | Promise<number>): Promise<number> {
  let asked: A;
  try {
    asked = read();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}\n`);
    return EXIT_USAGE;
  }
  return run(asked);
}

/** @throws RangeError, naming the option */
export function countOf(option: string, text: string, least = 1): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count >= least) return count;
  throw new RangeError(`--${option} ${text}: a whole number from ${least} is wanted`);
}
