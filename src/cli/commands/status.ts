import { type Command, parse } from "../command.ts";
import { askNode, httpHelp, httpOption } from "../http-door.ts";
import { outputFormat, outputHelp, outputOptions } from "../output.ts";

export const status: Command = {
  name: "status",
  summary: "What one node says about itself and the cluster (its GET /status)",
  usage: "[--http URL|HOST:PORT] [-o table|json]",
  details: `Options:
${httpHelp}
${outputHelp}
Exit code 8 when the node answers but says that the cluster is not healthy.`,
  run: async (args) => {
    const { values } = parse(args, { ...httpOption, ...outputOptions }, []);
    const format = outputFormat(values);
    const { body } = await askNode(values.http, "/status", 5_000);
    if (format === "json") process.stdout.write(`${JSON.stringify(body, null, 2)}\n`);
    else process.stdout.write(asTable(body));
    return body["cluster_health"] === "healthy" ? 0 : 8;
  },
};

function asTable(body: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(body)
    .filter(([key]) => key !== "voters")
    .map(([key, value]) => `${key.padEnd(18)}  ${typeof value === "string" ? value : JSON.stringify(value)}`);
  const voters = Object.entries((body["voters"] ?? {}) as Record<string, unknown>).map(
    ([name, voter]) => `  ${name.padEnd(20)} ${JSON.stringify(voter)}`,
  );
  return [...lines, "voters", ...voters, ""].join("\n");
}
