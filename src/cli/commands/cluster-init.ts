import { type Command, parse, UsageError } from "../command.ts";

export const clusterInit: Command = {
  name: "cluster init",
  summary: "Once per cluster, on one voter: fix the cluster id and the first voters",
  usage: "--config FILE [--node-id ID]",
  details: `Writes the cluster's identity and its first configuration into this voter's empty data directory. Every other node
joins with an empty data directory when it is started; no node ever forms a second cluster. Start this voter afterwards like
the others.

Options:
      --config FILE         the cluster's configuration file (required)
      --node-id ID          this voter's name, when neither file nor environment say it
Exit code 78 when the configuration is wrong or the data directory already belongs to a cluster.`,
  run: async (args) => {
    const { values } = parse(args, { config: { type: "string" }, "node-id": { type: "string" } }, []);
    if (values.config === undefined) throw new UsageError("--config FILE is missing");
    const { initialiseCluster } = await import("#host");
    const nodeId = values["node-id"];
    const clusterId = await initialiseCluster({
      file: values.config,
      env: process.env,
      ...(nodeId === undefined ? {} : { nodeId }),
    });
    process.stdout.write(
      `cluster ${clusterId} is initialised; start its voters with: ringraft serve --config ${values.config}\n`,
    );
    return 0;
  },
};
