import { randomUUID } from "node:crypto";
import { constants, existsSync, readdirSync, statSync } from "node:fs";
import { copyFile, open, rename } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { ExitError, NodeId, Term, exitCodes } from "#kernel";
import { type CheckedSnapshot, checkSnapshotFile, checkSnapshots } from "#storage";
import { type Command, UsageError, parse } from "../command.ts";
import { outputFormat, outputHelp, outputOptions, printJson, printRows } from "../output.ts";
import { openDirectory, openFile, storageErrorsExplained, whileStopped, wholeNumber } from "./directory.ts";
import { auditRecord, newClusterId } from "./recover.ts";

export const snapshotSave: Command = {
  name: "snapshot save",
  summary: "Copy a voter's newest snapshot into a file, checked",
  usage: "FILE --data-dir DIR [-o table|json]",
  details: `Reads the newest whole snapshot of the directory; the node may be running. A snapshot holds committed state only, as of its
index: up to \`raft.snapshot_every\` entries may be younger. The file is complete or not there.

Options:
      --data-dir DIR        the voter's data directory (required)
${outputHelp}
Exit code 3 when there is no snapshot yet, 4 when FILE exists, 74 when none is whole.`,
  run: async (args) => {
    const { values, positionals } = parse(args, { ...outputOptions, "data-dir": { type: "string" } }, ["FILE"]);
    const format = outputFormat(values);
    const path = values["data-dir"];
    if (path === undefined) throw new UsageError("--data-dir DIR is missing");
    const target = resolve(positionals[0]!);
    if (existsSync(target)) throw new ExitError(4, `${target} exists already`, "Name a new file.");
    const checked = await storageErrorsExplained(async () => checkSnapshots(await openDirectory(path)));
    if (checked.length === 0) {
      const hint = "A voter saves one every raft.snapshot_every entries.";
      throw new ExitError(3, `${path} has no snapshot yet`, hint);
    }
    const newest = checked.find((row) => row.ok);
    if (newest === undefined) throw new ExitError(exitCodes.io, `none of the ${checked.length} snapshots of ${path} is whole`);
    await copyDurably(join(path, newest.file), target);
    const { disk, file } = await openFile(target);
    printChecked(format, [await checkSnapshotFile(disk, file)]);
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

/** Whole under its name, or not there. */
async function copyDurably(from: string, target: string): Promise<void> {
  const draft = `${target}.tmp`;
  await copyFile(from, draft, constants.COPYFILE_FICLONE);
  await synced(draft);
  await rename(draft, target);
  await synced(dirname(target));
}

async function synced(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
