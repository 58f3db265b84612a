import type { Message } from "#raft";
import { encodePeerFrame, raftMessageFromProto, decodePeerFrame } from "#codec";

/** The message as its receiver would read it: encoded, decoded, checked. */
export function wireCopy(message: Message): Message {
  const [encoded] = decodePeerFrame(encodePeerFrame({ messages: [message] })).messages;
  const decoded = raftMessageFromProto(encoded!, message.from, message.to);
  if (!decoded.ok) throw new Error(`the wire refuses a ${message.kind}: ${decoded.refusal.message}`);
  return decoded.value;
}
