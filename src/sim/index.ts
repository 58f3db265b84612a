export { type RunFailure, type RunOptions, type RunResult, runSeed } from "./run.ts";
export { type FaultKind, type RunConfig, type RunOverrides, faultKinds, swarm } from "./swarm.ts";
export { verifyTrace, type TraceVerdict } from "./reference/verify-trace.ts";
