import type grpc from "@grpc/grpc-js";
import { decodePeerFrame, encodePeerFrame } from "#codec";
import type { Message } from "#raft";

/** The generated service with the house's own codec: entries are copied once on the way out and not at all on the way in. */
export const connectMethod = {
  path: "/ringraft.peer.v1.PeerService/Connect",
  requestStream: true,
  responseStream: true,
  requestSerialize: encodePeerFrame,
  requestDeserialize: decodePeerFrame,
  responseSerialize: encodePeerFrame,
  responseDeserialize: decodePeerFrame,
} as const satisfies grpc.ServiceDefinition[string];

/** Messages of one turn beyond this are sent as a further frame. */
export const MAX_FRAME_BYTES = 4 * 1024 * 1024;

/**
 * For both ends. Retries and the shared pool of connections are off: the links reconnect by themselves, at their own pace.
 * The windows let a snapshot fill a link with a long way to go; `TCP_NODELAY` is grpc-js's default.
 */
export const channelOptions = {
  "grpc.max_receive_message_length": 64 * 1024 * 1024,
  "grpc.max_send_message_length": 64 * 1024 * 1024,
  "grpc.keepalive_time_ms": 5_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc-node.flow_control_window": 4 * 1024 * 1024,
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_retries": 0,
  "grpc.enable_channelz": 0,
} as const satisfies grpc.ChannelOptions;

/** What a message weighs in the limits; exact for what can be large. */
export function messageBytes(message: Message): number {
  if (message.kind === "snapshotChunk") return message.data.length + MESSAGE_BYTES;
  if (message.kind !== "append") return MESSAGE_BYTES;
  let bytes = MESSAGE_BYTES;
  for (const { data } of message.entries) bytes += data.length + ENTRY_BYTES;
  return bytes;
}

const MESSAGE_BYTES = 64;
const ENTRY_BYTES = 48;
