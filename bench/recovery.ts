import { type ChildProcess } from "node:child_process";
import { constants, cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { setTimeout as pause } from "node:timers/promises";
import { connect } from "#client";
import { ProcessGroup } from "./commit/processes.ts";
import { localVoters, startVoter } from "./local-voters.ts";
import type { LoopSample } from "./loop-probe.ts";
import { fillDataDirectory } from "./recovery-data.ts";

const TARGETS = { servingMs: 10_000, residentBytes: 1.5e9, pauseMs: 50 } as const;
const PATIENCE_MS = 120_000;
/** Of light load: one write each. */
const WRITE_EVERY_MS = 10;

interface Result {
  readonly items: number;
  readonly logEntries: number;
  /** From the start of the process to the first write that it acknowledged. */
  readonly servingMs: number;
  /** Processor time of that: what it takes on a machine with other work. */
  readonly recoveryCpuMs: number;
  /** The longest that the event loop stood still before that. */
  readonly recoveryPauseMs: number;
  readonly residentBytes: number;
  readonly snapshotMs: number;
  /** The longest that the event loop stood still while the snapshot was made, and the longest garbage collection in it. */
  readonly snapshotPauseMs: number;
  readonly snapshotCollectionMs: number;
  /** Longest wait of a write meanwhile. */
  readonly snapshotWriteMs: number;
  /** Elections after the first: none may come of a snapshot. */
  readonly elections: number;
}

/** Starts a voter on a large data directory; then lets it save a snapshot under light load. */
export async function recovery(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      items: { type: "string", default: "1000000" },
      log: { type: "string", default: "100000" },
      data: { type: "string" },
      json: { type: "string" },
    },
  });
  const group = new ProcessGroup();
  try {
    const result = await measure(group, Number(values.items), Number(values.log), values.data ?? null);
    report(result);
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ targets: TARGETS, ...result }, null, 2)}\n`);
  } finally {
    await group.stop();
  }
}

async function measure(group: ProcessGroup, items: number, logEntries: number, kept: string | null): Promise<Result> {
  const layout = await localVoters(group, 1);
  const { name, ports } = layout.nodes[0]!;
  const directory = join(layout.folder, name);
  if (kept !== null && existsSync(kept)) {
    rmSync(directory, { recursive: true });
    cpSync(kept, directory, { recursive: true, mode: constants.COPYFILE_FICLONE });
  } else {
    console.log(`making a data directory of ${items} items and a log of ${logEntries} entries …`);
    await fillDataDirectory(directory, name, items, logEntries);
    if (kept !== null) cpSync(directory, kept, { recursive: true, mode: constants.COPYFILE_FICLONE });
  }
  const before = snapshotsIn(directory);
  const probeFile = join(group.folder, "loop.jsonl");
  writeFileSync(probeFile, "");
  const startedAtMs = Date.now();
  const child = startVoter(group, layout, name, {
    NODE_OPTIONS: `${process.env["NODE_OPTIONS"] ?? ""} --import ${join(import.meta.dirname, "loop-probe.ts")}`.trim(),
    RINGRAFT_LOOP_PROBE: probeFile,
  });
  const client = connect({ endpoints: layout.endpoints, timeoutMs: PATIENCE_MS });
  const session = await alive(child, client.openSession({ purpose: "benchmark", ttlMs: 60_000 }));
  await session.work.enqueue({ kind: "bench", queue: "bench" });
  const servingAtMs = Date.now();
  const electionsBefore = await electionsOf(ports.http);

  let snapshotWriteMs = 0;
  while (!changed(before, snapshotsIn(directory))) {
    if (Date.now() - servingAtMs > PATIENCE_MS) throw new Error(`no snapshot within ${PATIENCE_MS} ms`);
    const askedAtMs = performance.now();
    await session.work.enqueue({ kind: "bench", queue: "bench" });
    snapshotWriteMs = Math.max(snapshotWriteMs, performance.now() - askedAtMs);
    await pause(WRITE_EVERY_MS);
  }
  // The new file is read back and verified, and the log shortened.
  await pause(2_000);
  const savedAtMs = Date.now();
  const elections = (await electionsOf(ports.http)) - electionsBefore;
  await client.close();

  const samples = readFileSync(probeFile, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as LoopSample);
  const during = samples.filter(({ atMs }) => atMs > servingAtMs && atMs <= savedAtMs);
  const until = samples.filter(({ atMs }) => atMs <= servingAtMs);
  return {
    items,
    logEntries,
    servingMs: servingAtMs - startedAtMs,
    recoveryCpuMs: most(until, "cpuMs"),
    recoveryPauseMs: most(until, "pauseMs"),
    residentBytes: most(samples, "residentBytes"),
    snapshotMs: savedAtMs - 2_000 - servingAtMs,
    snapshotPauseMs: most(during, "pauseMs"),
    snapshotCollectionMs: most(during, "collectionMs"),
    snapshotWriteMs,
    elections,
  };
}

function report(result: Result): void {
  const rows: readonly (readonly [string, string, boolean])[] = [
    [
      `serving after ${(result.servingMs / 1000).toFixed(1)} s (${(result.recoveryCpuMs / 1000).toFixed(1)} s of processor time, longest pause ${result.recoveryPauseMs.toFixed(0)} ms)`,
      `under ${TARGETS.servingMs / 1000} s`,
      result.servingMs < TARGETS.servingMs,
    ],
    [
      `resident memory at most ${(result.residentBytes / 1e6).toFixed(0)} MB`,
      `under ${TARGETS.residentBytes / 1e6} MB`,
      result.residentBytes < TARGETS.residentBytes,
    ],
    [
      `longest pause of the event loop during a snapshot (${(result.snapshotMs / 1000).toFixed(1)} s) ${result.snapshotPauseMs.toFixed(1)} ms` +
        `, garbage collection ${result.snapshotCollectionMs.toFixed(1)} ms, slowest write ${result.snapshotWriteMs.toFixed(0)} ms`,
      `under ${TARGETS.pauseMs} ms`,
      result.snapshotPauseMs < TARGETS.pauseMs,
    ],
    [`${result.elections} elections meanwhile`, "none", result.elections === 0],
  ];
  console.log(`${result.items} items, ${result.logEntries} entries of log`);
  for (const [found, target, met] of rows) console.log(`${found}; target ${target}: ${met ? "met" : "NOT met"}`);
  if (rows.some(([, , met]) => !met)) process.exitCode = 1;
}

async function alive<T>(child: ChildProcess, promise: Promise<T>): Promise<T> {
  const ended = new Promise<never>((_, reject) => {
    child.once("exit", (code, signal) => reject(new Error(`the voter ended: ${code ?? signal}`)));
  });
  return await Promise.race([promise, ended]);
}

async function electionsOf(httpPort: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${httpPort}/metrics`, { signal: AbortSignal.timeout(5_000) });
  const found = /^ringrift_p2p_election_count (\d+)/m.exec(await answer.text());
  return Number(found?.[1] ?? Number.NaN);
}

const snapshotsIn = (directory: string): readonly string[] =>
  readdirSync(join(directory, "snap")).filter((name) => name.endsWith(".snap"));

const changed = (before: readonly string[], now: readonly string[]): boolean => now.some((name) => !before.includes(name));

const most = (samples: readonly LoopSample[], field: keyof LoopSample): number =>
  samples.reduce((high, sample) => Math.max(high, sample[field]), 0);
