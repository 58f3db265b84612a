import { type Outcome, type Revision, accepted, assertNever, refusal, refused } from "#kernel";
import type { Event, ObjectKind, ObjectValue, Reply } from "#statemachine";
import type { Response } from "#gen/ringraft/v1/stream.js";
import type { WatchBatch, WatchEvent } from "#gen/ringraft/v1/watch.js";
import {
  jobToProto,
  lockToProto,
  modelToProto,
  modelVersionToProto,
  objectToProto,
  sessionToProto,
  workItemToProto,
} from "./objects-encode.ts";
import {
  jobFromProto,
  lockFromProto,
  modelFromProto,
  modelVersionFromProto,
  objectFromProto,
  sessionFromProto,
  workItemFromProto,
} from "./objects-decode.ts";
import { nodeFromProto, nodeToProto, partitionFromProto, partitionToProto } from "./nodes.ts";
import { FieldRefused } from "./checks.ts";
import { WireError } from "./wire-reader.ts";

export type ResponseBody = Response["body"];

/**
 * The answer to a write. `none` has no body. `renewed` never leaves the leader's house and has none either: a client's own
 * renewal is answered with its session.
 */
export function replyToProto(reply: Reply): ResponseBody {
  switch (reply.kind) {
    case "none":
    case "renewed":
      return NO_BODY;
    case "session":
      return { oneofKind: "session", session: { session: sessionToProto(reply.session) } };
    case "work":
      return { oneofKind: "work", work: { item: workItemToProto(reply.item), deduplicated: reply.deduplicated } };
    case "claimed":
      return { oneofKind: "claim", claim: { items: reply.items.map(workItemToProto) } };
    case "job":
      return { oneofKind: "job", job: { job: jobToProto(reply.job), workIds: [...reply.items] } };
    case "version":
      return { oneofKind: "version", version: { version: modelVersionToProto(reply.version) } };
    case "model":
      return { oneofKind: "model", model: { model: modelToProto(reply.model) } };
    case "lock":
      return { oneofKind: "lock", lock: { lock: lockToProto(reply.lock), granted: reply.granted } };
    case "node":
      return { oneofKind: "node", node: { node: nodeToProto(reply.node) } };
    case "partition":
      return { oneofKind: "partition", partition: { partition: partitionToProto(reply.partition) } };
    default:
      return assertNever(reply, "reply");
  }
}

/**
 * The client's side of {@link replyToProto}; also reads the single-object answers of Get calls. A body that is no reply, or that
 * holds values of a newer version, is refused with INTERNAL.
 */
export function replyFromProto(body: ResponseBody): Outcome<Reply> {
  try {
    const reply = readReply(body);
    return reply === null ? refused(refusal("INTERNAL", `unexpected answer: ${body.oneofKind}`)) : accepted(reply);
  } catch (error) {
    return refused(unreadable(error));
  }
}

export interface WatchContent {
  readonly revision: Revision;
  readonly events: readonly Event[];
  /** Present state instead of changes. */
  readonly snapshot: readonly (ObjectValue & { readonly key: string })[] | null;
  readonly snapshotEnd: boolean;
}

export function watchBatchToProto(batch: WatchContent): WatchBatch {
  const { revision, events, snapshot, snapshotEnd } = batch;
  return {
    revision,
    events:
      snapshot === null
        ? events.map(eventToProto)
        : snapshot.map((object) => ({
            kind: object.kind,
            key: object.key,
            revision: object.value.modRevision,
            removed: false,
            object: objectToProto(object),
          })),
    snapshot: snapshot !== null,
    snapshotEnd,
  };
}

export function watchBatchFromProto(message: WatchBatch): Outcome<WatchContent> {
  try {
    const revision = message.revision as Revision;
    const { snapshotEnd } = message;
    return accepted(
      message.snapshot
        ? { revision, events: [], snapshot: message.events.map(snapshotObjectFromProto), snapshotEnd }
        : { revision, events: message.events.map(eventFromProto), snapshot: null, snapshotEnd },
    );
  } catch (error) {
    return refused(unreadable(error));
  }
}

/** Names of object kinds as watches spell them; null when there is no such kind. */
export function objectKindOf(kind: string): ObjectKind | null {
  return Object.hasOwn(objectKinds, kind) ? (kind as ObjectKind) : null;
}

const NO_BODY: ResponseBody = { oneofKind: undefined };

const objectKinds = {
  work: true,
  job: true,
  model: true,
  model_version: true,
  lock: true,
  session: true,
  node: true,
  partition: true,
} as const satisfies Record<ObjectKind, true>;

function readReply(body: ResponseBody): Reply | null {
  switch (body.oneofKind) {
    case undefined:
      return { kind: "none" };
    case "session":
      return { kind: "session", session: sessionFromProto(present(body.session.session)) };
    case "work":
      return { kind: "work", item: workItemFromProto(present(body.work.item)), deduplicated: body.work.deduplicated };
    case "claim":
      return { kind: "claimed", items: body.claim.items.map(workItemFromProto) };
    case "job":
      return { kind: "job", job: jobFromProto(present(body.job.job)), items: body.job.workIds };
    case "version":
      return { kind: "version", version: modelVersionFromProto(present(body.version.version)) };
    case "model":
      return { kind: "model", model: modelFromProto(present(body.model.model)) };
    case "lock":
      return { kind: "lock", lock: lockFromProto(present(body.lock.lock)), granted: body.lock.granted };
    case "node":
      return { kind: "node", node: nodeFromProto(present(body.node.node)) };
    case "partition":
      return { kind: "partition", partition: partitionFromProto(present(body.partition.partition)) };
    default:
      return null;
  }
}

function present<T>(object: T | undefined): T {
  if (object === undefined) throw new WireError("the answer has no object");
  return object;
}

function unreadable(error: unknown): ReturnType<typeof refusal> {
  if (error instanceof WireError || error instanceof FieldRefused) {
    return refusal("INTERNAL", `the server's answer cannot be read: ${error.message}`);
  }
  throw error;
}

function eventToProto(event: Event): WatchEvent {
  return {
    kind: event.kind,
    key: event.key,
    revision: event.revision,
    removed: event.object === null,
    object: event.object === null ? { oneofKind: undefined } : objectToProto(event.object),
  };
}

function eventFromProto(message: WatchEvent): Event {
  const kind = objectKindOf(message.kind);
  if (kind === null) throw new WireError(`the object kind "${message.kind}" is not known to this version`);
  return { revision: message.revision as Revision, kind, key: message.key, object: objectFromProto(message.object) };
}

function snapshotObjectFromProto(message: WatchEvent): ObjectValue & { readonly key: string } {
  const object = objectFromProto(message.object);
  if (object === null) throw new WireError(`the snapshot names ${message.key} without a value`);
  return { ...object, key: message.key };
}
