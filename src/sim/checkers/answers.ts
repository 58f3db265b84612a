import type { Decision, Operation as Change, OperationKind, Reply } from "#statemachine";
import type { Operation } from "../history.ts";

/** What a write was answered; null for reads, open, refused and unknown operations. */
export function decisionOf({ request, outcome }: Operation): Decision | null {
  return request.kind === "write" && outcome?.kind === "ok" && outcome.answer?.kind === "decided"
    ? outcome.answer.decision
    : null;
}

/** The reply of a write that was done. */
export function replyOf(operation: Operation): Reply | null {
  const outcome = decisionOf(operation)?.outcome;
  return outcome?.ok === true ? outcome.value : null;
}

/** The change that an operation asks for, if it is of this kind. */
export function changeOf<K extends OperationKind>(operation: Operation, kind: K): Extract<Change, { readonly kind: K }> | null {
  const { request } = operation;
  if (request.kind !== "write" || request.command.operation.kind !== kind) return null;
  return request.command.operation as Extract<Change, { readonly kind: K }>;
}
