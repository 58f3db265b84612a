import { UsageError } from "./command.ts";
import { readFileSync } from "node:fs";
import { type Client, type ClientOptions, connect } from "#client";
import { outputHelp, outputOptions } from "./output.ts";

/** Options that every command over the client's protocol takes. */
export const connectionOptions = {
  endpoint: { type: "string", short: "e", multiple: true },
  ca: { type: "string" },
  cert: { type: "string" },
  key: { type: "string" },
  timeout: { type: "string" },
  ...outputOptions,
} as const;

export const connectionHelp = `Options:
  -e, --endpoint HOST:PORT  client port of any voter, may repeat (default: $RINGRIFT_ENDPOINTS, else 127.0.0.1:8773)
      --ca, --cert, --key   PEM files for TLS
      --timeout SECONDS     give up after this long (default 10)
${outputHelp}`;

export interface ConnectionValues {
  readonly endpoint?: string[] | undefined;
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly timeout?: string | undefined;
}

/** Runs `use` with a client and closes it, whatever happens. */
export async function withClient<T>(values: ConnectionValues, use: (client: Client) => Promise<T>): Promise<T> {
  const client = connect({
    endpoints: endpoints(values.endpoint),
    timeoutMs: secondsOf(values.timeout, DEFAULT_SECONDS) * 1000,
    ...tlsOf(values),
  });
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

function tlsOf({ ca, cert, key }: ConnectionValues): Pick<ClientOptions, "tls"> {
  if (ca === undefined) {
    if (cert !== undefined || key !== undefined) throw new UsageError("--cert and --key need --ca");
    return {};
  }
  return {
    tls: {
      ca: pem(ca),
      ...(cert === undefined ? {} : { cert: pem(cert) }),
      ...(key === undefined ? {} : { key: pem(key) }),
    },
  };
}

function pem(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

function endpoints(given: readonly string[] | undefined): readonly string[] {
  if (given !== undefined && given.length > 0) return given.map((endpoint) => hostAndPort(endpoint, "--endpoint"));
  const fromEnvironment = process.env["RINGRIFT_ENDPOINTS"] ?? "";
  if (fromEnvironment === "") return ["127.0.0.1:8773"];
  return fromEnvironment.split(",").map((endpoint) => hostAndPort(endpoint.trim(), "RINGRIFT_ENDPOINTS"));
}

/** gRPC would take a bare name for one with port 443, and try it until the time is over. */
function hostAndPort(endpoint: string, source: string): string {
  const [, port] = /^(?:\[[0-9A-Fa-f:.]+\]|[^\s:/[\]]+):(\d{1,5})$/.exec(endpoint) ?? [];
  if (port !== undefined && Number(port) >= 1 && Number(port) <= 65_535) return endpoint;
  throw new UsageError(`${source}: "${endpoint}" is not HOST:PORT, such as 127.0.0.1:8773`);
}

const DEFAULT_SECONDS = 10;

/** What `--timeout` says, in seconds. */
export function secondsOf(seconds: string | undefined, otherwise: number): number {
  if (seconds === undefined) return otherwise;
  const value = Number(seconds);
  if (!Number.isFinite(value) || value <= 0 || value > 3600) {
    throw new UsageError(`--timeout takes seconds between 0 and 3600, not "${seconds}"`);
  }
  return value;
}
