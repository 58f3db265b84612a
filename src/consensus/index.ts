export type { Engine, EngineSink, EngineStatus, Proposed } from "./engine.ts";
