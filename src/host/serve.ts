import type { NodeConfig } from "#config";
import { ExitError, exitCodes } from "#kernel";
import type { Log } from "#ports";
import type { VoterProbe } from "#node";
import { StorageError } from "#storage";
import { adminKeyHash } from "./admin-key.ts";
import { type ConfigurationRequest, loadNodeConfig } from "./configuration.ts";
import { lockDataDirectory } from "./data-directory.ts";
import { type RunningNode, untilStopped } from "./lifecycle.ts";
import { membershipStart } from "./membership.ts";
import { pinoLog } from "./pino.ts";
import { startPulse } from "./pulse/index.ts";
import { settle } from "./settle.ts";
import { StartError } from "./start-error.ts";
import { traceFile } from "./trace-file.ts";
import { version } from "./version.ts";
import { startVoterNode } from "./voter-node.ts";
import { startWorkerNode } from "./worker-node.ts";

/** Runs one node until a signal stops it; resolves with the process's exit code. */
export async function serve(request: ConfigurationRequest & { readonly traceFile?: string }): Promise<number> {
  try {
    const config = loadNodeConfig(request, (warnings) => process.stderr.write(`${warnings}\n`));
    const log = pinoLog({ level: config.log.level, fields: { node_id: config.nodeId } });
    endLoudly(log);
    log.info("starting", { version, role: config.role, data_dir: config.dataDirectory, profile: config.timing.profile });
    const stopped = new AbortController();
    const trace = request.traceFile === undefined ? null : traceFile(request.traceFile, config.nodeId);
    const starting = start(config, request.env, log, trace, stopped.signal);
    // A stop may come while the start still waits for a cluster: then the start is what has to end first.
    const node: RunningNode = {
      stop: async () => {
        stopped.abort();
        await (await starting.catch(() => null))?.stop();
      },
    };
    const limitMs = (config.worker?.drainTimeoutMs ?? 0) + STOP_LIMIT_MS;
    return await Promise.race([untilStopped(node, log, limitMs), failureOf(starting)]);
  } catch (error) {
    const failed = StartError.from(error);
    process.stderr.write(`ringraft: ${failed.message}\n${failed.hint === null ? "" : `  ${failed.hint}\n`}`);
    return failed.exitCode;
  }
}

const STOP_LIMIT_MS = 10_000;

async function start(
  config: NodeConfig,
  env: ConfigurationRequest["env"],
  log: Log,
  trace: VoterProbe | null,
  signal: AbortSignal,
): Promise<RunningNode | null> {
  const adminKeySha256 = adminKeyHash(config, env);
  const membership = membershipStart(config);
  const directory = await lockDataDirectory(config.dataDirectory);
  const onFatal = (error: Error): void => end(log, error);
  const pulse = await startPulse({
    listen: { host: config.listen.httpHost, port: config.listen.http },
    nodeId: config.nodeId,
    posts: { hostNames: hostNames(config), adminKeySha256 },
    membership,
    maxMainStallMs: config.membership.maxMainStallMs,
    onFailure: onFatal,
  });
  const ports = { log, pulse, directory, onFatal, trace, signal };
  const node = await (config.role === "voter" ? startVoterNode(config, ports) : startWorkerNode(config, ports));
  settle();
  return node;
}

/** What a Host header may call this node besides an address. */
function hostNames({ nodeId, hosts, listen }: NodeConfig): readonly string[] {
  return [nodeId, hosts.get(nodeId)?.address ?? nodeId, listen.httpHost];
}

/** Never resolves for a start that succeeds. */
function failureOf(starting: Promise<unknown>): Promise<never> {
  return new Promise((_, reject) => {
    starting.catch(reject);
  });
}

/** A node that cannot go on ends now: whatever it would still say could promise what it does not have. */
function end(log: Log, error: Error): never {
  const code = error instanceof ExitError ? error.exitCode : error instanceof StorageError ? exitCodes.io : exitCodes.failed;
  const hint = error instanceof ExitError || error instanceof StorageError ? error.hint : null;
  log.error("fatal: this node cannot go on", { error: error.message, hint, exit_code: code, stack: error.stack ?? "" });
  process.exit(code);
}

/** An error that nobody caught is a defect. It is logged as one line and ends the process. */
function endLoudly(log: Log): void {
  process.on("uncaughtException", (error) => end(log, error));
  process.on("unhandledRejection", (reason) => end(log, reason instanceof Error ? reason : new Error(String(reason))));
}
