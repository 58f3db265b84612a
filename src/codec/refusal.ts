import { NodeId, type Reason, type Refusal, surfaces } from "#kernel";
import type { Refusal as RefusalMessage } from "#gen/ringraft/v1/refusal.js";

/** `leaderAddress`: `host:port` of the leader's client port, "" when it is not known. */
export function refusalToProto(refusal: Refusal, leaderAddress = ""): RefusalMessage {
  return {
    reason: refusal.reason,
    message: refusal.message,
    field: refusal.field ?? "",
    leaderId: refusal.leader ?? "",
    leaderAddress,
    retryAfterMs: refusal.retryAfterMs ?? 0,
  };
}

/** A reason of a newer server becomes INTERNAL, its code kept in the message. */
export function refusalFromProto(message: RefusalMessage): Refusal {
  const known = isReason(message.reason);
  return {
    reason: known ? (message.reason as Reason) : "INTERNAL",
    message: known ? message.message : `${message.reason}: ${message.message}`,
    field: message.field === "" ? null : message.field,
    leader: message.leaderId === "" ? null : NodeId(message.leaderId),
    retryAfterMs: message.retryAfterMs === 0 ? null : message.retryAfterMs,
  };
}

function isReason(reason: string): reason is Reason {
  return Object.hasOwn(surfaces, reason);
}
