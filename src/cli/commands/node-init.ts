import { type Command, parse, UsageError } from "../command.ts";

export const nodeInit: Command = {
  name: "node init",
  summary: "Once per machine: write its name into canonical_node_id beside the configuration",
  usage: "[NODE_ID] --config FILE",
  details: `Without NODE_ID the name is taken from RINGRIFT_NODE_ID or from node_id in the configuration. All that are given, and a
canonical_node_id that is there already, must agree: a machine is renamed by removing that file first.

Options:
      --config FILE         the cluster's configuration file (required); the name must stand under its hosts
The hostname is never used, and container ids and addresses are refused: a name must outlive its container and its address.
Exit code 78 when there is no such name or it is disputed, 74 when the file cannot be written.`,
  run: async (args) => {
    const { values, positionals } = parse(args, { config: { type: "string" } }, ["[NODE_ID]"]);
    if (values.config === undefined) throw new UsageError("--config FILE is missing");
    const { initialiseNode } = await import("#host");
    const [nodeId] = positionals;
    const node = await initialiseNode({
      file: values.config,
      env: process.env,
      ...(nodeId === undefined ? {} : { nodeId }),
    });
    process.stdout.write(
      node.written
        ? `${node.file} now names this node ${node.nodeId}\n`
        : `${node.file} already names this node ${node.nodeId}; nothing was changed\n`,
    );
    return 0;
  },
};
