import { NodeId } from "#kernel";
import { type Command, parse } from "../command.ts";
import { connectionHelp, connectionOptions, withClient } from "../connection.ts";
import { outputFormat, printJson } from "../output.ts";

export const leaderTransfer: Command = {
  name: "leader transfer",
  summary: "Move the leadership to another voter, without an outage",
  usage: "[--to NODE] [-e HOST:PORT] [-o table|json]",
  details: `Writes wait a moment while the successor catches up and takes over.

Options:
      --to NODE             this voter; without it the one that is furthest along
${connectionHelp.replace("Options:\n", "")}
Exit code 4 when the named node cannot lead, 5 without leader or quorum, 6 when the successor did not take over in time: nothing has
changed then.`,
  run: async (args) => {
    const { values } = parse(args, { ...connectionOptions, to: { type: "string" } }, []);
    const format = outputFormat(values);
    const to = values.to === undefined ? null : NodeId(values.to);
    const leaderId = await withClient(values, (client) => client.cluster.transferLeadership(to));
    if (format === "json") printJson({ leaderId });
    else process.stdout.write(`${leaderId} leads\n`);
    return 0;
  },
};
