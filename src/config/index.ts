export type * from "./types.ts";
export type { Overrides } from "./build.ts";
export {
  loadConfig,
  loadMembership,
  nameNode,
  validateConfig,
  type LoadRequest,
  type Loaded,
  type LoadedMembership,
  type NamedNode,
  type Validated,
} from "./load.ts";
export { explainProblems, type Problem } from "./problem.ts";
export { profiles, type ProfileName } from "./profiles.ts";
export { parseDuration } from "./quantities.ts";
