import type { LogIndex, NodeId, Revision } from "#kernel";
import type { Answer } from "#replica";
import type { Command, ObjectKind } from "#statemachine";

/** One client operation from its call to its answer, on the world's own clock (milliseconds, fractions allowed). */
export interface Operation {
  readonly number: number;
  readonly client: number;
  readonly request: OperationRequest;
  readonly calledMs: number;
  /** Null while it is open. */
  outcome: OperationOutcome | null;
}

export type OperationRequest =
  /** A write, as the state machine knows it: session, sequence and operation are in the command. */
  | { readonly kind: "write"; readonly command: Command }
  /** A read; `what` names the kind of object or the query, `key` its subject. */
  | {
      readonly kind: "read";
      readonly mode: "linearizable" | "stale" | "min_revision";
      /** Of mode `min_revision`; 0 otherwise. */
      readonly minRevision: Revision;
      readonly what: ObjectKind | "list work" | "counts";
      readonly key: string;
    };

export type OperationOutcome =
  /** Answered, also with a decided refusal. `index` is the log index of the write's decision, or the revision a read was served at. */
  | {
      readonly kind: "ok";
      readonly atMs: number;
      readonly node: NodeId;
      readonly index: LogIndex;
      /** Of a write: the decision's answer; of a read: the value, as JSON. */
      readonly answer: Answer | null;
      readonly value: string | null;
    }
  /** Refused in a way that proves nothing happened. */
  | { readonly kind: "refused"; readonly atMs: number; readonly reason: string }
  /** May or may not have happened; stays open for ever. */
  | { readonly kind: "unknown"; readonly atMs: number; readonly reason: string };
