import { explainProblems, loadConfig } from "#config";
import { exitCodes } from "#kernel";
import { type Command, parse } from "../command.ts";
import { outputFormat } from "../output.ts";

export const configValidate: Command = {
  name: "config validate",
  summary: "Check a configuration file and say what a node would make of it",
  usage: "FILE [--node-id ID] [-o table|json]",
  details: `Options:
      --node-id ID          validate as this node (default: as the node itself would find its id)
  -o, --output table|json   how to print (default table)
Exit code 0 when a node would start with it (warnings are printed), 78 when it would not. Nothing is changed.`,
  run: async (args) => {
    const { values, positionals } = parse(args, { "node-id": { type: "string" }, output: { type: "string", short: "o" } }, [
      "FILE",
    ]);
    const format = outputFormat(values.output);
    const nodeId = values["node-id"];
    const loaded = loadConfig({ file: positionals[0]!, env: process.env, overrides: nodeId === undefined ? {} : { nodeId } });
    if (format === "json") {
      const problems = loaded.ok ? [] : loaded.problems;
      process.stdout.write(
        `${JSON.stringify({ valid: loaded.ok, problems, warnings: loaded.ok ? loaded.warnings : [] }, null, 2)}\n`,
      );
      return loaded.ok ? 0 : exitCodes.config;
    }
    if (!loaded.ok) {
      process.stderr.write(explainProblems(loaded.problems));
      return exitCodes.config;
    }
    const { config, warnings } = loaded;
    if (warnings.length > 0) process.stderr.write(explainProblems(warnings));
    process.stdout.write(
      `${config.file} is valid: ${config.hosts.size} hosts, ${config.voters.length} voters (${config.voters.join(", ")}); ` +
        `this node is ${config.nodeId} (${config.role}), profile ${config.timing.profile}\n`,
    );
    return 0;
  },
};
