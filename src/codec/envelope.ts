import { Command as CommandMessage } from "#gen/ringraft/v1/command.js";
import { type IMessageType, WireType } from "@protobuf-ts/runtime";
import { readProgressReport } from "./progress-report.ts";
import { WireError, WireReader } from "./wire-reader.ts";
import { decodeRequest } from "./wire.ts";

/** The outer fields of an encoded Command; the operation itself is still bytes. */
export interface Envelope {
  readonly sessionId: string;
  readonly sequence: number;
  readonly firstUnackedSequence: number;
  /** Name of the operation as the generated code spells it, null when there is none. */
  readonly operation: OperationName | null;
  readonly body: Uint8Array;
}

export type OperationName = Exclude<CommandMessage["operation"]["oneofKind"], undefined>;

/**
 * Reads the envelope by hand. The generated code does not compare wire types and lets a nested message read beyond its own
 * end, so a door that only walks over the fields and a voter that decodes them could see two different commands in the same
 * bytes. Here both see the same: every field has its one wire type, and the operation's bytes are cut out before they are read.
 */
export function readEnvelope(bytes: Uint8Array): Envelope {
  const reader = new WireReader(bytes);
  const envelope = { sessionId: "", sequence: 0, firstUnackedSequence: 0, operation: null as OperationName | null, body: bytes };
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    const isNumber = field === SEQUENCE || field === FIRST_UNACKED_SEQUENCE;
    if (wireType !== (isNumber ? WireType.Varint : WireType.LengthDelimited))
      throw new WireError(`field ${field} has wire type ${wireType}`);
    if (field === SESSION_ID) envelope.sessionId = reader.string();
    else if (field === SEQUENCE) envelope.sequence = reader.uint64().toNumber();
    else if (field === FIRST_UNACKED_SEQUENCE) envelope.firstUnackedSequence = reader.uint64().toNumber();
    else {
      const operation = operations[field];
      if (operation === undefined) throw new WireError(`operation ${field} is not known to this version`);
      if (envelope.operation !== null) throw new WireError("a command has one operation");
      envelope.operation = operation.name;
      envelope.body = reader.bytes();
    }
  }
  return envelope;
}

export function readOperation(envelope: Envelope): CommandMessage["operation"] {
  if (envelope.operation === null) return { oneofKind: undefined };
  if (envelope.operation === "progressWork") {
    const progressWork = readProgressReport(envelope.body);
    if (progressWork !== null) return { oneofKind: "progressWork", progressWork };
  }
  const type = typePerOperation[envelope.operation];
  // The generated union: `oneofKind` names the one property that is there.
  return {
    oneofKind: envelope.operation,
    [envelope.operation]: decodeRequest(type, envelope.body),
  } as unknown as CommandMessage["operation"];
}

const SESSION_ID = 1;
const SEQUENCE = 2;
const FIRST_UNACKED_SEQUENCE = 3;

const operations: ({ readonly name: OperationName } | undefined)[] = [];
const typePerOperation = {} as Record<OperationName, IMessageType<object>>;
for (const field of CommandMessage.fields) {
  if (field.kind !== "message" || field.oneof !== "operation") continue;
  const name = field.localName as OperationName;
  operations[field.no] = { name };
  typePerOperation[name] = field.T() as IMessageType<object>;
}
