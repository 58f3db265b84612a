import { randomUUID } from "node:crypto";
import { constants, existsSync, readdirSync, statSync } from "node:fs";
import { copyFile, open, rename } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { ExitError, NodeId, Term, exitCodes } from "#kernel";
import { type CheckedSnapshot, checkSnapshotFile, checkSnapshots } from "#storage";
import type { Client } from "#client";
import { type Command, UsageError, parse } from "../command.ts";
import { connectionHelp, connectionOptions, withClient } from "../connection.ts";
import { outputFormat, outputHelp, outputOptions, printJson, printRows } from "../output.ts";
import { openDirectory, openFile, storageErrorsExplained, whileStopped, wholeNumber } from "./directory.ts";
import { auditRecord, newClusterId } from "./recover.ts";

export const snapshotSave: Command = {
  name: "snapshot save",
  summary: "Back a cluster up: a voter's state as one file, checked",
  usage: "FILE (--from HOST:PORT | --data-dir DIR) [-o table|json]",
  details: `With --from the running voter saves what it has applied now. With --data-dir the newest whole snapshot of a directory is copied,
which may be up to \`raft.snapshot_every\` entries old. Either way it holds committed state only, and FILE is complete or not there.

Options:
      --from HOST:PORT      the voter's client port
      --data-dir DIR        a voter's data directory; its node may be running
${connectionHelp.replace(/^Options:\n.*\n/, "")}
Exit code 3 when there is no snapshot yet, 4 when FILE exists, 74 when what was saved is not whole.`,
  run: async (args) => {
    const options = { ...connectionOptions, "data-dir": { type: "string" }, from: { type: "string" } } as const;
    const { values, positionals } = parse(args, options, ["FILE"]);
    const format = outputFormat(values);
    const { "data-dir": directory, from } = values;
    if ((directory === undefined) === (from === undefined))
      throw new UsageError("name one of --from HOST:PORT and --data-dir DIR");
    const target = resolve(positionals[0]!);
    if (existsSync(target)) throw new ExitError(4, `${target} exists already`, "Name a new file.");
    const draft = `${target}.tmp`;
    if (directory !== undefined) await copyNewest(directory, draft);
    else await withClient({ ...values, endpoint: [from!] }, (client) => download(client, draft));
    const { disk, file } = await openFile(draft);
    const checked = await checkSnapshotFile(disk, file);
    if (!checked.ok) throw new ExitError(exitCodes.io, checked.error.message, checked.error.hint, { cause: checked.error });
    await synced(draft);
    await rename(draft, target);
    await synced(dirname(target));
    printChecked(format, [{ ...checked, file: target }]);
    return exitCodes.ok;
  },
};

export const snapshotVerify: Command = {
  name: "snapshot verify",
  summary: "Read a snapshot file, or all of a data directory, and check every byte against its sums",
  usage: "FILE|DATA_DIR [-o table|json]",
  details: `Options:
${outputHelp}
Exit code 0 when all are whole, 74 when one is not.`,
  run: async (args) => {
    const { values, positionals } = parse(args, outputOptions, ["FILE|DATA_DIR"]);
    const format = outputFormat(values);
    const path = positionals[0]!;
    const rows = await storageErrorsExplained(async () => {
      if (existsSync(path) && statSync(path).isDirectory()) return await checkSnapshots(await openDirectory(path));
      const { disk, file } = await openFile(path);
      return [await checkSnapshotFile(disk, file)];
    });
    printChecked(format, rows);
    return rows.every((row) => row.ok) ? exitCodes.ok : exitCodes.io;
  },
};

