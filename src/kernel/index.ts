export type { Brand } from "./brand.ts";
export { InvariantError, invariant, assertNever } from "./invariant.ts";
export {
  Term,
  LogIndex,
  Sequence,
  ClusterTimeMs,
  WallTimeMs,
  MonotonicMs,
  NodeId,
  ClusterId,
  SessionId,
  WorkId,
  JobId,
  NO_INDEX,
  NO_TERM,
} from "./ids.ts";
export type { Revision, FencingToken } from "./ids.ts";
export { type Refusal, type Outcome, accepted, refused, refusal, RefusalError } from "./refusal.ts";
export { type Reason, type Surface, surfaces, exitCodes } from "./surfaces.ts";
export { ExitError } from "./exit-error.ts";
export { type Incarnation, compareIncarnations, incarnationText } from "./incarnation.ts";
export { type Random, seededRandom } from "./seeded-random.ts";
