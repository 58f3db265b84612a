import { exitCodes } from "#kernel";
import { type Command, exitWith, parse, UsageError } from "../command.ts";

export const serve: Command = {
  name: "serve",
  summary: "Run one node, voter or worker, as the configuration says",
  usage: "--config FILE [--node-id ID] [--trace-file FILE]",
  details: `Options:
      --config FILE         the cluster's configuration file (required)
      --node-id ID          this node's name, when neither file nor environment say it
      --trace-file FILE     a voter writes every transition of its Raft core there, for ringraft trace verify (slow)
SIGTERM drains (a worker finishes or hands back its work) and stops. Logs are JSON lines on standard output.
Exit codes: 0 stopped as asked, 64 usage, 74 input/output failed or data is corrupt, 75 temporary (port or directory in use),
78 configuration, or a data directory of another cluster or node.`,
  run: async (args) => {
    let values;
    try {
      ({ values } = parse(
        args,
        { config: { type: "string" }, "node-id": { type: "string" }, "trace-file": { type: "string" } },
        [],
      ));
      if (values.config === undefined) throw new UsageError("--config FILE is missing");
    } catch (error) {
      exitWith(error);
      return exitCodes.usage;
    }
    // Loaded here, so that the other commands do not pay for a server.
    const { serve: serveNode } = await import("#host");
    const nodeId = values["node-id"];
    const traceFile = values["trace-file"];
    return serveNode({
      file: values.config,
      env: process.env,
      ...(nodeId === undefined ? {} : { nodeId }),
      ...(traceFile === undefined ? {} : { traceFile }),
    });
  },
};