export const snapshotRestore: Command = {
  name: "snapshot restore",
  summary: "Found a new cluster of one voter, in an empty directory, from a snapshot file",
  usage: "FILE --data-dir DIR --node-id NODE",
  details: `The cluster that the snapshot was saved from must never run again. The new one has a new id, and its indexes, revisions and fencing
tokens go on far above every one that the old cluster can have handed out since. recovery.json in the directory says what was done.
Then start this voter, and take the others in, empty, with \`ringraft member add\`.

Options:
      --data-dir DIR        the new data directory: absent or empty (required)
      --node-id NODE        the voter that it shall belong to (required)
      --cluster-id ID       the new cluster's id (default: a random one). Must be \`cluster.id\` of the configuration, if that is set
      --min-index INDEX     go on above this index at least
${outputHelp}
Exit codes: 74 the snapshot is damaged, 78 the directory is not empty.`,
  run: async (args) => {
    const { values, positionals } = parse(args, restoreOptions, ["FILE"]);
    const format = outputFormat(values);
    const path = values["data-dir"];
    const node = values["node-id"];
    if (path === undefined) throw new UsageError("--data-dir DIR is missing");
    if (node === undefined) throw new UsageError("--node-id NODE is missing");
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(node)) throw new UsageError(`--node-id: "${node}" is not a node id`);
    const minIndex = wholeNumber("--min-index", values["min-index"]) ?? 0;
    const clusterId = newClusterId(values["cluster-id"]);
    const source = await openFile(positionals[0]!);
    const { foundCluster, stateInFile } = await import("#node");
    const { nodeDisk } = await import("#host");
    if (existsSync(path) && (!statSync(path).isDirectory() || readdirSync(path).length > 0)) {
      throw new ExitError(exitCodes.config, `${path} is not an empty directory`, "Nothing was changed. Name another one.");
    }
    return await whileStopped(path, async () => {
      const checked = await checkSnapshotFile(source.disk, source.file);
      if (!checked.ok) throw checked.error;
      const { meta } = checked;
      const machine = await stateInFile(source.disk, source.file);
      const founded = await foundCluster(
        nodeDisk(path),
        { machine, last: meta, term: Term(0) },
        {
          clusterId,
          nodeId: NodeId(node),
          directoryId: randomUUID(),
          minIndex,
          backupFolder: null,
          record: auditRecord("snapshot_restore", {
            from: { file: resolve(positionals[0]!), index: String(meta.index), term: String(meta.term) },
          }),
        },
      );
      const done = { clusterId, nodeId: node, snapshotIndex: String(meta.index), firstIndex: String(founded.firstIndex) };
      if (format === "json") printJson(done);
      else {
        process.stdout.write(
          `cluster ${clusterId} is made of ${node} alone: the state of index ${meta.index}, going on at index ${founded.firstIndex}\n`,
        );
      }
      return exitCodes.ok;
    });
  },
};

const restoreOptions = {
  ...outputOptions,
  "data-dir": { type: "string" },
  "node-id": { type: "string" },
  "cluster-id": { type: "string" },
  "min-index": { type: "string" },
} as const;

function printChecked(format: "table" | "json", rows: readonly CheckedSnapshot[]): void {
  if (format === "json") {
    printJson(
      rows.map((row) =>
        row.ok
          ? { file: row.file, ok: true, index: row.meta.index, term: row.meta.term, contentBytes: row.contentBytes }
          : { file: row.file, ok: false, problem: row.error.message },
      ),
    );
    return;
  }
  printRows(format, rows, {
    FILE: (row) => row.file,
    VERDICT: (row) => (row.ok ? "ok" : row.error.code.toLowerCase()),
    INDEX: (row) => (row.ok ? String(row.meta.index) : "-"),
    TERM: (row) => (row.ok ? String(row.meta.term) : "-"),
    BYTES: (row) => (row.ok ? String(row.contentBytes) : "-"),
    PROBLEM: (row) => (row.ok ? "" : row.error.message),
  });
}

async function copyNewest(directory: string, draft: string): Promise<void> {
  const checked = await storageErrorsExplained(async () => checkSnapshots(await openDirectory(directory)));
  const newest = checked.find((row) => row.ok);
  if (newest !== undefined) return await copyFile(join(directory, newest.file), draft, constants.COPYFILE_FICLONE);
  if (checked.length > 0) throw new ExitError(exitCodes.io, `none of the ${checked.length} snapshots of ${directory} is whole`);
  throw new ExitError(3, `${directory} has no snapshot yet`, "Save one from the running voter: --from HOST:PORT.");
}

async function download(client: Client, draft: string): Promise<void> {
  const index = await client.cluster.saveSnapshot();
  const handle = await open(draft, "w", 0o600);
  try {
    for (let offset = 0, total = 1; offset < total;) {
      const { data, totalBytes } = await client.cluster.readSnapshot(index, offset);
      await handle.write(data, 0, data.length, offset);
      offset += data.length;
      total = data.length === 0 ? 0 : totalBytes;
    }
  } finally {
    await handle.close();
  }
}

async function synced(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
