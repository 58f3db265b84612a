import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { ExitError, exitCodes } from "#kernel";
import { type Command, parse } from "../command.ts";

export const traceVerify: Command = {
  name: "trace verify",
  summary: "Hold a voter's trace (serve --trace-file) against the rules of Raft",
  usage: "FILE",
  details: `Every transition that the voter made is judged by a second, independent statement of the rules.
Exit code 0 when all are allowed, 1 when one is not: its line and the rule are printed.`,
  run: async (args) => {
    const file = parse(args, {}, ["FILE"]).positionals[0]!;
    const { verifyTrace } = await import("#sim");
    const lines = createInterface({ input: createReadStream(file), crlfDelay: Infinity });
    const verdict = await verifyTrace(lines).catch((error: unknown) => {
      throw new ExitError(exitCodes.io, `${file} cannot be read: ${(error as Error).message}`, null, { cause: error });
    });
    if (!verdict.ok) {
      process.stdout.write(`${file}:${verdict.line}: ${verdict.problem}\n`);
      return exitCodes.failed;
    }
    process.stdout.write(
      `${file}: ${verdict.transitions} transitions of ${verdict.node} in ${verdict.lives} lives, all allowed\n`,
    );
    return exitCodes.ok;
  },
};
