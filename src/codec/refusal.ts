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

export interface ReceivedRefusal {
  readonly refusal: Refusal;
  readonly leaderAddress: string | null;
}

/** A reason of a newer server becomes INTERNAL, its code kept in the message. */
export function refusalFromProto(message: RefusalMessage): ReceivedRefusal {
  const known = isReason(message.reason);
  return {
    refusal: {
      reason: known ? (message.reason as Reason) : "INTERNAL",
      message: known ? message.message : `${message.reason}: ${message.message}`,
      field: message.field === "" ? null : message.field,
      leader: message.leaderId === "" ? null : NodeId(message.leaderId),
      retryAfterMs: message.retryAfterMs === 0 ? null : message.retryAfterMs,
    },
    leaderAddress: message.leaderAddress === "" ? null : message.leaderAddress,
  };
}

function isReason(reason: string): reason is Reason {
  return Object.hasOwn(surfaces, reason);
}
