import type { Command, Operation } from "#statemachine";
import type { ProgressRequest } from "#gen/ringraft/v1/work.js";
import { WireType } from "@protobuf-ts/runtime";
import { WireReader } from "./wire-reader.ts";
import type { WireWriter } from "./wire-writer.ts";

/**
 * Progress is also the heartbeat: in a working cluster most commands are this one. So it is written and read by hand, in a
 * third of the generated code's time, byte for byte the same (tests hold it).
 */
export function writeProgressReport(
  writer: WireWriter,
  command: Command,
  report: Extract<Operation, { kind: "progressWork" }>,
): void {
  const { percent, step, message } = report.progress;
  if (command.sessionId !== null && command.sessionId !== "") writer.uint32(SESSION_ID).string(command.sessionId);
  if (command.sequence !== null && command.sequence !== 0) writer.uint32(SEQUENCE).uint64(command.sequence);
  if (command.firstUnackedSequence !== 0) writer.uint32(FIRST_UNACKED_SEQUENCE).uint64(command.firstUnackedSequence);
  writer.tag(PROGRESS_WORK, WireType.LengthDelimited).fork();
  if (report.workId !== "") writer.uint32(WORK_ID).string(report.workId);
  if (report.fencingToken !== 0) writer.uint32(FENCING_TOKEN).uint64(report.fencingToken);
  writer.uint32(PROGRESS).fork();
  if (percent !== 0) writer.uint32(PERCENT).double(percent);
  if (step !== "") writer.uint32(STEP).string(step);
  if (message !== "") writer.uint32(MESSAGE).string(message);
  writer.join().join();
}

/** Null for anything but the usual form, fields in order and each at most once: the generated code then has the last word. */
export function readProgressReport(bytes: Uint8Array): ProgressRequest | null {
  const reader = new WireReader(bytes);
  const request: ProgressRequest = { workId: "", fencingToken: 0 };
  let last = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag <= last) return null;
    last = tag;
    if (tag === WORK_ID) request.workId = reader.string();
    else if (tag === FENCING_TOKEN) request.fencingToken = reader.uint64().toNumber();
    else if (tag === PROGRESS && reader.uint32() === reader.len - reader.pos) return readProgress(reader, request);
    else return null;
  }
  return null;
}

/** The progress is the last field of the usual form. */
function readProgress(reader: WireReader, request: ProgressRequest): ProgressRequest | null {
  const progress = { percent: 0, step: "", message: "" };
  let last = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag <= last) return null;
    last = tag;
    if (tag === PERCENT) progress.percent = reader.double();
    else if (tag === STEP) progress.step = reader.string();
    else if (tag === MESSAGE) progress.message = reader.string();
    else return null;
  }
  request.progress = progress;
  return request;
}

const PROGRESS_WORK = 23;
/** Tags of Command, ProgressRequest and WorkProgress: field number × 8 + wire type. */
const SESSION_ID = 0x0a;
const SEQUENCE = 0x10;
const FIRST_UNACKED_SEQUENCE = 0x18;
const WORK_ID = 0x0a;
const FENCING_TOKEN = 0x10;
const PROGRESS = 0x1a;
const PERCENT = 0x09;
const STEP = 0x12;
const MESSAGE = 0x1a;
