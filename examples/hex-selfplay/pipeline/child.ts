import { connect, type Client, type ClusterId, type FencingToken, type NodeId, type WorkId } from "../client.ts";

/** How a child talks to the worker node that runs it: payload on standard input, identity in the environment, lines of JSON out. */
export interface Child<Payload> {
  readonly payload: Payload;
  readonly workId: WorkId;
  /** Of the claim under which this attempt runs. */
  readonly fencingToken: FencingToken;
  /** The node that runs this attempt; its sessions carry the name, so that people see who holds a lock. */
  readonly nodeId: NodeId;
  readonly dataDirectory: string;
  readonly progress: (percent: number, step: string, message?: string) => void;
  /** Connects to the cluster on first use. */
  readonly client: () => Client;
}

/** Said by an attempt for which another attempt cannot do better either. */
export class DoNotRetry extends Error {}

const EXIT = { ok: 0, doNotRetry: 65, retry: 75 } as const;

/** Runs one attempt and exits: 0 with a result line, 65 = do not retry, 75 = retry. Errors go to standard error. */
export async function runChild<Payload>(run: (child: Child<Payload>) => Promise<unknown>): Promise<never> {
  let connected: Client | null = null;
  let exitCode: number = EXIT.ok;
  try {
    const child: Child<Payload> = {
      payload: await payloadFromInput<Payload>(),
      workId: variable("RINGRAFT_WORK_ID") as WorkId,
      fencingToken: Number(variable("RINGRAFT_FENCING_TOKEN")) as FencingToken,
      nodeId: variable("RINGRAFT_NODE_ID") as NodeId,
      dataDirectory: variable("RINGRAFT_DATA"),
      progress: (percent, step, message = "") => print({ progress: { percent: Math.round(percent), step, message } }),
      client: () => (connected ??= connectFromEnvironment()),
    };
    print({ result: await run(child) });
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    exitCode = error instanceof DoNotRetry ? EXIT.doNotRetry : EXIT.retry;
  }
  await (connected as Client | null)?.close().catch(() => undefined);
  process.exit(exitCode);
}

function connectFromEnvironment(): Client {
  const clusterId = process.env["RINGRAFT_CLUSTER_ID"];
  return connect({
    endpoints: variable("RINGRAFT_ENDPOINTS").split(","),
    ...(clusterId === undefined || clusterId === "" ? {} : { clusterId: clusterId as ClusterId }),
  });
}

async function payloadFromInput<Payload>(): Promise<Payload> {
  let text = "";
  process.stdin.setEncoding("utf8");
  for await (const chunk of process.stdin) text += chunk;
  try {
    return (text.trim() === "" ? {} : JSON.parse(text)) as Payload;
  } catch (error) {
    throw new DoNotRetry(`the payload is not JSON: ${text.slice(0, 80)}`, { cause: error });
  }
}

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === "") throw new DoNotRetry(`${name} is not set: this program is started by a worker node`);
  return value;
}

function print(line: unknown): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
