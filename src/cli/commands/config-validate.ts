import { explainProblems, type NodeConfig, validateConfig } from "#config";
import { exitCodes } from "#kernel";
import { type Command, parse } from "../command.ts";
import { outputFormat, outputHelp, outputOptions } from "../output.ts";

export const configValidate: Command = {
  name: "config validate",
  summary: "Check a cluster's configuration file for every node in it",
  usage: "FILE [-o table|json]",
  details: `Options:
${outputHelp}
Every problem is printed with line and column. TLS files are not looked for: they are on the nodes, not here.
Exit code 0 when every node would accept the file (warnings are printed), 78 when one would not. Nothing is changed.`,
  run: async (args) => {
    const { values, positionals } = parse(args, outputOptions, ["FILE"]);
    const format = outputFormat(values);
    const checked = validateConfig({ file: positionals[0]!, env: process.env });
    if (format === "json") {
      const problems = checked.ok ? [] : checked.problems;
      process.stdout.write(
        `${JSON.stringify({ valid: checked.ok, problems, warnings: checked.ok ? checked.warnings : [] }, null, 2)}\n`,
      );
    } else if (checked.ok) {
      if (checked.warnings.length > 0) process.stderr.write(explainProblems(checked.warnings));
      process.stdout.write(`${positionals[0]} is valid: ${describe(checked.nodes)}\n`);
    } else {
      process.stderr.write(explainProblems(checked.problems));
    }
    return checked.ok ? exitCodes.ok : exitCodes.config;
  },
};

function describe(nodes: readonly NodeConfig[]): string {
  const voters = nodes.filter((node) => node.role === "voter").length;
  return `${nodes.length} hosts, ${voters} voters, timing profile ${nodes[0]?.timing.profile ?? "none"}`;
}
