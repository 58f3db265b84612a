import { ExitError } from "#kernel";
import { type Command, parse, UsageError } from "../command.ts";
import { outputFormat, outputHelp, outputOptions } from "../output.ts";

export const status: Command = {
  name: "status",
  summary: "What one node says about itself and the cluster (its GET /status)",
  usage: "[--http URL|HOST:PORT] [-o table|json]",
  details: `Options:
      --http URL|HOST:PORT  the node's HTTP port (default $RINGRIFT_HTTP, else http://127.0.0.1:8770)
${outputHelp}
Exit code 8 when the node answers but says that the cluster is not healthy.`,
  run: async (args) => {
    const { values } = parse(args, { http: { type: "string" }, ...outputOptions }, []);
    const format = outputFormat(values);
    const base = values.http ?? process.env["RINGRIFT_HTTP"] ?? "http://127.0.0.1:8770";
    const body = await fetchStatus(base);
    if (format === "json") process.stdout.write(`${JSON.stringify(body, null, 2)}\n`);
    else process.stdout.write(asTable(body));
    return body["cluster_health"] === "healthy" ? 0 : 8;
  },
};

async function fetchStatus(base: string): Promise<Readonly<Record<string, unknown>>> {
  const url = statusUrl(base);
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) });
    return (await answer.json()) as Readonly<Record<string, unknown>>;
  } catch (error) {
    throw new ExitError(5, `no answer from ${url.href}`, "Is the node up? --http names another one.", { cause: error });
  }
}

/** Takes HOST:PORT as well, as every other command does. */
function statusUrl(base: string): URL {
  const url = URL.parse("/status", base.includes("://") ? base : `http://${base}`);
  if (url !== null && /^https?:$/.test(url.protocol)) return url;
  throw new UsageError(`--http: "${base}" is not a URL such as http://127.0.0.1:8770`);
}

function asTable(body: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(body)
    .filter(([key]) => key !== "voters")
    .map(([key, value]) => `${key.padEnd(18)}  ${typeof value === "string" ? value : JSON.stringify(value)}`);
  const voters = Object.entries((body["voters"] ?? {}) as Record<string, unknown>).map(
    ([name, voter]) => `  ${name.padEnd(20)} ${JSON.stringify(voter)}`,
  );
  return [...lines, "voters", ...voters, ""].join("\n");
}
