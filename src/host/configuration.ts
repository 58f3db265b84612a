import { explainProblems, loadConfig, type NodeConfig } from "#config";
import { exitCodes } from "#kernel";
import { StartError } from "./start-error.ts";

/** Which configuration a process shall run with; what `serve` and `cluster init` take from their command line. */
export interface ConfigurationRequest {
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nodeId?: string;
}

/** The validated configuration of this node; {@link StartError} (exit 78) with every problem otherwise. */
export function loadNodeConfig(request: ConfigurationRequest, warn: (text: string) => void): NodeConfig {
  const { file, env, nodeId } = request;
  const loaded = loadConfig({ file, env, overrides: nodeId === undefined ? {} : { nodeId } });
  if (!loaded.ok) throw new StartError(exitCodes.config, explainProblems(loaded.problems).trimEnd());
  if (loaded.warnings.length > 0) warn(explainProblems(loaded.warnings).trimEnd());
  return loaded.config;
}
