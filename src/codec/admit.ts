import { type Outcome, accepted, refusal, refused } from "#kernel";
import type { OperationKind } from "#statemachine";
import { decodeCommand, refusalOf } from "./command-decode.ts";
import { encodeCommand } from "./command-encode.ts";
import { readEnvelope } from "./envelope.ts";

/** Operations that only a leader writes into the log. */
export function isLeaderOnly(kind: OperationKind): boolean {
  return leaderOnly.has(kind);
}

const leaderOnly: ReadonlySet<OperationKind> = new Set([
  "renewSessions",
  "advanceClock",
  "nodeDown",
  "nodeUp",
  "partitionSuspected",
  "partitionHealed",
]);

/**
 * What a door lets through to the replica: refuses the operations of the leader (PERMISSION_DENIED), and writes the
 * authenticated `principal` into an `open_session`. Everything else is passed on as it came; only the envelope is read.
 */
export function admitCommand(bytes: Uint8Array, principal: string): Outcome<Uint8Array> {
  try {
    const { operation } = readEnvelope(bytes);
    if (operation !== null && isLeaderOnly(operation)) return refused(leaderOnlyRefusal);
    return operation === "openSession" ? withPrincipal(bytes, principal) : accepted(bytes);
  } catch (error) {
    return refused(refusalOf(error, "command"));
  }
}

function withPrincipal(bytes: Uint8Array, principal: string): Outcome<Uint8Array> {
  const decoded = decodeCommand(bytes);
  if (!decoded.ok) return decoded;
  const { command } = decoded.value;
  if (command.operation.kind !== "openSession") return accepted(bytes);
  return accepted(encodeCommand({ ...command, operation: { ...command.operation, principal } }));
}

const leaderOnlyRefusal = refusal("PERMISSION_DENIED", "this operation is written by the leader only", { field: "operation" });
