import type { Revision, WorkId } from "#kernel";
import type { WorkItem, WorkState } from "#statemachine";
import { Response, type ServerFrame, type WorkBrief as WorkBriefMessage } from "#gen/ringraft/v1/stream.js";
import { WorkState as WorkStateCode } from "#gen/ringraft/v1/work.js";
import { WireType } from "@protobuf-ts/runtime";
import { workStates } from "./enums.ts";
import { WireError, WireReader } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";
import { lenientRead, writeOptions } from "./wire.ts";

/** What a worker must know after a write: the domain's side of `ringraft.v1.WorkBrief`. */
export interface WorkBrief {
  readonly workId: WorkId;
  readonly state: WorkState;
  readonly cancelRequested: boolean;
  readonly modRevision: Revision;
  /** Enqueue: the item was there already, under the same unique key. */
  readonly deduplicated: boolean;
}

export function workBriefToProto(item: WorkItem, deduplicated: boolean): Response["body"] {
  return {
    oneofKind: "workBrief",
    workBrief: {
      workId: item.workId,
      state: workStates.code(item.state),
      cancelRequested: item.cancelRequested !== null,
      modRevision: item.modRevision,
      deduplicated,
    },
  };
}

/** Throws {@link WireError} on a state of a newer version. */
export function workBriefFromProto(message: WorkBriefMessage): WorkBrief {
  const { workId, state, cancelRequested, modRevision, deduplicated } = message;
  return {
    workId: workId as WorkId,
    state: workStates.expect(state),
    cancelRequested,
    modRevision: modRevision as Revision,
    deduplicated,
  };
}

/**
 * One ServerFrame. A brief answer is written by hand, everything else by the generated code; the bytes are the same either
 * way (a test holds it). By hand it takes a quarter of the time, and under load nearly all answers are brief.
 */
export function encodeServerFrame(responses: readonly Response[]): Uint8Array<ArrayBuffer> {
  writer.reset();
  for (const response of responses) {
    writer.tag(RESPONSES, WireType.LengthDelimited).fork();
    if (response.body.oneofKind === "workBrief") writeBrief(response, response.body.workBrief);
    else Response.internalBinaryWrite(response, writer, writeOptions);
    writer.join();
  }
  return writer.finish();
}

/** The other side of {@link encodeServerFrame}, for the client. Throws {@link WireError} on bad bytes. */
export function decodeServerFrame(bytes: Uint8Array): ServerFrame {
  const reader = new WireReader(bytes);
  const responses: Response[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field !== RESPONSES || wireType !== WireType.LengthDelimited) {
      reader.skip(wireType);
      continue;
    }
    const length = reader.uint32();
    const start = reader.pos;
    if (start + length > reader.len) throw new WireError(`a response of ${length} bytes leaves its frame`);
    responses.push(readBrief(reader, start + length) ?? readAny(reader, start, length));
  }
  return { responses };
}

const writer = new WireWriter();
const RESPONSES = 1;

/** Tags: field number × 8 + wire type. */
const ID = 0x08;
const REVISION = 0x10;
const WORK_BRIEF = 26;
const WORK_BRIEF_TAG = (WORK_BRIEF << 3) | WireType.LengthDelimited;
const WORK_ID = 0x0a;
const STATE = 0x10;
const CANCEL_REQUESTED = 0x18;
const MOD_REVISION = 0x20;
const DEDUPLICATED = 0x28;

function writeBrief({ id, revision }: Response, brief: WorkBriefMessage): void {
  if (id !== 0) writer.uint32(ID).uint32(id);
  if (revision !== 0) writer.uint32(REVISION).uint64(revision);
  writer.tag(WORK_BRIEF, WireType.LengthDelimited).fork();
  if (brief.workId !== "") writer.uint32(WORK_ID).string(brief.workId);
  if (brief.state !== WorkStateCode.WORK_STATE_UNSPECIFIED) writer.uint32(STATE).int32(brief.state);
  if (brief.cancelRequested) writer.uint32(CANCEL_REQUESTED).bool(true);
  if (brief.modRevision !== 0) writer.uint32(MOD_REVISION).uint64(brief.modRevision);
  if (brief.deduplicated) writer.uint32(DEDUPLICATED).bool(true);
  writer.join();
}

/** Null when the response holds anything but a brief answer; the generated code then reads it from its start. */
function readBrief(reader: WireReader, end: number): Response | null {
  let id = 0;
  let revision = 0;
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === ID) id = reader.uint32();
    else if (tag === REVISION) revision = reader.uint64().toNumber();
    else if (tag === WORK_BRIEF_TAG) {
      const length = reader.uint32();
      if (reader.pos + length !== end) return null;
      const workBrief = readBriefBody(reader, end);
      return workBrief === null ? null : { id, revision, body: { oneofKind: "workBrief", workBrief } };
    } else return null;
  }
  return null;
}

function readBriefBody(reader: WireReader, end: number): WorkBriefMessage | null {
  const brief = { workId: "", state: 0, cancelRequested: false, modRevision: 0, deduplicated: false };
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === WORK_ID) brief.workId = reader.string();
    else if (tag === STATE) brief.state = reader.int32();
    else if (tag === CANCEL_REQUESTED) brief.cancelRequested = reader.bool();
    else if (tag === MOD_REVISION) brief.modRevision = reader.uint64().toNumber();
    else if (tag === DEDUPLICATED) brief.deduplicated = reader.bool();
    else return null;
  }
  return reader.pos === end ? brief : null;
}

function readAny(reader: WireReader, start: number, length: number): Response {
  reader.pos = start;
  return Response.internalBinaryRead(reader, length, lenientRead);
}
