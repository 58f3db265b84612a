export type * from "./types.ts";
export type { Overrides } from "./build.ts";
export { loadConfig, validateConfig, type LoadRequest, type Loaded, type Validated } from "./load.ts";
export { explainProblems, type Problem } from "./problem.ts";
export { profiles, type ProfileName } from "./profiles.ts";
export { parseDuration } from "./quantities.ts";
