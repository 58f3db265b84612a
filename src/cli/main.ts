import { readFileSync } from "node:fs";
import { type Command, UsageError, exitWith } from "./command.ts";
import { clusterInit } from "./commands/cluster-init.ts";
import { configValidate } from "./commands/config-validate.ts";
import { dev } from "./commands/dev.ts";
import { gossipKeyInstall, gossipKeyList, gossipKeyRemove, gossipKeyUse } from "./commands/gossip-key.ts";
import { jobGet, jobList, jobSubmit } from "./commands/job.ts";
import { leaderTransfer } from "./commands/leader-transfer.ts";
import { lockList } from "./commands/lock-list.ts";
import { memberAdd, memberDemote, memberList, memberPromote, memberRemove, memberReplace } from "./commands/member.ts";
import { members } from "./commands/members.ts";
import { membershipCompare } from "./commands/membership-compare.ts";
import { modelList } from "./commands/model-list.ts";
import { clusterUpgrade, nodeCordon, nodeDrain, nodeForget, nodeList, nodeReadmit, nodeUncordon } from "./commands/node.ts";
import { monitor } from "./commands/monitor.ts";
import { nodeInit } from "./commands/node-init.ts";
import { serve } from "./commands/serve.ts";
import { status } from "./commands/status.ts";
import { swimExplain } from "./commands/swim-explain.ts";
import { wait } from "./commands/wait.ts";
import { traceVerify } from "./offline/trace.ts";
import { recover } from "./offline/recover.ts";
import { snapshotRestore, snapshotSave, snapshotVerify } from "./offline/snapshot.ts";
import { walCut, walExport } from "./offline/wal-change.ts";
import { walDump, walVerify } from "./offline/wal.ts";

const commands: readonly Command[] = [
  dev,
  serve,
  clusterInit,
  nodeInit,
  configValidate,
  swimExplain,
  status,
  monitor,
  members,
  membershipCompare,
  gossipKeyList,
  gossipKeyInstall,
  gossipKeyUse,
  gossipKeyRemove,
  wait,
  memberList,
  memberAdd,
  memberPromote,
  memberDemote,
  memberRemove,
  memberReplace,
  leaderTransfer,
  nodeList,
  nodeCordon,
  nodeUncordon,
  nodeDrain,
  nodeForget,
  nodeReadmit,
  clusterUpgrade,
  jobSubmit,
  jobList,
  jobGet,
  modelList,
  lockList,
  traceVerify,
  walVerify,
  walDump,
  walExport,
  walCut,
  snapshotSave,
  snapshotVerify,
  snapshotRestore,
  recover,
];

/** These have more to do than to print. */
const longRunning: ReadonlySet<Command> = new Set([dev, serve]);

// For developers, not for operators: grpc-js draws one at every TLS connection to an address without a name.
process.noDeprecation = true;
await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<void> {
  const first = args[0];
  if (first === undefined || first === "help" || first === "--help" || first === "-h") return print(overview());
  if (first === "--version" || first === "-V") return print(`ringraft ${version()}\n`);
  const command = find(args);
  if (command === null) {
    exitWith(new UsageError(`unknown command "${args.slice(0, 2).join(" ")}"; see ringraft --help`));
    return;
  }
  const rest = args.slice(command.name.split(" ").length);
  if (rest.includes("--help") || rest.includes("-h")) return print(manual(command));
  if (!longRunning.has(command)) endWithReader();
  try {
    process.exitCode = await command.run(rest);
  } catch (error) {
    exitWith(error);
  }
}

/** `ringraft job list | head` closes the pipe early: nobody reads on, so there is nothing left to do. */
function endWithReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
}

/** `job submit` before `job`: the longest name that fits wins. */
function find(args: readonly string[]): Command | null {
  const fitting = commands.filter((command) => command.name.split(" ").every((word, at) => args[at] === word));
  return fitting.toSorted((a, b) => b.name.length - a.name.length)[0] ?? null;
}

function overview(): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  const rows = commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`);
  return [
    "ringraft: work queue, job status, model registry and training locks, replicated by Raft",
    "",
    "Usage: ringraft COMMAND [OPTIONS]   (ringraft COMMAND --help tells its options)",
    "",
    ...rows,
    "",
    "Exit codes of client commands: 0 ok, 1 error, 2 usage, 3 not found, 4 conflict or fenced, 5 no leader or quorum,",
    "6 timeout or unknown outcome, 7 not authorised, 8 unhealthy, 9 over a limit.",
    "Exit codes of serve, dev, cluster, node, config, wal, snapshot and recover: 74 input/output or corrupt data, 75 temporary, 78 configuration;",
    "a wrong command line is 64 for serve and 2 for the others.",
    "",
  ].join("\n");
}

function manual(command: Command): string {
  return `${command.summary}\n\nUsage: ringraft ${command.name} ${command.usage}\n\n${command.details}\n`;
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return String((manifest as { version: unknown }).version);
}

function print(text: string): void {
  process.stdout.write(text);
}
