export { runAgent } from "./run-agent.ts";
export type { Agent, AgentConfig, AgentDeps, Child, ChildEvents, Handler, Processes, SpawnRequest, Task } from "./types.ts";
export type { Exit } from "./core/verdict.ts";
