export type { DigestReport, Engine, EngineSink, EngineStatus, Proposed, StateSnapshot } from "./engine.ts";
export { createRaftEngine } from "./raft/engine.ts";
export type { RaftCore, RaftEngine, RaftEngineOptions, RaftEnginePorts } from "./raft/engine.ts";
export { recoverRaft } from "./raft/recover.ts";
