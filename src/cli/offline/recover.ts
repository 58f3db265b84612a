import { randomUUID } from "node:crypto";
import { userInfo } from "node:os";
import { ClusterId, ExitError, exitCodes } from "#kernel";
import { readIdentity } from "#storage";
import { type Command, UsageError, parse } from "../command.ts";
import { outputFormat, outputHelp, outputOptions, printJson } from "../output.ts";
import { confirmed, openDirectory, quietLog, whileStopped, wholeNumber } from "./directory.ts";

export const recover: Command = {
  name: "recover",
  summary: "DANGEROUS: after the loss of a majority for good, go on from one voter's data as a new cluster",
  usage: "--force-new-cluster --data-dir DIR [--dry-run] [--yes]",
  details: `Only when a majority of the voters is lost FOR EVER. What the others had and this one has not is lost, although it was acknowledged;
what this one has and a majority had not is taken as decided. Choose the survivor with the highest last index (--dry-run on each).
THE OLD CLUSTER MUST NEVER RUN AGAIN: stop and wipe every other voter first.

Writes a cluster of this single voter with a new cluster id. Indexes, revisions and fencing tokens go on far above every one that the
old cluster can have handed out. The old files are kept in the directory, under backup-recover-…; recovery.json says what was done.
Then start this voter, and take the others in again, empty, with \`ringraft member add\`.

Options:
      --force-new-cluster   say that you mean it (required)
      --data-dir DIR        the survivor's data directory (required)
      --dry-run             only print what is known; change nothing
      --cluster-id ID       the new cluster's id (default: a random one). Must be \`cluster.id\` of the configuration, if that is set
      --min-index INDEX     go on above this index at least
      --yes                 do not ask
${outputHelp}
Exit codes: 74 damaged data, 75 a node runs on the directory, 78 it belongs to no cluster.`,
  run: async (args) => {
    const { values } = parse(args, recoverOptions, []);
    const format = outputFormat(values);
    if (values["force-new-cluster"] !== true)
      throw new UsageError("--force-new-cluster is missing: read `ringraft recover --help` first");
    const path = values["data-dir"];
    if (path === undefined) throw new UsageError("--data-dir DIR is missing");
    const minIndex = wholeNumber("--min-index", values["min-index"]) ?? 0;
    const clusterId = newClusterId(values["cluster-id"]);
    const disk = await openDirectory(path);
    const { backupName, foundCluster, readHistory, requireSound, stateOf } = await import("#node");
    return await whileStopped(path, async () => {
      const identity = await readIdentity(disk);
      if (identity === null) throw new ExitError(exitCodes.config, `${path} belongs to no cluster`);
      if (identity.initialising) {
        const hint = "An earlier attempt was interrupted. Move the files of its backup-… folder back, then run this again.";
        throw new ExitError(exitCodes.config, `${path} is only half made`, hint);
      }
      const history = await readHistory(disk);
      requireSound(history);
      const { last, log, snapshot, following } = history;
      if (last === null) throw new ExitError(exitCodes.config, `${path} holds no entry at all: there is nothing to go on from`);
      const machine = await stateOf(disk, history, quietLog);
      const known = {
        nodeId: identity.nodeId,
        oldClusterId: identity.clusterId,
        lastIndex: last.index,
        lastTerm: String(last.term),
        term: log.hardState.term,
        snapshotIndex: String(snapshot?.meta.index ?? 0),
        entriesBehindIt: following.length,
        mayHaveLostItsEnd: log.suspect || log.damage !== null,
        lastWrittenMs: last.wallTimeMs,
        state: machine.read().counts(),
      };
      if (values["dry-run"] === true) {
        printKnown(format, known);
        return exitCodes.ok;
      }
      if (format === "table") printKnown(format, known);
      process.stderr.write(warning);
      await confirmed("force new cluster", values.yes);
      const backupFolder = backupName("recover", Date.now());
      const founded = await foundCluster(
        disk,
        { machine, last, term: log.hardState.term },
        {
          clusterId,
          nodeId: identity.nodeId,
          directoryId: randomUUID(),
          minIndex,
          backupFolder,
          record: auditRecord("force_new_cluster", { from: known, backup: backupFolder }),
        },
      );
      const done = {
        clusterId,
        nodeId: identity.nodeId,
        firstIndex: String(founded.firstIndex),
        term: founded.term,
        backup: backupFolder,
      };
      if (format === "json") printJson(done);
      else {
        process.stdout.write(
          `cluster ${clusterId} is made of ${identity.nodeId} alone and goes on at index ${founded.firstIndex}; the old files are in ${path}/${backupFolder}\n`,
        );
      }
      return exitCodes.ok;
    });
  },
};

const recoverOptions = {
  ...outputOptions,
  "force-new-cluster": { type: "boolean" },
  "data-dir": { type: "string" },
  "dry-run": { type: "boolean" },
  "cluster-id": { type: "string" },
  "min-index": { type: "string" },
  yes: { type: "boolean" },
} as const;

const warning = `
WARNING: this makes a NEW CLUSTER of this one voter. Whatever a majority had acknowledged and this voter has not is LOST.
No voter of the old cluster may ever run again with its old data.

`;

export function newClusterId(given: string | undefined): ClusterId {
  if (given === undefined) return ClusterId(randomUUID());
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(given)) return ClusterId(given);
  throw new UsageError(`--cluster-id: "${given}" cannot name a cluster`);
}

/** Who did what, when, from what. */
export function auditRecord(kind: string, details: object): Readonly<Record<string, unknown>> {
  return { format_version: 1, kind, at_ms: Date.now(), by: userInfo().username, ...details };
}

function printKnown(format: string, known: Readonly<Record<string, unknown>>): void {
  if (format === "json") {
    printJson(known);
    return;
  }
  for (const [name, value] of Object.entries(known)) {
    process.stdout.write(`${name.padEnd(18)}  ${typeof value === "string" ? value : JSON.stringify(value)}\n`);
  }
}
