/** The replicated state machines: pure and deterministic. See docs/semantics.md. */
export type * from "./objects.ts";
export type * from "./command.ts";
export type * from "./reply.ts";
export type * from "./machine-types.ts";
export { DIGEST_VERSION } from "./digest.ts";
export { createStateMachine, restoreStateMachine, restoringStateMachine, type InspectableStateMachine } from "./machine.ts";
export { defaultLimits, emptyCapabilities } from "./limits.ts";
export { NEWEST_LEVEL, NODES_LEVEL } from "./features.ts";
