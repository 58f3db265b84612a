import type { ServiceDefinition } from "@grpc/grpc-js";

export const connectPath = "/floor/Connect";
export const channelOptions = {
  "grpc.max_receive_message_length": 64 * 1024 * 1024,
  "grpc.max_send_message_length": 64 * 1024 * 1024,
};

const raw = (bytes: Buffer): Buffer => bytes;

/** A bidirectional stream of opaque buffers: nothing is encoded per command. */
export const rawMethod = {
  path: connectPath,
  requestStream: true,
  responseStream: true,
  requestSerialize: raw,
  requestDeserialize: raw,
  responseSerialize: raw,
  responseDeserialize: raw,
} as const satisfies ServiceDefinition[string];
