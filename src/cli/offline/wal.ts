import { ExitError, exitCodes } from "#kernel";
import { dumpWal, StorageError, verifyWal, type WalDumpRow, type WalVerifyRow } from "#storage";
import { type Command, parse } from "../command.ts";
import { outputFormat, outputHelp, outputOptions, printRows } from "../output.ts";
import { openDirectory } from "./directory.ts";

const optionsHelp = `Options:\n${outputHelp}`;

export const walVerify: Command = {
  name: "wal verify",
  summary: "Read a stopped voter's log and say whether a start would accept it; writes nothing",
  usage: "DATA_DIR [-o table|json]",
  details: `${optionsHelp}

A torn tail is no damage: the next start cuts it off, and nothing acknowledged is lost.
Exit code 0 when a start would accept the log, 74 when not.`,
  run: async (args) => {
    const { values, positionals } = parse(args, outputOptions, ["DATA_DIR"]);
    const format = outputFormat(values);
    const rows: WalVerifyRow[] = [];
    for await (const row of verifyWal(await openDirectory(positionals[0]!))) rows.push(row);
    printRows(format, rows, {
      FILE: (row) => row.file,
      VERDICT: (row) => row.verdict,
      RECORDS: (row) => String(row.records),
      BATCHES: (row) => String(row.batches),
      BYTES: (row) => String(row.bytes),
      PROBLEM: (row) => (row.problem === null ? "" : `at byte ${row.offset ?? 0}: ${row.problem}`),
    });
    return rows.every((row) => row.verdict === "ok" || row.verdict === "torn") ? exitCodes.ok : exitCodes.io;
  },
};

export const walDump: Command = {
  name: "wal dump",
  summary: "Print every record of a stopped voter's log, entries by size and never by content",
  usage: "DATA_DIR [-o table|json]",
  details: optionsHelp,
  run: async (args) => {
    const { values, positionals } = parse(args, outputOptions, ["DATA_DIR"]);
    const format = outputFormat(values);
    const rows: WalDumpRow[] = [];
    try {
      for await (const row of dumpWal(await openDirectory(positionals[0]!))) rows.push(row);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      throw new ExitError(exitCodes.io, error.message, error.hint, { cause: error });
    }
    printRows(format, rows, {
      FILE: (row) => row.file,
      OFFSET: (row) => String(row.offset),
      RECORD: (row) => String(row.record),
      BATCH: (row) => String(row.batch),
      TYPE: (row) => row.type,
      FIELDS: (row) =>
        Object.entries(row.fields)
          .map(([name, value]) => `${name}=${value}`)
          .join(" "),
    });
    return exitCodes.ok;
  },
};
