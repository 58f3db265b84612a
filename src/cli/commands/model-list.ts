import type { Model } from "#statemachine";
import { type Command, parse } from "../command.ts";
import { connectionHelp, connectionOptions, withClient } from "../connection.ts";
import { outputFormat, printRows } from "../output.ts";

export const modelList: Command = {
  name: "model list",
  summary: "Models with their newest version and their aliases",
  usage: "[-e HOST:PORT] [-o table|json]",
  details: connectionHelp,
  run: async (args) => {
    const { values } = parse(args, connectionOptions, []);
    const format = outputFormat(values);
    const models = await withClient(values, (client) => client.models.list());
    printRows(format, models, {
      NAME: (model) => model.name,
      CONFIG: (model) => model.configKey,
      VERSIONS: (model) => String(model.lastVersion),
      ALIASES: aliases,
      REVISION: (model) => String(model.modRevision),
    });
    return 0;
  },
};

function aliases(model: Model): string {
  return Object.values(model.aliases)
    .map((alias) => `${alias.alias}=v${alias.version}`)
    .join(" ");
}
