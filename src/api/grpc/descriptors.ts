import type { EnumInfo, FieldInfo, IMessageType, ScalarType } from "@protobuf-ts/runtime";
import type { ServiceType } from "@protobuf-ts/runtime-rpc";
import { BinaryWriter, RepeatType, WireType } from "@protobuf-ts/runtime";

/**
 * A google.protobuf.FileDescriptorProto of these services and every type they reach, built from what the generated code knows
 * about itself: reflection needs no proto files beside the program. All of it must be of one package.
 */
export function fileDescriptor(fileName: string, packageName: string, services: readonly ServiceType[]): Buffer {
  const types = reachableTypes(services);
  const file = new BinaryWriter();
  text(file, 1, fileName);
  text(file, 2, packageName);
  for (const type of types.messages.values()) nested(file, 4, (message) => writeMessage(message, type));
  for (const type of types.enums.values()) nested(file, 5, (message) => writeEnum(message, type));
  for (const service of services) nested(file, 6, (message) => writeService(message, service));
  text(file, 12, "proto3");
  return Buffer.from(file.finish());
}

interface Types {
  readonly messages: Map<string, IMessageType<object>>;
  readonly enums: Map<string, EnumInfo>;
}

function reachableTypes(services: readonly ServiceType[]): Types {
  const types: Types = { messages: new Map(), enums: new Map() };
  for (const { methods } of services) for (const { I, O } of methods) for (const type of [I, O]) reach(type, types);
  return types;
}

function reach(type: IMessageType<object>, types: Types): void {
  if (types.messages.has(type.typeName)) return;
  types.messages.set(type.typeName, type);
  for (const field of type.fields) {
    const value = field.kind === "map" ? field.V : field;
    if (value.kind === "message") reach(value.T() as IMessageType<object>, types);
    if (value.kind === "enum") types.enums.set(value.T()[0], value.T());
  }
}

function writeMessage(out: BinaryWriter, type: IMessageType<object>): void {
  text(out, 1, simpleName(type.typeName));
  const oneofs = [...new Set(type.fields.flatMap((field) => field.oneof ?? []))];
  // An `optional` field is a oneof of its own, after the real ones, as protoc lays it out.
  const optionals = type.fields.filter((field) => isOptional(field)).map((field) => `_${field.name}`);
  const groups = [...oneofs, ...optionals];
  for (const field of type.fields) {
    nested(out, 2, (message) => writeField(message, type, field, groups));
    if (field.kind !== "map") continue;
    nested(out, 3, (entry) => {
      text(entry, 1, entryName(field));
      nested(entry, 2, (key) => writeMapPart(key, "key", 1, { kind: "scalar", T: field.K }));
      nested(entry, 2, (value) => writeMapPart(value, "value", 2, field.V));
      nested(entry, 7, (options) => options.tag(7, WireType.Varint).bool(true));
    });
  }
  for (const name of groups) nested(out, 8, (oneof) => text(oneof, 1, name));
}

function writeField(out: BinaryWriter, owner: IMessageType<object>, field: FieldInfo, groups: readonly string[]): void {
  const repeated = field.kind === "map" || field.repeat !== RepeatType.NO;
  text(out, 1, field.name);
  number(out, 3, field.no);
  number(out, 4, repeated ? LABEL_REPEATED : LABEL_OPTIONAL);
  if (field.kind === "map") {
    number(out, 5, TYPE_MESSAGE);
    text(out, 6, `.${owner.typeName}.${entryName(field)}`);
  } else writeType(out, field);
  const group = field.oneof ?? (isOptional(field) ? `_${field.name}` : undefined);
  if (group !== undefined) number(out, 9, groups.indexOf(group));
  if (isOptional(field)) out.tag(17, WireType.Varint).bool(true);
}

type FieldType =
  | { readonly kind: "scalar"; readonly T: ScalarType }
  | { readonly kind: "enum"; readonly T: () => EnumInfo }
  | { readonly kind: "message"; readonly T: () => { readonly typeName: string } };

function writeMapPart(out: BinaryWriter, name: string, no: number, type: FieldType): void {
  text(out, 1, name);
  number(out, 3, no);
  number(out, 4, LABEL_OPTIONAL);
  writeType(out, type);
}

function writeType(out: BinaryWriter, type: FieldType): void {
  if (type.kind === "scalar") {
    // protobuf-ts numbers scalars as descriptor.proto does.
    number(out, 5, type.T);
    return;
  }
  number(out, 5, type.kind === "enum" ? TYPE_ENUM : TYPE_MESSAGE);
  text(out, 6, `.${type.kind === "enum" ? type.T()[0] : type.T().typeName}`);
}

function writeEnum(out: BinaryWriter, [typeName, values]: EnumInfo): void {
  text(out, 1, simpleName(typeName));
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== "number") continue;
    nested(out, 2, (entry) => {
      text(entry, 1, name);
      number(entry, 2, value);
    });
  }
}

function writeService(out: BinaryWriter, service: ServiceType): void {
  text(out, 1, simpleName(service.typeName));
  for (const method of service.methods) {
    nested(out, 2, (entry) => {
      text(entry, 1, method.name);
      text(entry, 2, `.${method.I.typeName}`);
      text(entry, 3, `.${method.O.typeName}`);
      if (method.clientStreaming) entry.tag(5, WireType.Varint).bool(true);
      if (method.serverStreaming) entry.tag(6, WireType.Varint).bool(true);
    });
  }
}

const LABEL_OPTIONAL = 1;
const LABEL_REPEATED = 3;
const TYPE_MESSAGE = 11;
const TYPE_ENUM = 14;

/** Said of scalars and enums only: a message field is optional by itself. */
function isOptional(field: FieldInfo): boolean {
  return (field.kind === "scalar" || field.kind === "enum") && field.opt;
}

/** `labels` → `LabelsEntry`, the name that protoc gives. */
function entryName(field: FieldInfo): string {
  return `${field.name.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())}Entry`;
}

function simpleName(typeName: string): string {
  return typeName.slice(typeName.lastIndexOf(".") + 1);
}

function text(out: BinaryWriter, no: number, value: string): void {
  out.tag(no, WireType.LengthDelimited).string(value);
}

function number(out: BinaryWriter, no: number, value: number): void {
  out.tag(no, WireType.Varint).int32(value);
}

function nested(out: BinaryWriter, no: number, write: (message: BinaryWriter) => void): void {
  out.tag(no, WireType.LengthDelimited).fork();
  write(out);
  out.join();
}
