export type * from "./objects.ts";
export type * from "./command.ts";
export type * from "./reply.ts";
export type * from "./machine-types.ts";
