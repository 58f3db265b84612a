import type { ClusterTimeMs, Outcome, Revision } from "#kernel";
import type { ClusterNode, Job, Lock, Model, ModelVersion, ObjectKind, Partition, Session, WorkItem } from "./objects.ts";

/** What a command answers when it is not refused. Immutable: the reply table hands the same value out again. */
export type Reply =
  | { readonly kind: "none" }
  | { readonly kind: "session"; readonly session: Session }
  /** Which of the asked-for sessions are gone. */
  | { readonly kind: "renewed"; readonly expired: readonly string[] }
  | { readonly kind: "work"; readonly item: WorkItem; readonly deduplicated: boolean }
  | { readonly kind: "claimed"; readonly items: readonly WorkItem[] }
  | { readonly kind: "job"; readonly job: Job; readonly items: readonly string[] }
  | { readonly kind: "version"; readonly version: ModelVersion }
  | { readonly kind: "model"; readonly model: Model }
  /** `granted` false: the caller waits in line, and its grant will show in the lock's holder. */
  | { readonly kind: "lock"; readonly lock: Lock; readonly granted: boolean }
  | { readonly kind: "node"; readonly node: ClusterNode }
  | { readonly kind: "partition"; readonly partition: Partition };

/** The fate of one command, with the revision at which it was decided. */
export interface Decision {
  readonly outcome: Outcome<Reply>;
  readonly revision: Revision;
  readonly clusterTimeMs: ClusterTimeMs;
}

export type ObjectValue =
  | { readonly kind: "work"; readonly value: WorkItem }
  | { readonly kind: "job"; readonly value: Job }
  | { readonly kind: "model"; readonly value: Model }
  | { readonly kind: "model_version"; readonly value: ModelVersion }
  | { readonly kind: "lock"; readonly value: Lock }
  | { readonly kind: "session"; readonly value: Session }
  | { readonly kind: "node"; readonly value: ClusterNode }
  | { readonly kind: "partition"; readonly value: Partition };

/** One change of one object. `object` is null when it was removed. All events of one entry share a revision. */
export interface Event {
  readonly revision: Revision;
  readonly kind: ObjectKind;
  /** The object's name: work id, job id, model name, `model/number`, lock name, session id, node id, `partition`. */
  readonly key: string;
  readonly object: ObjectValue | null;
}
