export {
  type GrpcApi,
  type GrpcApiDeps,
  type GrpcApiOptions,
  type GrpcLimits,
  type GrpcServer,
  type MemberInfo,
  type MembershipInfo,
  type NodeStatusInfo,
  type ServerTls,
  ListenError,
  REFUSAL_TRAILER,
  bindServer,
  createGrpcApi,
  createGrpcServer,
  defaultGrpcLimits,
} from "./grpc/index.ts";
export { type ElectionDeps, type HttpAnswer, electionBody, refusalAnswer, statusBody, triggerElection } from "./http/index.ts";
