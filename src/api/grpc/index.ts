export { type GrpcApi, createGrpcApi } from "./api.ts";
export { type GrpcServer, type ServerTls, ListenError, bindServer, createGrpcServer } from "./server.ts";
export type { GrpcApiDeps, GrpcApiOptions, MemberInfo, MembershipInfo, NodeStatusInfo } from "./deps.ts";
export { type GrpcLimits, defaultGrpcLimits } from "./limits.ts";
export { REFUSAL_TRAILER } from "./unary.ts";
