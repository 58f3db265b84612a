import { once } from "node:events";
import { ExitError, LogIndex, assertNever, exitCodes } from "#kernel";
import { decodeCommand, toJson } from "#codec";
import { type Entry, decodeConfiguration } from "#raft";
import { readIdentity, readLog } from "#storage";
import { type Command, UsageError, parse } from "../command.ts";
import { outputFormat, outputHelp, outputOptions, printJson } from "../output.ts";
import { confirmed, openDirectory, storageErrorsExplained, whileStopped, wholeNumber } from "./directory.ts";

export const walExport: Command = {
  name: "wal export",
  summary: "Write a log's entries as JSON, one per line, with what they contain",
  usage: "DATA_DIR [--from INDEX] [--to INDEX]",
  details: `Reads only. Entries are shown with their payloads: the output is as secret as the data.

Options:
      --from INDEX          the first entry (default: the oldest that the log still has)
      --to INDEX            the last entry (default: the newest)
Exit code 74 when the log is damaged; what stands before the damage has been written by then.`,
  run: async (args) => {
    const { values, positionals } = parse(args, { from: { type: "string" }, to: { type: "string" } }, ["DATA_DIR"]);
    const from = wholeNumber("--from", values.from) ?? 0;
    const to = wholeNumber("--to", values.to) ?? Infinity;
    const disk = await openDirectory(positionals[0]!);
    const { entries, damage } = await storageErrorsExplained(() => readLog(disk));
    for (const entry of entries) {
      if (entry.index < from || entry.index > to) continue;
      if (!process.stdout.write(`${JSON.stringify(entryToJson(entry))}\n`)) await once(process.stdout, "drain");
    }
    if (damage !== null) throw new ExitError(exitCodes.io, damage.message, damage.hint, { cause: damage });
    return exitCodes.ok;
  },
};

export const walCut: Command = {
  name: "wal cut",
  summary: "DANGEROUS: drop a stopped voter's log from an index on, and what is damaged behind it",
  usage: "DATA_DIR --at INDEX [--yes]",
  details: `For a log that no start accepts. EVERY ENTRY FROM INDEX ON IS FORGOTTEN, and any of them may have been acknowledged: which of
them were committed is not written in a voter's log. Entries that a snapshot has cannot be cut. The voter remembers its votes and is
suspect afterwards: it gives no vote and counts for nothing until a leader has caught it up. While the rest of the cluster is up,
\`member remove\` and \`member add\` with an empty directory are the better way.

The old log is kept in the directory, under backup-wal-cut-….

Options:
      --at INDEX            the first entry to drop (required)
      --yes                 do not ask
${outputHelp}
Exit code 75 while a node runs on the directory.`,
  run: async (args) => {
    const options = { ...outputOptions, at: { type: "string" }, yes: { type: "boolean" } } as const;
    const { values, positionals } = parse(args, options, ["DATA_DIR"]);
    const format = outputFormat(values);
    const at = wholeNumber("--at", values.at);
    if (at === null || at < 1) throw new UsageError("--at INDEX is missing");
    const path = positionals[0]!;
    const disk = await openDirectory(path);
    const { backupName, cutLog, readHistory } = await import("#node");
    return await whileStopped(path, async () => {
      const identity = await readIdentity(disk);
      if (identity === null) throw new ExitError(exitCodes.config, `${path} belongs to no cluster`);
      const history = await readHistory(disk);
      const dropped = history.following.filter(({ index }) => index >= at);
      if (history.log.damage === null && dropped.length === 0) {
        throw new ExitError(
          exitCodes.failed,
          `the log is whole and ends at ${history.last?.index ?? 0}: there is nothing to cut at ${at}`,
        );
      }
      process.stderr.write(
        `WARNING: ${dropped.length} readable entries from ${at} on will be forgotten${history.log.damage === null ? "" : ", and all behind the damage"}. Any of them may have been acknowledged.\n`,
      );
      await confirmed("cut the log", values.yes);
      const backupFolder = backupName("wal-cut", Date.now());
      const { clusterId, nodeId } = identity;
      await cutLog(disk, history, { at: LogIndex(at), clusterId, nodeId, backupFolder });
      const done = { droppedEntries: dropped.length, lastIndex: at - 1, backup: backupFolder, suspect: true };
      if (format === "json") printJson(done);
      else
        process.stdout.write(
          `cut: ${dropped.length} entries from ${at} on are gone; the old log is in ${path}/${backupFolder}\n`,
        );
      return exitCodes.ok;
    });
  },
};

function entryToJson({ index, term, kind, clusterTimeMs, wallTimeMs, data }: Entry): object {
  const head = { index: String(index), term: String(term), kind, cluster_time_ms: clusterTimeMs, wall_time_ms: wallTimeMs };
  switch (kind) {
    case "command": {
      const decoded = decodeCommand(data);
      return decoded.ok
        ? { ...head, command: toJson(decoded.value.command) }
        : { ...head, unreadable: decoded.refusal.message, base64: Buffer.from(data).toString("base64") };
    }
    case "configuration":
      return { ...head, configuration: toJson(decodeConfiguration(data)) };
    case "leader":
      return head;
    default:
      return assertNever(kind, "entry kind");
  }
}
